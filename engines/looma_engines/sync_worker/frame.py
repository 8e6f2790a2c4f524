"""The run of one shard: fence, batch, report, exit code. What a batch means is the worker's.

| what happens                              | exit code      | what the shard's entry says |
| ----------------------------------------- | -------------- | --------------------------- |
| all batches are done                      | 0              | Succeeded                   |
| BadInputError of inputs or worker         | 65             | Failed, with the message    |
| another epoch, or no SyncJob any more     | 79             | nothing more                |
| SIGTERM (suspended, drained, deadline)    | 143            | Running, with the cursor    |
| anything else                             | 1              | Running, with the cursor    |

A batch is written at least once: a pod that is killed between a batch and its report leaves a batch that its follower
does again. So `Worker.write` must come to the same when it is repeated.
"""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import msgspec

from looma_core.api.syncjob import ExitCode, ShardQuality, ShardReport

from .cluster import ClusterError, FencedError, SyncJobInCluster
from .inputs import BadInputError, Inputs

_log = logging.getLogger(__name__)
REPORT_SECONDS = 2.0
"""Between two reports: each is a write of the SyncJob, and wakes the operator."""
COLLECT_AFTER = (20_000, 20, 100)
"""Objects between two searches for cycles, and searches between two of older ones. A record has none, and goes with its
batch: searched as often as is usual, they took a tenth of a run."""
FAILED, STOPPED = 1, 128 + signal.SIGTERM
MESSAGE_LIMIT = 1000
COUNTED = ("created", "updated", "unchanged", "deleted", "conflicts", "resolved", "quarantined", "failed")
"""What a shard's entry and the counts of a batch both have, beside `read`."""
SELDOM = ("repaired", "written_back", "write_refused", "write_moved")
"""As those, named only where there was something: what was put right, and what was written to a source."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records to write at once, and where the next pod would begin after them."""

    records: list[Any]
    cursor: str
    stage: str = ""
    """What the worker calls a batch that reads nothing new; its records were counted before."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of a batch's records."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    conflicts: int = 0
    resolved: int = 0
    quarantined: int = 0
    failed: int = 0
    repaired: int = 0
    written_back: int = 0
    write_refused: int = 0
    write_moved: int = 0
    read: int | None = None
    """How many were read; None where it is each record of the batch."""


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """A sentence about what was done, and how many records the target was found to hold as the source has them."""

    message: str
    verified: int | None = None


class Worker(Protocol):
    """What is put into the frame."""

    name: str

    def resume(self, inputs: Inputs, earlier: ShardReport | None) -> ShardReport | None:
        """How far the shard is: what an earlier pod of this run reported, or what the worker knows better.

        Raises:
            BadInputError: if what it was told cannot be done.
            FencedError: if its target knows of a newer run.
        """
        ...

    def total(self, inputs: Inputs) -> int | None:
        """How many records the shard has, or None where that is not known before.

        Raises:
            BadInputError: if the source cannot be read.
        """
        ...

    def batches(self, inputs: Inputs, cursor: str) -> Iterator[Batch]:
        """The shard's batches after `cursor`, which is empty at the beginning.

        Raises:
            BadInputError: if the source cannot be read.
        """
        ...

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        """Write a batch. `inputs.epoch` should go with the write where its target can compare it.

        Raises:
            BadInputError: if no later try would be taken.
        """
        ...

    def conclude(self, inputs: Inputs) -> Conclusion:
        """What was done, for people."""
        ...


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a worker asked of its source over HTTP so far: questions by answer, those asked again, seconds waited."""

    requests: Mapping[str, int]
    retries: int = 0
    throttled_seconds: float = 0.0


@runtime_checkable
class Rating(Protocol):
    """A worker that knows what a record is worth."""

    def quality(self) -> ShardQuality | None:
        """How good the shard's records were before the run and are after it, since it began; None without one."""


@runtime_checkable
class Asking(Protocol):
    """A worker that may ask its source over HTTP."""

    def asked(self) -> Asked | None:
        """What it asked so far, None where its source is not asked like this."""
        ...


