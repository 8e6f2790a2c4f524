"""What became of a SyncJob's run, and which run comes next. Pure.

The epoch is the fence. It is raised in `status` by a write that carries a resource version, before a Job of that epoch
is made or let in; so no two runs ever have one epoch, wherever the operator is killed. A Job that cannot be found
again never gets its epoch a second time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from looma_core.api.syncjob import ExitCode, ShardReport

from ..sync_resources import CANCELED, FAILED, SUCCEEDED, Progress, Run
from .sync_observed import RunJob

Trigger = Literal["Created", "Schedule", "Request", "Manual"]
_EXIT_CODE = re.compile(r"exit code (\d+)")
MESSAGE_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the active run stands: it goes on (with its Job), it ended, or it must be begun anew with another epoch."""

    run: Run
    job: RunJob | None = None
    again: bool = False


def of_epoch(shards: Sequence[ShardReport], run: Run) -> list[ShardReport]:
    """The reports that belong to the run."""
    return [shard for shard in shards if shard.epoch == run.epoch and shard.shard < run.shards]


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def sum_up(shards: Sequence[ShardReport], run: Run) -> Progress:
    """How far the run came, all of its shards together.

    | shards                         | total   | read |
    | ------------------------------ | ------- | ---- |
    | 2 of 2 know 10, read 3 and 4   | 20      | 7    |
    | 1 of 2 knows 10, read 3        | unknown | 3    |
    | one of an earlier epoch        | unknown | 0    |
    """
    mine = of_epoch(shards, run)
    totals = [shard.total for shard in mine if shard.total is not None]
    found = [shard.verified for shard in mine if shard.verified is not None]
    return Progress(
        total=sum(totals) if len(totals) == run.shards else None,
        read=sum(shard.read for shard in mine),
        created=sum(shard.created for shard in mine),
        updated=sum(shard.updated for shard in mine),
        unchanged=sum(shard.unchanged for shard in mine),
        deleted=sum(shard.deleted for shard in mine),
        conflicts=sum(shard.conflicts for shard in mine),
        resolved=sum(shard.resolved for shard in mine),
        quarantined=sum(shard.quarantined for shard in mine),
        verified=sum(found) if len(found) == run.shards else None,
        failed=sum(shard.failed for shard in mine),
        repaired=_sum(shard.repaired for shard in mine),
        written_back=_sum(shard.written_back for shard in mine),
        write_refused=_sum(shard.write_refused for shard in mine),
        write_moved=_sum(shard.write_moved for shard in mine),
        rate_per_second=0.0
        if run.ended_at is not None
        else round(sum(shard.rate_per_second for shard in mine if shard.state == "Running"), 1),
    )


def told(run: Run, shards: Sequence[ShardReport]) -> Run:
    """The run with what its workers say."""
    mine = of_epoch(shards, run)
    worker = next((shard.worker for shard in mine if shard.worker), run.worker)
    # All shards of a run read the same part of the source.
    reading = next((shard.reading for shard in mine if shard.reading is not None), run.reading)
    return msgspec.structs.replace(run, worker=worker, reading=reading, progress=sum_up(shards, run))


def end_run(run: Run, *, result: str, message: str, at: datetime, shards: Sequence[ShardReport]) -> Run:
    """The run, ended."""
    ended = msgspec.structs.replace(run, ended_at=at, result=result, message=message[:MESSAGE_LIMIT])
    return told(ended, shards)


def _why_failed(job: RunJob, mine: Sequence[ShardReport]) -> str:
    """A sentence for people: what a worker said of bad input, else what Kubernetes says of the Job."""
    said = next((shard.message for shard in mine if shard.state == "Failed" and shard.message), "")
    code = _EXIT_CODE.search(job.message)
    if code is not None and int(code[1]) == ExitCode.BAD_INPUT:
        return f"bad input, not tried again: {said or job.message}"
    if code is not None and int(code[1]) == ExitCode.FENCED:
        return "a worker found that a newer epoch runs"
    return f"{job.reason}: {said or job.message}"


def stand(run: Run, *, jobs: Sequence[RunJob], shards: Sequence[ShardReport], now: datetime) -> Standing:
    """How the active run stands.

    | its Job                 | uid was seen | all shards say Succeeded | answer                          |
    | ----------------------- | ------------ | ------------------------ | ------------------------------- |
    | goes on                 | any          | any                      | goes on                         |
    | Complete                | any          | any                      | ended, Succeeded                |
    | Failed                  | any          | any                      | ended, Failed                   |
    | missing                 | no           | any                      | again, with another epoch       |
    | missing, or another uid | yes          | yes                      | ended, Succeeded                |
    | missing, or another uid | yes          | no                       | ended, Failed                   |
    """
    found = next((job for job in jobs if job.name == run.job and (not run.uid or job.uid == run.uid)), None)
    mine = of_epoch(shards, run)
    if found is None:
        if not run.uid:
            # It was not made, or made and deleted before anybody saw it. In both cases its epoch is used up.
            return Standing(run=run, again=True)
        if len(mine) == run.shards and all(shard.state == "Succeeded" for shard in mine):
            return Standing(
                run=end_run(run, result=SUCCEEDED, message=_concluded(mine), at=now, shards=shards)
            )
        message = f"Job {run.job} was deleted before it ended"
        return Standing(run=end_run(run, result=FAILED, message=message, at=now, shards=shards))
    seen = msgspec.structs.replace(run, uid=found.uid)
    at = found.ended_at or now
    if found.ended == "Complete":
        return Standing(run=end_run(seen, result=SUCCEEDED, message=_concluded(mine), at=at, shards=shards))
    if found.ended:
        why = _why_failed(found, mine)
        return Standing(run=end_run(seen, result=FAILED, message=why, at=at, shards=shards))
    return Standing(run=told(seen, shards), job=found)


def _concluded(mine: Sequence[ShardReport]) -> str:
    return next((shard.message for shard in mine if shard.message), "")


def cancel_run(run: Run, *, why: str, shards: Sequence[ShardReport], now: datetime) -> Run:
    """The run, given up by request."""
    return end_run(run, result=CANCELED, message=why or "canceled by request", at=now, shards=shards)


def keep(runs: Sequence[Run], limit: int) -> tuple[Run, ...]:
    """The `limit` latest ended runs, and the one that goes on."""
    ended = [run for run in runs if run.ended_at is not None]
    dropped = {run.epoch for run in ended[: max(0, len(ended) - limit)]}
    return tuple(run for run in runs if run.epoch not in dropped)
