"""A worker of a sync job as a process, as in its pod, for what is measured of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
    shards: int = 1,
) -> tuple[float, list[list[str]]]:
    """Seconds of a run with its workers' starts, and what each printed: its reports, then its MiB at most.

    Args:
        urls: the database that is written to.
        epoch: the run's, larger than that of the run before.
        source: of the SyncJob.
        target: of the SyncJob, but the tenant.
        place: where its files or credentials are.
        shards: so many workers share the source, side by side as a Job has its pods.

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
        Variable.SHARDS: str(shards),
        Variable.SOURCE: json.dumps(source),
        Variable.TARGET: json.dumps({"tenant": TENANT, **target}),
        Variable.BATCH_SIZE: str(BATCH),
        **place,
        "LOOMA_DATABASE_URL": urls.app,
        VARIABLE: ring_file(),
        "PYTHONPATH": str(ROOT / "tests"),
    }

    def of(shard: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "support.sync_process"],
            env={**os.environ, **told, Variable.SHARD: str(shard)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    begun = time.monotonic()
    with ThreadPoolExecutor(max_workers=shards) as pool:
        printed = list(pool.map(of, range(shards)))
    return time.monotonic() - begun, printed
