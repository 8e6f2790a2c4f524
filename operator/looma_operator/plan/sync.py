"""The plan for one SyncJob: from what was read to the writes that make, let in, stop and clear away its runs.

The writes come in three parts, and their order is the fence: what a run needs (`setup`), the status with the run and
its epoch, which carries the resource version that was read, and only then what happens to Jobs (`then`). Whoever is
killed in between leaves a run that the next look finds in status and goes on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from ..names import EventReason, Reason
from ..render.sync import (
    LETTING_IN,
    child_name,
    render_letting_in,
    render_run,
    render_sync_children,
    run_name,
)
from ..resources import Json
from ..sync_resources import FAILED, SUCCEEDED, Run, SyncJob, SyncJobStatus
from .children import Action, Apply, Delete, Notice, delete_child
from .conditions import Refusal
from .drift import differs
from .requests import remember
from .sync_observed import RunJob, SyncObserved
from .sync_requests import SyncRequestDecision, decide_sync_request
from .sync_runs import Trigger, cancel_run, end_run, keep, stand
from .sync_schedule import next_run_time
from .sync_status import decide_sync_conditions, decide_sync_phase

JOB, CRON_JOB = "Job", "CronJob"


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """`setup` is written before the status, `then` after it; `ended` are the runs that this look saw end."""

    setup: tuple[Action, ...]
    status: SyncJobStatus
    then: tuple[Action, ...]
    notices: tuple[Notice, ...]
    ended: tuple[Run, ...]
    refusals: tuple[Refusal, ...]


@dataclass(kw_only=True)
class _Course:
    """What one look makes of the runs, step by step."""

    epoch: int
    runs: list[Run]
    active: Run | None
    then: list[Action] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    ended: list[Run] = field(default_factory=list)

    def put(self, run: Run) -> None:
        """Put the run in the place of the active one, or at the end."""
        if self.active is not None:
            self.runs[self.runs.index(self.active)] = run
        else:
            self.runs.append(run)
        self.active = run if run.ended_at is None else None
        if run.ended_at is not None:
            self.ended.append(run)
            self.notices.append(_ending(run))


def plan_sync(
    *, observed: SyncObserved, default_image: str, now: datetime, refusals: Sequence[Refusal] = ()
) -> SyncPlan:
    """What to do for a SyncJob now.

    | a run goes on | somebody asks for one | a Job waits | answer                                        |
    | ------------- | --------------------- | ----------- | --------------------------------------------- |
    | no            | no                    | no          | nothing; without schedule and runs, the first |
    | no            | yes                   | any         | a run by request; a Job that waits is skipped |
    | no            | no                    | yes         | the oldest is let in, others are skipped      |
    | yes           | yes                   | no          | refused                                       |
    | yes           | any                   | yes         | the Job is skipped                            |

    While spec.suspend is true nothing begins and what waits goes on waiting. `refusals` are children that the API
    server would not take a moment ago: then nothing begins either.
    """
    job, status = observed.job, observed.job.status
    image = job.spec.image or default_image
    children = render_sync_children(job, image)
    setup = _setup(observed, children)
    refused = (*_taken(observed), *refusals)
    obstacle = "" if image else "there is no image to run: write spec.image"
    if refused:
        obstacle = f"{refused[0].kind} {refused[0].name}: {refused[0].message}"

    # A status that was lost, as by an operator from before runs, is no ground to give an epoch a second time.
    highest = max((found.epoch for found in observed.jobs), default=0)
    course = _Course(epoch=max(status.epoch, highest), runs=list(status.runs), active=status.active)
    _follow(course, observed, image, now)
    strays = _strays(course, observed)
    course.then.extend(_delete(stray) for stray in strays if not stray.going)
    asked = None
    if course.active is not None or not strays:
        asked = decide_sync_request(
            annotations=job.metadata.annotations,
            done=status.requests,
            active=course.active,
            suspended=job.spec.suspend,
            obstacle=obstacle,
            now=now,
        )
        _carry_out_request(course, observed, asked, image, now)
        canceled = asked is not None and asked.does == "cancel"
        if course.active is None and not (obstacle or strays or canceled or job.spec.suspend):
            _begin_by_itself(course, observed, image, now)
    _skip(course, observed)
    runs = keep(course.runs, job.spec.history_limit)
    course.then.extend(_clear_away(observed, runs))
    course.then.extend(_without_schedule(observed))
    if asked is not None:
        course.notices.append(_answer(asked))

    return SyncPlan(
        setup=tuple(setup),
        status=_status(observed, course, runs=runs, asked=asked, image=image, refusals=refused, now=now),
        then=tuple(course.then),
        notices=tuple(course.notices),
        ended=tuple(course.ended),
        refusals=tuple(refused),
    )


def refuse_run(
    *, job: SyncJob, refusals: Sequence[Refusal], default_image: str, now: datetime
) -> tuple[SyncJobStatus, Run] | None:
    """The status after the API server refused the Job of the active run, and that run; None if it did not."""
    active = job.status.active
    first = next((r for r in refusals if active is not None and (r.kind, r.name) == (JOB, active.job)), None)
    if active is None or first is None:
        return None
    message = f"{first.kind} {first.name} was refused: {first.message}"
    ended = end_run(active, result=FAILED, message=message, at=now, shards=job.status.shards)
    observed = SyncObserved(job=job)
    course = _Course(epoch=job.status.epoch, runs=list(job.status.runs), active=active)
    course.put(ended)
    runs = keep(course.runs, job.spec.history_limit)
    image = job.spec.image or default_image
    return _status(observed, course, runs=runs, asked=None, image=image, refusals=(), now=now), ended


def _status(
    observed: SyncObserved,
    course: _Course,
    *,
    runs: tuple[Run, ...],
    asked: SyncRequestDecision | None,
    image: str,
    refusals: Sequence[Refusal],
    now: datetime,
) -> SyncJobStatus:
    job, before = observed.job, observed.job.status
    successes = [run.ended_at for run in course.ended if run.result == SUCCEEDED and run.ended_at]
    return msgspec.structs.replace(
        before,
        phase=decide_sync_phase(spec=job.spec, runs=runs),
        observed_generation=job.metadata.generation,
        epoch=course.epoch,
        active_job=course.active.job if course.active is not None else "",
        next_run_time=next_run_time(spec=job.spec, now=now),
        last_success_time=max(successes, default=before.last_success_time),
        progress=runs[-1].progress if runs else before.progress,
        runs=runs,
        requests=remember(before.requests, asked.record) if asked is not None else before.requests,
        conditions=decide_sync_conditions(
            spec=job.spec,
            runs=runs,
            image=image,
            refusals=refusals,
            before=before.conditions,
            generation=job.metadata.generation,
            now=now,
        ),
    )


def _setup(observed: SyncObserved, children: Sequence[Json]) -> list[Action]:
    actions: list[Action] = []
    for child in children:
        action = Apply(manifest=child)
        key = (action.kind, action.name)
        if key in observed.foreign:
            continue
        actual = observed.children.get(key)
        if actual is None:
            actions.append(action)
        elif differs(child, actual) is not None:
            actions.append(Apply(manifest=child, resource_version=actual["metadata"].get("resourceVersion")))
    return actions


def _taken(observed: SyncObserved) -> list[Refusal]:
    return [
        Refusal(
            kind=kind,
            name=name,
            reason=Reason.NAME_TAKEN,
            message="exists and does not belong to this SyncJob: delete or rename it, or rename the SyncJob",
        )
        for kind, name in sorted(observed.foreign)
    ]


def _follow(course: _Course, observed: SyncObserved, image: str, now: datetime) -> None:
    """See what became of the active run."""
    active, job = course.active, observed.job
    if active is None:
        return
    standing = stand(active, jobs=observed.jobs, shards=job.status.shards, now=now)
    if standing.again:
        course.epoch += 1
        course.put(
            msgspec.structs.replace(standing.run, epoch=course.epoch, job=run_name(job, course.epoch), uid="")
        )
        course.then.append(Apply(manifest=render_run(job, image, course.epoch)))
        return
    course.put(standing.run)
    found = standing.job
    if found is None:
        if not any(other.uid == standing.run.uid for other in observed.jobs):
            # Pods of a Job that was deleted may still end.
            course.epoch += 1
        return
    let_in = found.epoch == standing.run.epoch
    if not found.going and (not let_in or found.suspended != job.spec.suspend):
        course.then.append(_let_in(job, found, standing.run.epoch))


def _strays(course: _Course, observed: SyncObserved) -> list[RunJob]:
    """Jobs that go on and may not: of a run that ended, or of none that status knows."""
    ended = {run.uid for run in course.runs if run.ended_at is not None and run.uid}
    active = course.active
    return [
        job
        for job in observed.jobs
        if not job.ended and (active is None or job.uid != active.uid) and (job.epoch or job.uid in ended)
    ]


def _carry_out_request(
    course: _Course, observed: SyncObserved, asked: SyncRequestDecision | None, image: str, now: datetime
) -> None:
    if asked is None:
        return
    if asked.does == "cancel" and course.active is not None:
        stopped = course.active
        why = f"canceled by {asked.record.requested_by}"
        why += f": {asked.record.reason}" if asked.record.reason else ""
        course.put(cancel_run(stopped, why=why, shards=observed.job.status.shards, now=now))
        # Its pods find a newer epoch, however long they take to end.
        course.epoch += 1
        # Nothing that was planned for its Job is done any more.
        course.then[:] = [
            *(action for action in course.then if action.kind != JOB or action.name != stopped.job),
            *(_delete(job) for job in observed.jobs if job.uid == stopped.uid and not job.going),
        ]
    elif asked.does == "run":
        _begin(
            course,
            observed,
            image,
            now,
            trigger="Request",
            requested_by=asked.record.requested_by,
            reason=asked.record.reason,
        )


def _begin_by_itself(course: _Course, observed: SyncObserved, image: str, now: datetime) -> None:
    waiting = sorted((job for job in observed.jobs if job.waits), key=lambda job: (job.created_at, job.name))
    if waiting:
        trigger: Trigger = "Schedule" if waiting[0].scheduled else "Manual"
        _begin(course, observed, image, now, trigger=trigger, waiting=waiting[0])
    elif observed.job.spec.schedule is None and not course.epoch:
        _begin(course, observed, image, now, trigger="Created")


def _begin(
    course: _Course,
    observed: SyncObserved,
    image: str,
    now: datetime,
    *,
    trigger: Trigger,
    waiting: RunJob | None = None,
    requested_by: str = "",
    reason: str = "",
) -> None:
    """Raise the epoch for a new run, and plan what is done with its Job after the status is written."""
    job = observed.job
    course.epoch += 1
    course.put(
        Run(
            epoch=course.epoch,
            job=waiting.name if waiting is not None else run_name(job, course.epoch),
            uid=waiting.uid if waiting is not None else "",
            trigger=trigger,
            requested_by=requested_by,
            reason=reason,
            started_at=now,
            shards=job.spec.parallelism,
        )
    )
    if waiting is not None:
        course.then.append(_let_in(job, waiting, course.epoch))
    else:
        course.then.append(Apply(manifest=render_run(job, image, course.epoch)))
    who = f", asked for by {requested_by}" if requested_by else ""
    why = f": {reason}" if reason else ""
    course.notices.append(
        Notice(reason=EventReason.RUN_STARTED, note=f"Run {course.epoch} begins ({trigger}{who}){why}")
    )


def _skip(course: _Course, observed: SyncObserved) -> None:
    """A Job that comes while a run goes on does not wait for its end: what it would read is being read."""
    active = course.active
    if active is None:
        return
    for job in observed.jobs:
        if job.waits and job.uid != active.uid and not _is_deleted(course, job):
            course.then.append(_delete(job))
            note = f"Job {job.name} was left out: run {active.epoch} goes on"
            course.notices.append(Notice(reason=EventReason.RUN_SKIPPED, note=note))


def _is_deleted(course: _Course, job: RunJob) -> bool:
    return any(isinstance(action, Delete) and action.uid == job.uid for action in course.then)


def _clear_away(observed: SyncObserved, runs: Sequence[Run]) -> list[Action]:
    """Deletion of ended Jobs whose runs are not kept."""
    kept = {run.uid for run in runs}
    return [_delete(job) for job in observed.jobs if job.ended and not job.going and job.uid not in kept]


def _without_schedule(observed: SyncObserved) -> list[Action]:
    """Deletion of the CronJob where there is no schedule any more; its Jobs would go with it, so none may go on."""
    cron = observed.children.get((CRON_JOB, child_name(observed.job)))
    if cron is None or observed.job.spec.schedule is not None:
        return []
    return [] if any(job.from_cron and not job.ended for job in observed.jobs) else [delete_child(cron)]


def _let_in(job: SyncJob, found: RunJob, epoch: int) -> Apply:
    return Apply(
        manifest=render_letting_in(job=job, name=found.name, epoch=epoch),
        resource_version=found.resource_version,
        manager=LETTING_IN,
    )


def _delete(job: RunJob) -> Delete:
    return Delete(kind=JOB, name=job.name, uid=job.uid, resource_version=job.resource_version)


def _ending(run: Run) -> Notice:
    reasons = {
        SUCCEEDED: EventReason.RUN_SUCCEEDED,
        FAILED: EventReason.RUN_FAILED,
    }
    said = f": {run.message}" if run.message else ""
    return Notice(
        reason=reasons.get(run.result, EventReason.RUN_CANCELED),
        note=f"Run {run.epoch} ended, {run.result}{said}",
        warning=run.result == FAILED,
    )


def _answer(asked: SyncRequestDecision) -> Notice:
    refused = asked.record.result == "Refused"
    return Notice(
        reason=EventReason.REQUEST_REFUSED if refused else EventReason.REQUEST_DONE,
        note=f"{asked.record.action}: {asked.record.message}",
        warning=refused,
    )
