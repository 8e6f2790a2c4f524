"""One shard's worker as a process of its own, to be killed: `python -m support.sync_process`, told by its environment.

The SyncJob is always there and of this epoch: what an API server would stop is stopped here by the database alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from looma_core.api.syncjob import ShardReport
from looma_engines.sync_worker.frame import run
from looma_engines.sync_worker.inputs import read_inputs
from looma_engines.talent_sync.privacy.ring import read
from looma_engines.talent_sync.privacy.sealing import Sealer
from looma_engines.talent_sync.syncing.worker import PATIENCE_SECONDS, RecordsWorker
from support.key_ring import VARIABLE


class Alone:
    """A SyncJob that knows no epochs; reports go to standard output."""

    def check(self) -> dict[str, Any]:
        """It is there."""
        return {}

    def earlier(self) -> ShardReport | None:
        """No pod ever reported."""
        return None

    def report(self, report: ShardReport) -> None:
        """Write a line."""
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        sys.stdout.flush()


def peak_mib() -> float:
    """Most resident memory of this process so far; what rusage says of a child counts its parent's as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> int:
    """Do the shard; answers the exit code. The last line of output is the most memory that it took, in MiB."""
    given = read_inputs(os.environ)
    assert given.target is not None
    sealer = Sealer(read(os.environ[VARIABLE], setting=VARIABLE))
    patience = float(os.environ.get("PATIENCE", PATIENCE_SECONDS))
    worker = RecordsWorker(os.environ["LOOMA_DATABASE_URL"], given.target, sealer=sealer, patience=patience)
    code = run(worker, given, Alone())  # type: ignore[arg-type]
    sys.stdout.write(f"{peak_mib():.1f}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