class _StoppedError(BaseException):
    """SIGTERM: the pod is to end. No Exception, so that no worker takes it for one of its own."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _StoppedError


def run(worker: Worker, inputs: Inputs, job: SyncJobInCluster) -> int:
    """Do the shard; answers the exit code."""
    # Process 1 of a pod has no default for SIGTERM.
    before, usual = signal.signal(signal.SIGTERM, _stop), gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    shard = _Shard(worker, inputs, job)
    try:
        return shard.run()
    except FencedError as error:
        _log.warning("stopped: %s", error)
        return ExitCode.FENCED
    except BadInputError as error:
        _log.error("bad input: %s", error)
        return shard.end("Failed", str(error), ExitCode.BAD_INPUT)
    except _StoppedError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _log.info("told to stop")
        return shard.end("Running", "stopped; the next pod goes on here", STOPPED)
    except ClusterError as error:
        _log.error("given up: %s", error)
        return FAILED
    except Exception as error:  # noqa: BLE001 - logged with all it has; another pod tries again
        _log.exception("failed")
        # Its sentence may hold a record's data: that is for the pod's log, which takes personal data out.
        return shard.end("Running", f"{type(error).__name__}, see the pod's log", FAILED)
    finally:
        signal.signal(signal.SIGTERM, before)
        gc.set_threshold(*usual)


class _Shard:
    def __init__(self, worker: Worker, inputs: Inputs, job: SyncJobInCluster) -> None:
        self._worker = worker
        self._inputs = inputs
        self._job = job
        self._report = ShardReport(shard=inputs.shard, epoch=inputs.epoch, worker=worker.name)
        self._read_before = 0
        self._asked_before = self._report
        self._begun = self._told = time.monotonic()

    def run(self) -> int:
        earlier = self._worker.resume(self._inputs, self._job.earlier())
        if earlier is not None:
            self._report = msgspec.structs.replace(earlier, state="Running", message="")
            self._read_before = earlier.read
            self._asked_before = self._report
        self._change(worker=self._worker.name, total=self._worker.total(self._inputs))
        self._tell()
        for batch in self._worker.batches(self._inputs, self._report.cursor):
            self._job.check()
            counts = self._worker.write(self._inputs, batch)
            self._change(
                read=self._report.read + (len(batch.records) if counts.read is None else counts.read),
                **{name: getattr(self._report, name) + getattr(counts, name) for name in COUNTED},
                **{
                    name: (getattr(self._report, name) or 0) + number
                    for name in SELDOM
                    if (number := getattr(counts, name))
                },
                cursor=batch.cursor,
            )
            if time.monotonic() - self._told >= REPORT_SECONDS:
                self._tell()
        conclusion = self._worker.conclude(self._inputs)
        self._change(state="Succeeded", message=conclusion.message, verified=conclusion.verified)
        self._tell()
        return ExitCode.DONE

    def end(self, state: str, message: str, code: int) -> int:
        """Leave a last report; the exit code stands, whatever becomes of it."""
        try:
            self._change(state=state, message=message[:MESSAGE_LIMIT])
            self._tell()
        except FencedError:
            return ExitCode.FENCED
        except ClusterError as error:
            _log.warning("the last report was not taken: %s", error)
        return code

    def _change(self, **changes: Any) -> None:
        self._report = msgspec.structs.replace(self._report, **changes)

    def _note_asked(self) -> None:
        asked = self._worker.asked() if isinstance(self._worker, Asking) else None
        if asked is None:
            return
        before = self._asked_before
        self._change(
            source_requests=dict(Counter(before.source_requests or {}) + Counter(asked.requests)),
            source_retries=(before.source_retries or 0) + asked.retries,
            source_throttled_seconds=round(
                (before.source_throttled_seconds or 0.0) + asked.throttled_seconds, 3
            ),
        )

    def _tell(self) -> None:
        self._note_asked()
        if isinstance(self._worker, Rating):
            self._change(quality=self._worker.quality())
        seconds = time.monotonic() - self._begun
        done = self._report.read - self._read_before
        # Of this pod alone, from its first batch: what an earlier one did took its own time.
        rate = round(done / seconds, 1) if done and seconds > 0 else self._report.rate_per_second
        self._change(rate_per_second=rate, observed_at=datetime.now(UTC).replace(microsecond=0))
        self._job.report(self._report)
        self._told = time.monotonic()
