"""One look at one SyncJob: read, plan, write, tell. The order of the writes is `plan.sync`'s."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from .kube import kinds
from .kube.client import Kube, NotFoundError
from .kube.read import find_foreign
from .kube.read_sync import parse_sync_job, read_sync_job
from .kube.write import carry_out, post_events, write_status
from .metrics import (
    EVENTS,
    SYNC_EPOCH,
    SYNC_LAST_SUCCESS,
    SYNC_PHASE,
    SYNC_QUALITY,
    SYNC_RECORDS,
    SYNC_RUN_SECONDS,
    SYNC_RUNS,
    SYNC_SOURCE_REQUESTS,
    SYNC_SOURCE_RETRIES,
    SYNC_SOURCE_THROTTLED,
)
from .names import EventReason, Reason, SyncConditionType, SyncPhase
from .notifying.telling import Telling
from .plan.children import Action, Apply, Notice
from .plan.conditions import Refusal, find
from .plan.sync import plan_sync, refuse_run
from .queueing import Key
from .sync_resources import FAILED, Run, SyncJob, SyncJobStatus, own_sync_status

RECORDS = (
    "read",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "conflicts",
    "resolved",
    "quarantined",
    "failed",
    "repaired",
    "written_back",
    "write_refused",
    "write_moved",
)


async def look_at_sync_job(
    kube: Kube,
    namespace: str,
    name: str,
    *,
    default_image: str,
    instance: str,
    telling: Telling,
    now: datetime,
) -> bool | None:
    """Reconcile one SyncJob; answers whether something was refused, None where it is gone.

    Raises:
        ConflictError: if something changed since it was read: the caller reads anew.
        KubeError: if the API server does not answer.
    """
    observed = await read_sync_job(kube, namespace, name)
    if observed is None:
        _forget(namespace, name)
        telling.order(Key(kinds.SYNC_JOB.name, namespace, name), ())
        return None
    job = observed.job
    made = plan_sync(observed=observed, default_image=default_image, now=now)
    absent = _absent((*made.setup, *made.then))
    if absent:
        # Never taken over from somebody else.
        foreign = await find_foreign(kube, namespace, job.metadata.uid, absent)
        if foreign:
            observed = replace(observed, foreign=foreign)
            made = plan_sync(observed=observed, default_image=default_image, now=now)
    refusals = await carry_out(kube, namespace, made.setup)
    if refusals:
        made = plan_sync(observed=observed, default_image=default_image, now=now, refusals=refusals)
    notices = [*made.notices, *_troubles(made.refusals, job.status, made.status)]
    status = _with_outbox(telling, job, made.status, notices, now)
    if status != job.status:
        await _write(kube, job, status)
    telling.order(Key(kinds.SYNC_JOB.name, namespace, name), status.notifications)
    # Before the Jobs: should one have changed meanwhile, the next look knows nothing of this one's news.
    await _tell(kube, job, notices, made.ended, instance)
    _show(namespace, name, made.status)
    refusals = await carry_out(kube, namespace, made.then)
    if any(refusal.kind == kinds.JOB.name for refusal in refusals):
        await _refused(
            kube, job, refusals, default_image=default_image, instance=instance, telling=telling, now=now
        )
    return bool(made.refusals or refusals)


def _with_outbox(
    telling: Telling, job: SyncJob, status: SyncJobStatus, notices: Sequence[Notice], now: datetime
) -> SyncJobStatus:
    waits = telling.of_sync_job(job.metadata, notices, before=job.status, status=status, now=now)
    return msgspec.structs.replace(status, notifications=waits)


async def _write(kube: Kube, job: SyncJob, status: SyncJobStatus) -> None:
    await write_status(
        kube,
        kinds.SYNC_JOB,
        job.metadata,
        own_sync_status(status),
        resource_version=job.metadata.resource_version,
    )


async def _tell(
    kube: Kube, job: SyncJob, notices: Sequence[Notice], ended: Sequence[Run], instance: str
) -> None:
    await post_events(kube, kind=kinds.SYNC_JOB, metadata=job.metadata, notices=notices, instance=instance)
    for notice in notices:
        EVENTS.labels(notice.reason).inc()
    for run in ended:
        SYNC_RUNS.labels(job.metadata.namespace, job.metadata.name, run.result).inc()
        if run.ended_at is not None:
            SYNC_RUN_SECONDS.labels(run.result).observe((run.ended_at - run.started_at).total_seconds())


async def _refused(
    kube: Kube,
    job: SyncJob,
    refusals: Sequence[Refusal],
    *,
    default_image: str,
    instance: str,
    telling: Telling,
    now: datetime,
) -> None:
    """End the run whose Job the API server would not take: it would be refused again and again."""
    try:
        current = parse_sync_job(await kube.get(kinds.SYNC_JOB, job.metadata.namespace, job.metadata.name))
    except NotFoundError:
        return
    answer = refuse_run(job=current, refusals=refusals, default_image=default_image, now=now)
    if answer is None:
        return
    status, run = answer
    note = f"Run {run.epoch} ended, {FAILED}: {run.message}"
    notice = Notice(reason=EventReason.RUN_FAILED, note=note, warning=True)
    status = _with_outbox(telling, current, status, [notice], now)
    await _write(kube, current, status)
    telling.order(Key(kinds.SYNC_JOB.name, job.metadata.namespace, job.metadata.name), status.notifications)
    await _tell(kube, job, [notice], [run], instance)
    _show(job.metadata.namespace, job.metadata.name, status)


def _absent(actions: Iterable[Action]) -> list[tuple[str, str]]:
    return [
        (action.kind, action.name)
        for action in actions
        if isinstance(action, Apply) and action.resource_version is None
    ]


def _troubles(refusals: Sequence[Refusal], before: SyncJobStatus, now: SyncJobStatus) -> list[Notice]:
    """Events about refused children, when that begins and not at every look."""
    was, now_is = (find(status.conditions, SyncConditionType.READY) for status in (before, now))
    if was is not None and now_is is not None and was.message == now_is.message:
        return []
    return [
        Notice(
            reason=EventReason.NAME_TAKEN
            if refusal.reason is Reason.NAME_TAKEN
            else EventReason.CHILD_REFUSED,
            note=f"{refusal.kind} {refusal.name}: {refusal.message}",
            warning=True,
        )
        for refusal in refusals
    ]


def _show(namespace: str, name: str, status: SyncJobStatus) -> None:
    for phase in SyncPhase:
        SYNC_PHASE.labels(namespace, name, phase).set(status.phase == phase)
    SYNC_EPOCH.labels(namespace, name).set(status.epoch)
    if status.progress is not None:
        for kind in RECORDS:
            SYNC_RECORDS.labels(namespace, name, kind).set(getattr(status.progress, kind) or 0)
    _show_source(namespace, name, status)
    _show_quality(namespace, name, status)
    if status.last_success_time is not None:
        SYNC_LAST_SUCCESS.labels(namespace, name).set(status.last_success_time.timestamp())


def _show_source(namespace: str, name: str, status: SyncJobStatus) -> None:
    """What the shards of the latest run say of a source over HTTP; nothing where none does."""
    asked = [
        shard for shard in status.shards if shard.epoch == status.epoch and shard.source_requests is not None
    ]
    SYNC_SOURCE_REQUESTS.remove_by_labels({"namespace": namespace, "name": name})
    if not asked:
        return
    requests = Counter[str]()
    for shard in asked:
        requests.update(shard.source_requests)
    for code, number in requests.items():
        SYNC_SOURCE_REQUESTS.labels(namespace, name, code).set(number)
    SYNC_SOURCE_RETRIES.labels(namespace, name).set(sum(shard.source_retries or 0 for shard in asked))
    throttled = sum(shard.source_throttled_seconds or 0.0 for shard in asked)
    SYNC_SOURCE_THROTTLED.labels(namespace, name).set(throttled)


def _show_quality(namespace: str, name: str, status: SyncJobStatus) -> None:
    """How good the records of the latest run were and are, all shards together; nothing where no worker looks."""
    SYNC_QUALITY.remove_by_labels({"namespace": namespace, "name": name})
    told = [
        shard.quality for shard in status.shards if shard.epoch == status.epoch and shard.quality is not None
    ]
    for when, records, score in (
        ("before", sum(shard.records_before for shard in told), sum(shard.score_before for shard in told)),
        ("after", sum(shard.records_after for shard in told), sum(shard.score_after for shard in told)),
    ):
        if records:
            SYNC_QUALITY.labels(namespace, name, when).set(score / records)


def _forget(namespace: str, name: str) -> None:
    SYNC_SOURCE_REQUESTS.remove_by_labels({"namespace": namespace, "name": name})
    SYNC_QUALITY.remove_by_labels({"namespace": namespace, "name": name})
    gone = [
        (SYNC_EPOCH, ()),
        (SYNC_LAST_SUCCESS, ()),
        (SYNC_SOURCE_RETRIES, ()),
        (SYNC_SOURCE_THROTTLED, ()),
        *((SYNC_PHASE, (phase,)) for phase in SyncPhase),
        *((SYNC_RECORDS, (kind,)) for kind in RECORDS),
    ]
    for metric, more in gone:
        with contextlib.suppress(KeyError):
            metric.remove(namespace, name, *more)
