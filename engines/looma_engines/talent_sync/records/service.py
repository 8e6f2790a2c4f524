"""What can be done with records of one kind: create, read, list, change, delete. One transaction each.

Changes name the version that they start from (`If-Match`), so that of two people who edit at once the second is
told instead of overwriting the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic

import msgspec
from sqlalchemy.exc import IntegrityError

from looma_core.api.page import Count, Page
from looma_core.api.reading import read
from looma_core.problems import Conflict, FieldError, NotFound, PreconditionFailed, ValidationProblem
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.etag import allows
from looma_engines.talent_sync.moments import EVER, Span
from looma_engines.talent_sync.quality.assessing import assess, refusals
from looma_engines.talent_sync.records import history as histories
from looma_engines.talent_sync.records.checking import check_beside
from looma_engines.talent_sync.records.entity import DraftT, Entity, RecordT
from looma_engines.talent_sync.records.merging import check_patch, merge_patch
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.rights.audit import note

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from datetime import date
    from uuid import UUID

    from prometheus_client import Counter, Histogram
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.api.history import HistoryEntry
    from looma_core.api.quality import Assessment
    from looma_core.api.source import Source
    from looma_core.auth import Principal
    from looma_core.db import Database
    from looma_core.metrics import Metrics

_ATTEMPTS = 3
"""A record of the same source can be deleted between the refused insert and the read; then try again."""
SCORES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)


@dataclass(frozen=True, kw_only=True)
class RecordMetrics:
    """What all kinds of records count."""

    created: Counter
    changed: Counter
    scores: Histogram
    findings: Counter


def record_metrics(metrics: Metrics) -> RecordMetrics:
    """The metrics of an engine's records; made once."""
    return RecordMetrics(
        created=metrics.counter(
            "looma_records_created_total",
            "Answers to requests that create a record, by its kind, its source and whether it was new.",
            ["entity", "source", "outcome"],
        ),
        changed=metrics.counter(
            "looma_records_changed_total", "Changes of records, by kind and action.", ["entity", "action"]
        ),
        scores=metrics.histogram(
            "looma_record_quality_score",
            "Quality of records as they were stored, 0 to 100.",
            ["entity"],
            buckets=SCORES,
        ),
        findings=metrics.counter(
            "looma_record_findings_total",
            "Rules that found something in a record that was stored, by rule.",
            ["rule"],
        ),
    )


