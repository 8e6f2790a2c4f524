"""SyncJob documents as the pages show them: pure reading, nothing raises on what a status does not say yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from looma_console.cluster.documents import Document, read_time
from looma_console.cluster.model import Condition


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How many records; `total` is None while a worker does not know."""

    total: int | None
    read: int
    created: int
    updated: int
    unchanged: int
    deleted: int
    conflicts: int
    resolved: int
    quarantined: int
    failed: int
    verified: int | None
    written_back: int
    write_refused: int
    per_second: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run; `ended_at` is None while it goes on. `trigger` is Created, Schedule, Request or Manual.

    `mode` is full, incremental, or empty where no worker said; `since` is from when on an incremental run reads.
    """

    epoch: int
    job: str
    trigger: str
    requested_by: str
    reason: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    result: str
    worker: str
    message: str
    progress: Progress | None
    mode: str = ""
    since: dt.datetime | None = None

    @property
    def took(self) -> dt.timedelta | None:
        """How long it ran; None while it goes on."""
        return self.ended_at - self.started_at if self.ended_at and self.started_at else None


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What the worker of one shard said of it last, at `observed_at`."""

    number: int
    state: str
    worker: str
    progress: Progress
    message: str
    observed_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of something that was asked for; `result` is Done or Refused."""

    action: str
    reason: str
    requested_by: str
    result: str
    message: str
    at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the records go; `entity` is talent, company, job or relation.

    `references` are fields of them whose values are keys of a source, each with that source's name.
    """

    tenant: str
    entity: str
    references: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SyncJob:
    """One SyncJob. `runs` and `answers` have the latest first; `shards` are those of the latest run."""

    name: str
    source: str
    target: Target | None
    image: str
    workers: int
    cron: str
    time_zone: str
    suspended: bool
    phase: str
    next_run: dt.datetime | None
    last_success: dt.datetime | None
    runs: tuple[Run, ...]
    shards: tuple[Shard, ...]
    answers: tuple[Answer, ...]
    conditions: tuple[Condition, ...]
    namespace: str = ""

    @property
    def full_name(self) -> str:
        """What its runs are called by in the database."""
        return f"{self.namespace}/{self.name}"

    @property
    def last(self) -> Run | None:
        """The latest run, which may still go on."""
        return self.runs[0] if self.runs else None

    @property
    def goes_on(self) -> bool:
        """Whether a run was let in and has not ended; its pods are stopped while it is suspended."""
        return self.last is not None and self.last.ended_at is None

    @property
    def actions(self) -> tuple[str, ...]:
        """What may be asked for at this moment.

        | suspended | a run goes on | answer          |
        | --------- | ------------- | --------------- |
        | no        | no            | run, suspend    |
        | no        | yes           | cancel, suspend |
        | yes       | no            | resume          |
        | yes       | yes           | resume, cancel  |
        """
        if self.suspended:
            return ("resume", "cancel") if self.goes_on else ("resume",)
        return ("cancel", "suspend") if self.goes_on else ("run", "suspend")


def read_sync_job(document: Document) -> SyncJob:
    """A SyncJob as the pages show it."""
    spec: Document = document["spec"]
    status: Document = document.get("status") or {}
    source: Document = spec.get("source") or {}
    target: Document = spec.get("target") or {}
    schedule: Document = spec.get("schedule") or {}
    runs = tuple(_run(item) for item in reversed(status.get("runs") or ()))
    # A worker of an earlier run may still have its entry there, and it counts for nothing.
    epoch = runs[0].epoch if runs else 0
    suspended = bool(spec.get("suspend"))
    return SyncJob(
        name=str(document["metadata"]["name"]),
        source=str(next((source[name] for name in ("path", "url") if source.get(name)), "")),
        target=_target(target, spec.get("references") or {}) if target else None,
        image=str(spec.get("image") or ""),
        workers=int(spec.get("parallelism") or 1),
        cron=str(schedule.get("cron") or ""),
        time_zone=str(schedule.get("timeZone") or "Etc/UTC"),
        suspended=suspended,
        phase=str(status.get("phase") or ("Suspended" if suspended else "Pending")),
        next_run=read_time(status.get("nextRunTime")),
        last_success=read_time(status.get("lastSuccessTime")),
        runs=runs,
        shards=tuple(
            sorted(
                (_shard(item) for item in status.get("shards") or () if item.get("epoch") == epoch),
                key=lambda shard: shard.number,
            )
        ),
        answers=tuple(_answer(item) for item in reversed(status.get("requests") or ())),
        conditions=tuple(_condition(item) for item in status.get("conditions") or ()),
        namespace=str(document["metadata"].get("namespace") or ""),
    )


def _target(item: Document, references: Document) -> Target:
    return Target(
        tenant=str(item.get("tenant", "")),
        entity=str(item.get("entity", "")),
        references=tuple(sorted((field, str(source)) for field, source in references.items())),
    )


def _progress(item: Document) -> Progress:
    total = item.get("total")
    return Progress(
        total=None if total is None else int(total),
        read=int(item.get("read") or 0),
        created=int(item.get("created") or 0),
        updated=int(item.get("updated") or 0),
        unchanged=int(item.get("unchanged") or 0),
        deleted=int(item.get("deleted") or 0),
        conflicts=int(item.get("conflicts") or 0),
        resolved=int(item.get("resolved") or 0),
        quarantined=int(item.get("quarantined") or 0),
        failed=int(item.get("failed") or 0),
        verified=None if item.get("verified") is None else int(item["verified"]),
        written_back=int(item.get("writtenBack") or 0),
        write_refused=int(item.get("writeRefused") or 0),
        per_second=float(item.get("ratePerSecond") or 0),
    )


def _run(item: Document) -> Run:
    progress: Document | None = item.get("progress")
    reading: Document = item.get("reading") or {}
    return Run(
        epoch=int(item.get("epoch") or 0),
        job=str(item.get("job", "")),
        trigger=str(item.get("trigger", "")),
        requested_by=str(item.get("requestedBy") or ""),
        reason=str(item.get("reason") or ""),
        started_at=read_time(item.get("startedAt")),
        ended_at=read_time(item.get("endedAt")),
        result=str(item.get("result") or "Running"),
        worker=str(item.get("worker") or ""),
        message=str(item.get("message") or ""),
        progress=_progress(progress) if progress else None,
        mode=str(reading.get("mode") or ""),
        since=read_time(reading.get("since")),
    )


def _shard(item: Document) -> Shard:
    return Shard(
        number=int(item.get("shard") or 0),
        state=str(item.get("state") or "Running"),
        worker=str(item.get("worker") or ""),
        progress=_progress(item),
        message=str(item.get("message") or ""),
        observed_at=read_time(item.get("observedAt")),
    )


def _answer(item: Document) -> Answer:
    return Answer(
        action=str(item.get("action", "")),
        reason=str(item.get("reason") or ""),
        requested_by=str(item.get("requestedBy") or ""),
        result=str(item.get("result", "")),
        message=str(item.get("message") or ""),
        at=read_time(item.get("at")),
    )


def _condition(item: Document) -> Condition:
    kind, status = str(item.get("type", "")), str(item.get("status", "Unknown"))
    return Condition(
        type=kind,
        status=status,
        reason=str(item.get("reason", "")),
        message=str(item.get("message", "")),
        # No run that goes on is no bad news, nor is one that nobody has seen end yet.
        good=kind == "Running" or status == "True" or (kind == "Succeeded" and status == "Unknown"),
    )
