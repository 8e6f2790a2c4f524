"""What people are still to be told, kept in the status of the object that it is about. Pure.

A happening enters status in the very write that makes it so, and leaves it when its receivers have been told: what a
crash interrupts is found there and told by whoever leads next, under the same id.

    a look decides       status has it, to: [a, b]       a is told        b is told
    ---------------- write ----------------------------- write: [b] ----- write: gone
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from ..names import EventReason
from ..resources import AIServiceStatus, format_time
from ..resources_notifications import Notification
from ..sync_resources import SyncJobStatus
from .children import Notice
from .receivers import Receiver, wants

MOST = 20
"""Happenings of one object that wait at most; status must stay small."""
OLDEST = timedelta(hours=24)
"""Nobody is told of what is older than this."""
NOTE_LENGTH, WHY_LENGTH = 1000, 500  # In characters.
_ROLLBACKS = (EventReason.ROLLBACK_STARTED, EventReason.ROLLBACK_COMPLETED)
_REQUESTS = (EventReason.ROLLOUT_ABORTED, EventReason.REQUEST_DONE, EventReason.REQUEST_REFUSED)
_ROLLOUTS = (
    EventReason.ROLLOUT_STARTED,
    EventReason.ROLLOUT_WAITING,
    EventReason.ROLLOUT_COMPLETED,
    EventReason.ROLLOUT_FAILED,
)
_RUNS = (
    EventReason.RUN_STARTED,
    EventReason.RUN_SUCCEEDED,
    EventReason.RUN_FAILED,
    EventReason.RUN_CANCELED,
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The object that something happened to."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """What waits now, and who will not be told of what: the receivers' names, one for each happening."""

    waits: tuple[Notification, ...]
    lost: tuple[str, ...] = ()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _made(subject: Subject, notice: Notice, now: datetime, **details: object) -> Notification:
    note = _cut(notice.note, NOTE_LENGTH)
    seed = f"{subject.uid}/{notice.reason}/{format_time(now)}/{note}"
    return Notification(
        id=hashlib.sha256(seed.encode()).hexdigest()[:24],
        reason=str(notice.reason),
        warning=notice.warning,
        note=note,
        at=now,
        **details,  # type: ignore[arg-type]
    )


def of_service(
    subject: Subject,
    notices: Sequence[Notice],
    *,
    before: AIServiceStatus,
    status: AIServiceStatus,
    now: datetime,
) -> list[tuple[Notice, Notification]]:
    """Notices of one look at an AIService as messages: between which revisions, how far, and who asked."""
    reasons = {notice.reason for notice in notices}
    rollout = status.rollout or before.rollout
    asked = next((item for item in reversed(status.requests) if item not in before.requests), None)
    row = next((item for item in status.revisions if item.name == status.target_revision), None)
    told: list[tuple[Notice, Notification]] = []
    for notice in notices:
        if (
            notice.reason is EventReason.REQUEST_DONE
            and EventReason.ROLLOUT_ABORTED in reasons
            and asked is not None
            and asked.action == "abort"
        ):
            # The abort tells the same, and more.
            continue
        revision, from_ = status.target_revision, ""
        who, why = "", ""
        if notice.reason in _ROLLBACKS and status.last_rollback is not None:
            back = status.last_rollback
            revision, from_, who, why = back.to, back.from_, back.requested_by, back.reason
        elif rollout is not None:
            revision, from_ = rollout.revision, rollout.from_
        if notice.reason in _REQUESTS and asked is not None:
            who, why = asked.requested_by, asked.reason
        elif notice.reason in _ROLLOUTS and row is not None:
            who, why = row.changed_by, row.reason
        made = _made(
            subject,
            notice,
            now,
            revision=revision,
            from_=from_,
            weight=round(status.canary.weight.requested) if status.canary is not None else None,
            phase=status.phase,
            requested_by=who,
            why=_cut(why, WHY_LENGTH),
        )
        told.append((notice, made))
    return told


def of_sync_job(
    subject: Subject, notices: Sequence[Notice], *, status: SyncJobStatus, now: datetime
) -> list[tuple[Notice, Notification]]:
    """Notices of one look at a SyncJob as messages; who asked is whoever asked for its latest run."""
    run = status.runs[-1] if status.runs else None
    told: list[tuple[Notice, Notification]] = []
    for notice in notices:
        of_run = run is not None and notice.reason in _RUNS
        made = _made(
            subject,
            notice,
            now,
            phase=str(status.phase),
            requested_by=run.requested_by if of_run and run is not None else "",
            why=_cut(run.reason, WHY_LENGTH) if of_run and run is not None else "",
        )
        told.append((notice, made))
    return told


def of_model(
    subject: Subject, notices: Sequence[Notice], *, phase: str, now: datetime
) -> list[tuple[Notice, Notification]]:
    """Notices of one look at a ModelVersion as messages."""
    return [(notice, _made(subject, notice, now, phase=phase)) for notice in notices]


def decide_outbox(
    *,
    subject: Subject,
    before: Sequence[Notification],
    news: Sequence[tuple[Notice, Notification]],
    receivers: Sequence[Receiver],
    told: Collection[tuple[str, str]],
    now: datetime,
) -> Outbox:
    """What waits after a look; `told` are ids with the receivers that know of them, or never will.

    | it is                                   | then                               |
    | --------------------------------------- | ---------------------------------- |
    | new, and a receiver wants it            | it waits for that receiver         |
    | there, and all of its receivers know    | it goes                            |
    | there, for a receiver that is no more   | it waits for the others            |
    | there, for longer than `OLDEST`         | it goes, untold                    |
    | one of more than `MOST`                 | the oldest that warn of nothing go |
    """
    names = {receiver.name for receiver in receivers}
    waits: dict[str, Notification] = {}
    lost: list[str] = []
    for item in before:
        to = tuple(name for name in item.to if name in names and (item.id, name) not in told)
        if now - item.at > OLDEST:
            lost.extend(to)
        elif to:
            waits[item.id] = msgspec.structs.replace(item, to=to)
    for notice, item in news:
        to = tuple(
            receiver.name
            for receiver in receivers
            if wants(receiver, notice, kind=subject.kind, namespace=subject.namespace, name=subject.name)
        )
        if to:
            waits[item.id] = msgspec.structs.replace(item, to=to)
    while len(waits) > MOST:
        least = min(waits.values(), key=lambda item: (item.warning, item.at))
        lost.extend(least.to)
        del waits[least.id]
    return Outbox(waits=tuple(waits.values()), lost=tuple(lost))