class RecordService(Generic[DraftT, RecordT]):
    """Works on the records of the caller's tenant.

    Args:
        database: connection pool.
        entity: their kind.
        metrics: where creations and changes are counted.
        max_page_size: most records in one answer, whatever is asked for.
    """

    def __init__(
        self,
        database: Database,
        entity: Entity[DraftT, RecordT],
        metrics: RecordMetrics,
        *,
        max_page_size: int,
    ) -> None:
        self._database = database
        self.entity = entity
        self._metrics = metrics
        self._max_page_size = max_page_size

    async def create(self, principal: Principal, draft: DraftT) -> tuple[RecordT, bool]:
        """Store a draft; a source that is there already answers its record.

        Returns:
            The record, and whether it is new.

        Raises:
            ValidationProblem: fields are wrong.
            Conflict: it is there already, from another source.
        """
        if draft.source.type == "sync":
            message = "is for records that a SyncJob brings in; write another, or leave it out"
            raise ValidationProblem(errors=[FieldError(field="source.type", message=message)])
        neat = self._accepted(draft)
        for _ in range(_ATTEMPTS):
            async with self._database.tenant_session(principal) as session:
                repository = RecordRepository(session, self.entity)
                await check_beside(session, self.entity, neat)
                record = await self._stand_in(session, repository, neat.source)
                if record is not None:
                    self._metrics.created.labels(self.entity.name, neat.source.type, "existing").inc()
                    return record, False
                record = await repository.add(neat)
                if record is not None:
                    self._metrics.created.labels(self.entity.name, neat.source.type, "created").inc()
                    self._note_quality(neat)
                    return record, True
                existing = await repository.find_by_source(neat.source)
                if existing is not None:
                    self._metrics.created.labels(self.entity.name, neat.source.type, "existing").inc()
                    return existing, False
                await self.entity.ties.refuse_double(session, neat, record_id=None)
        raise Conflict(f"A {self.entity.name} from this source is being changed at this moment; try again.")

    async def get(self, principal: Principal, record_id: UUID) -> RecordT:
        """Return a record.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            return await self._found(session, RecordRepository(session, self.entity), record_id)

    async def page(
        self,
        principal: Principal,
        *,
        sort: str,
        limit: int,
        cursor: str | None,
        q: str | None,
        filters: Mapping[str, object],
    ) -> Page[RecordT]:
        """Return one page of records.

        Raises:
            ValidationProblem: the cursor is wrong, or a text has what no text in the database can have.
        """
        _check_texts({"q": q, **filters})
        after = cursors.decode(cursor, sort=sort) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            # One more than asked tells whether there is a next page.
            found = await RecordRepository(session, self.entity).page(
                sort=sort, limit=limit + 1, after=after, q=q, filters=filters
            )
        items = found[:limit]
        if len(found) <= limit:
            return Page(items=items)
        last = items[-1]
        key = getattr(last, sort.removeprefix("-"))
        return Page(items=items, next_cursor=cursors.encode(sort=sort, key=key, row_id=last.id))

    async def count(self, principal: Principal, *, q: str | None, filters: Mapping[str, object]) -> Count:
        """How many records a list has in all. Raises ValidationProblem as `page` does."""
        _check_texts({"q": q, **filters})
        async with self._database.tenant_session(principal) as session:
            return await RecordRepository(session, self.entity).count(q=q, filters=filters)

    async def change(self, principal: Principal, record_id: UUID, *, if_match: str, patch: object) -> RecordT:
        """Apply a merge patch to the version that the caller saw.

        Raises:
            NotFound: there is no such record.
            PreconditionFailed: it was changed since.
            ValidationProblem: the result does not fit.
            Conflict: the result is there already, as another record.
        """
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self.entity)
            current = await self._expected(session, repository, record_id, if_match)
            return await self._changed(session, repository, current, self._patched(current, patch))

    async def amend(
        self, principal: Principal, record_id: UUID, *, patch: object, version: int | None
    ) -> tuple[RecordT, bool]:
        """Apply a merge patch of somebody who may not know the version; one that changes nothing fits every version.

        Returns:
            The record, and whether it was changed.

        Raises:
            NotFound: there is no such record.
            PreconditionFailed: it is no longer at `version`, and would change.
            ValidationProblem: the result does not fit.
        """
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self.entity)
            current = await self._found(session, repository, record_id)
            wanted = self._patched(current, patch)
            if self._same(current, wanted):
                return current, False
            if version not in (None, current.version):
                raise self._stale()
            return await self._changed(session, repository, current, wanted), True

    async def find_by_source(self, principal: Principal, source: Source) -> RecordT | None:
        """The record that came from this source, or None."""
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self.entity)
            found = await repository.find_by_source(source)
            return found or await self._stand_in(session, repository, source)

    async def stream(
        self, principal: Principal, *, sort: str, q: str | None, filters: Mapping[str, object]
    ) -> AsyncGenerator[RecordT, None]:
        """All records that a list would have, as they are at one moment, without holding them all.

        Raises:
            ValidationProblem: the words are wrong.
        """
        _check_texts({"q": q, **filters})
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self.entity)
            async for record in repository.stream(sort=sort, q=q, filters=filters):
                yield record

    async def note_export(self, principal: Principal, file_format: str) -> None:
        """Have the audit tell that such records leave, before any of them does."""
        async with self._database.tenant_session(principal) as session:
            await note(session, "export-records", self.entity.name, detail={"format": file_format})

    async def delete(self, principal: Principal, record_id: UUID, *, if_match: str) -> None:
        """Hide a record.

        Raises:
            NotFound: there is no such record.
            PreconditionFailed: it was changed since.
            Conflict: something that refers to it needs it.
        """
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self.entity)
            current = await self._expected(session, repository, record_id, if_match)
            if not await repository.delete(record_id, version=current.version):
                raise self._stale()
            await self.entity.ties.let_go(session, record_id)
        self._metrics.changed.labels(self.entity.name, "delete").inc()

    async def history(
        self, principal: Principal, record_id: UUID, *, limit: int, cursor: str | None, span: Span = EVER
    ) -> Page[HistoryEntry]:
        """What was done to a record within a span, the newest first; to a deleted one as well.

        Raises:
            NotFound: there is none with this id in the caller's tenant, and was none.
            ValidationProblem: the cursor is wrong.
        """
        after = histories.decode(cursor) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self.entity)
            if not await repository.was_there(record_id):
                raise self._missing(record_id)
            found = await repository.history(record_id, limit=limit + 1, after=after, span=span)
        items = [histories.entry_of(row, self.entity.settable) for row in found[:limit]]
        if len(found) <= limit:
            return Page(items=items)
        last = found[limit - 1]
        return Page(items=items, next_cursor=histories.encode(histories.Mark(at=last.changed_at, id=last.id)))

    async def quality(self, principal: Principal, record_id: UUID) -> Assessment:
        """What the rules say of a record today.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        return self.assess(self._draft(await self.get(principal, record_id)))

    def assess(self, draft: DraftT) -> Assessment:
        """What the rules say of a draft as it was sent; nothing is kept."""
        return assess(draft, today=_today(), rules=self.entity.rules)

    def _accepted(self, draft: DraftT) -> DraftT:
        neat = self.entity.tidy(draft)
        if errors := refusals(neat, today=_today(), rules=self.entity.rules):
            raise ValidationProblem(errors=errors)
        return neat

    async def _changed(
        self,
        session: AsyncSession,
        repository: RecordRepository[DraftT, RecordT],
        current: RecordT,
        wanted: DraftT,
    ) -> RecordT:
        if self._same(current, wanted):
            return current
        await check_beside(session, self.entity, wanted, before=current)
        await self.entity.ties.refuse_double(session, wanted, record_id=current.id)
        try:
            changed = await repository.replace(current.id, version=current.version, draft=wanted)
        except IntegrityError as error:
            # Somebody stored the same since it was looked for.
            raise Conflict(f"Such a {self.entity.name} came at this moment; look at it.") from error
        if changed is None:
            raise self._stale()
        self._metrics.changed.labels(self.entity.name, "update").inc()
        self._note_quality(wanted)
        return changed

    def _same(self, current: RecordT, wanted: DraftT) -> bool:
        return all(getattr(current, name) == getattr(wanted, name) for name in self.entity.settable)

    def _patched(self, current: RecordT, patch: object) -> DraftT:
        settable = self.entity.settable
        wanted = check_patch(patch, settable)
        plain: dict[str, Any] = msgspec.to_builtins(current)
        # Fields that are named nowhere in the patch stay, those that the draft has no name for go.
        before = {name: plain[name] for name in (*settable, "source")}
        return self._accepted(read(merge_patch(before, wanted), self.entity.draft))  # type: ignore[type-var]

    def _draft(self, record: RecordT) -> DraftT:
        return self.entity.draft(
            **{name: getattr(record, name) for name in (*self.entity.settable, "source")}
        )

    def _note_quality(self, stored: DraftT) -> None:
        found = self.assess(stored)
        self._metrics.scores.labels(self.entity.name).observe(found.score)
        for rule in {finding.rule for finding in found.findings}:
            self._metrics.findings.labels(rule).inc()

    async def _stand_in(
        self, session: AsyncSession, repository: RecordRepository[DraftT, RecordT], source: Source
    ) -> RecordT | None:
        found = await self.entity.ties.stand_in(session, source)
        return await repository.find(found) if found is not None else None

    async def _found(
        self, session: AsyncSession, repository: RecordRepository[DraftT, RecordT], record_id: UUID
    ) -> RecordT:
        record = await repository.find(record_id)
        if record is None:
            raise await self.entity.ties.why_gone(session, record_id) or self._missing(record_id)
        return record

    async def _expected(
        self,
        session: AsyncSession,
        repository: RecordRepository[DraftT, RecordT],
        record_id: UUID,
        if_match: str,
    ) -> RecordT:
        current = await self._found(session, repository, record_id)
        if not allows(if_match, current.version):
            raise self._stale()
        return current

    def _missing(self, record_id: UUID) -> NotFound:
        return NotFound(f"There is no {self.entity.name} {record_id}.")

    def _stale(self) -> PreconditionFailed:
        return PreconditionFailed(
            f"The {self.entity.name} was changed since you read it: read it again, then change it."
        )


def _check_texts(texts: Mapping[str, object]) -> None:
    if wrong := [name for name, text in texts.items() if isinstance(text, str) and "\x00" in text]:
        raise ValidationProblem(
            errors=[FieldError(field=name, message="has a control character") for name in wrong]
        )


def _today() -> date:
    return datetime.now(UTC).date()
