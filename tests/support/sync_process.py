"""One shard's worker as a process of its own, to be killed: `python -m support.sync_process`, told by its environment.

The SyncJob is always there and of this epoch: what an API server would stop is stopped here by the database alone.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from looma_core.api.syncjob import ShardReport
from looma_engines.sync_worker.frame import run
from looma_engines.sync_worker.inputs import read_inputs
from looma_engines.talent_sync.syncing.worker import RecordsWorker


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


def main() -> int:
    """Do the shard; answers the exit code."""
    given = read_inputs(os.environ)
    assert given.target is not None
    worker = RecordsWorker(os.environ["LOOMA_DATABASE_URL"], given.target)
    return run(worker, given, Alone())  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
