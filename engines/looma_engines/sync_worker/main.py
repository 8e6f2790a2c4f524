"""`looma-engine sync-worker`: one shard of a SyncJob's run, by the worker that counts. `start` is for any worker."""

from __future__ import annotations

import logging as standard_logging
import os
import sys
from collections.abc import Callable

from looma_core import logging
from looma_core.api.syncjob import ExitCode, Variable

from . import cluster, frame
from .counting import CountingWorker
from .inputs import BadInputError, Inputs, read_inputs

_log = standard_logging.getLogger(__name__)


def start(make: Callable[[Inputs], frame.Worker]) -> int:
    """Run a worker in this pod, made of what it is told; answers its exit code.

    `make` raises BadInputError where it cannot be made.
    """
    logging.configure(
        service=os.environ.get(Variable.JOB, "sync-worker"), level=os.environ.get("LOOMA_LOG_LEVEL", "info")
    )
    # Each question to the API server would be a line.
    standard_logging.getLogger("httpx").setLevel(standard_logging.WARNING)
    try:
        inputs = read_inputs(os.environ)
        worker = make(inputs)
        client = cluster.connect()
    except (BadInputError, cluster.ClusterError) as error:
        _log.error("cannot start: %s", error)
        return ExitCode.BAD_INPUT if isinstance(error, BadInputError) else frame.FAILED
    with client:
        return frame.run(worker, inputs, cluster.SyncJobInCluster(client, inputs))


def main(name: str) -> None:
    """Entry point; ends the process."""
    del name
    sys.exit(start(lambda _: CountingWorker()))
