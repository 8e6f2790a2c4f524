"""A worker of a sync job as a process, as in its pod, for what is measured of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from bench.report import ROOT
from looma_core.api.syncjob import CONTRACT, Variable
from support.database import DatabaseUrls
from support.key_ring import VARIABLE, ring_file

BATCH = 1_000
TENANT = "demo"


def worked(
    urls: DatabaseUrls,
    *,
    epoch: int,
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    place: Mapping[Variable, str],
) -> tuple[float, list[str]]:
    """Seconds of a run of one shard with the worker's start, and what it printed: its reports, then its MiB at most.

    Args:
        urls: the database that is written to.
        epoch: the run's, larger than that of the run before.
        source: of the SyncJob.
        target: of the SyncJob, but the tenant.
        place: where its files or credentials are.

    Raises:
        CalledProcessError: it failed.
    """
    told = {
        Variable.CONTRACT: CONTRACT,
        Variable.JOB: "people",
        Variable.UID: "bench",
        Variable.NAMESPACE: "looma",
        Variable.RUN: f"people-sync-{epoch}",
        Variable.EPOCH: str(epoch),
        Variable.SHARD: "0",
        Variable.SHARDS: "1",
        Variable.SOURCE: json.dumps(source),
        Variable.TARGET: json.dumps({"tenant": TENANT, **target}),
        Variable.BATCH_SIZE: str(BATCH),
        **place,
        "LOOMA_DATABASE_URL": urls.app,
        VARIABLE: ring_file(),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "support.sync_process"],
        env={**os.environ, **told},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.monotonic() - begun, done.stdout.splitlines()
