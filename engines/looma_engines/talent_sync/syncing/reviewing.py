"""What people do with what sync runs left: put a record right, throw it away, settle a conflict, read a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec

from looma_core.api.page import Page
from looma_core.api.source import Source
from looma_core.api.sync import (
    QuarantineEntry,
    QuarantineItem,
    Repair,
    SyncConflict,
    SyncReport,
    SyncRun,
    SyncWrite,
    Tallied,
)
from looma_core.problems import Conflict, FieldError, NotFound, PreconditionFailed, ValidationProblem
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.etag import allows
from looma_engines.talent_sync.records import history
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.rights.audit import note

from .batch import SOURCE_TYPE
from .deciding import KEY
from .judging import plain_values
from .models import ConflictRow, QuarantineRow, WriteRow
from .putting_right import put_right
from .quality_told import change_of
from .review_repository import ReviewRepository, RowT
from .settling import accepted, named_in_draft, store, take_source, with_ids
from .source_row import digest_of
from .telling import (
    conflict_of,
    draft_of,
    entry_of,
    item_of,
    partitions_of,
    repair_of,
    run_of,
    tally_of,
    write_of,
)

if TYPE_CHECKING:
    from prometheus_client import Counter
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

SORT = "-created_at"


class ReviewService:
    """Works on what runs left in the caller's tenant.

    Args:
        database: connection pool.
        entities: kinds of records by their names.
        settled: counts what people settled, by what it was and how.
        max_page_size: most items in one answer.
    """

    def __init__(
        self,
        database: Database,
        entities: Mapping[str, Entity[Any, Any]],
        settled: Counter,
        *,
        max_page_size: int,
    ) -> None:
        self._database = database
        self._entities = entities
        self._settled = settled
        self._max_page_size = max_page_size

    async def quarantine(
        self, principal: Principal, *, filters: Mapping[str, object], limit: int, cursor: str | None
    ) -> Page[QuarantineItem]:
        """A page of the quarantine, newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        rows, after = await self._page(principal, QuarantineRow, filters=filters, limit=limit, cursor=cursor)
        return Page(items=[item_of(row) for row in rows], next_cursor=after)

    async def entry(self, principal: Principal, entry_id: UUID) -> QuarantineEntry:
        """One entry, with what the source had.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            row = await ReviewRepository(session).find(QuarantineRow, entry_id)
            return entry_of(_there(row, "entry of the quarantine", entry_id))

    async def replay(
        self, principal: Principal, entry_id: UUID, draft: Mapping[str, Any], *, if_match: str
    ) -> QuarantineEntry:
        """Store the record as a person put it right. The next run that brings the same row finds it done.

        Raises:
            NotFound: there is no such entry.
            PreconditionFailed: it changed since.
            Conflict: it is settled, its record is being changed, or is there already as another one.
            ValidationProblem: the record is still not right, by itself or beside others.
        """
        async with self._database.tenant_session(principal) as session:
            reviews = ReviewRepository(session)
            entry = await self._open_entry(reviews, entry_id, if_match)
            entity = self._entities[entry.entity]
            repository = RecordRepository(session, entity)
            if entry.direction == "back":
                record = await self._corrected(session, entity, draft, entry)
                await reviews.look_again(entry)
                return await self._replayed(session, reviews, entry, principal, record.id)
            source = Source(type=SOURCE_TYPE, ref=f"{entry.origin}:{entry.key or entry.id}")
            with named_in_draft():
                named = await with_ids(reviews, entity, draft)
            neat = _accepted(entity, named, source)
            state = await reviews.state(entry) if entry.key else None
            current = await repository.find(state.record_id) if state is not None else None
            if current is None:
                current = await repository.find_by_source(neat.source)
            with named_in_draft():
                record = await store(session, entity, neat, current=current)
            # A second record of a key leaves the first one's state alone: that is what the source stands by.
            if entry.key and (state is None or not _is_second(entry)):
                values = plain_values(entity, cast("msgspec.Struct", record))
                await reviews.remember(
                    entry,
                    {
                        "record_id": record.id,
                        "base": values,
                        "written_version": record.version,
                        "written_digest": digest_of(values),
                        "put_right": put_right(entity, draft_of(entry), values),
                    },
                )
            return await self._replayed(session, reviews, entry, principal, record.id)

    async def _replayed(
        self,
        session: AsyncSession,
        reviews: ReviewRepository,
        entry: QuarantineRow,
        principal: Principal,
        record_id: UUID,
    ) -> QuarantineEntry:
        await reviews.settle_entry(entry, state="replayed", by=principal.subject, record_id=record_id)
        await note(session, "replay-quarantine", entry.entity, record_id)
        self._settled.labels(_what(entry), "replayed").inc()
        return entry_of(entry)

    async def _corrected(
        self,
        session: AsyncSession,
        entity: Entity[Any, Any],
        draft: Mapping[str, Any],
        entry: QuarantineRow,
    ) -> Any:  # noqa: ANN401 - a record of whatever kind
        """The record as it is to be here and, by the next run, at the source that refused it."""
        repository = RecordRepository(session, entity)
        current = await repository.find(entry.record_id) if entry.record_id is not None else None
        if current is None:
            raise Conflict("The record was deleted since: discard the entry.")
        neat = _accepted(entity, draft, current.source)
        with named_in_draft():
            return await store(session, entity, neat, current=current)

    async def discard(self, principal: Principal, entry_id: UUID, *, if_match: str) -> QuarantineEntry:
        """Throw an entry away: the same row, brought again, is not asked about again.

        Raises:
            NotFound, PreconditionFailed, Conflict: as `replay`.
        """
        async with self._database.tenant_session(principal) as session:
            reviews = ReviewRepository(session)
            entry = await self._open_entry(reviews, entry_id, if_match)
            await reviews.settle_entry(entry, state="discarded", by=principal.subject, record_id=None)
            await note(session, "discard-quarantine", entry.entity, entry.record_id)
            answer, what = entry_of(entry), _what(entry)
        self._settled.labels(what, "discarded").inc()
        return answer

    async def conflicts(
        self, principal: Principal, *, filters: Mapping[str, object], limit: int, cursor: str | None
    ) -> Page[SyncConflict]:
        """A page of conflicts, newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        rows, after = await self._page(principal, ConflictRow, filters=filters, limit=limit, cursor=cursor)
        return Page(items=[conflict_of(row) for row in rows], next_cursor=after)

    async def settle(self, principal: Principal, conflict_id: UUID, *, take: str) -> SyncConflict:
        """Say whose value stands; the source's goes into the record as it is now.

        Raises:
            NotFound: there is no such conflict.
            Conflict: it is settled, or the record is gone, being changed, or there already as another one.
            ValidationProblem: the record would not be right with the source's value, by itself or beside others.
        """
        async with self._database.tenant_session(principal) as session:
            reviews = ReviewRepository(session)
            row = _there(await reviews.find(ConflictRow, conflict_id, lock=True), "conflict", conflict_id)
            if row.resolution != "open":
                raise Conflict(f"The conflict is settled: {row.resolution} was taken.")
            if take == "source":
                await take_source(session, reviews, self._entities[row.entity], row)
            await reviews.settle_conflict(row, resolution=take, by=principal.subject)
            detail = {"field": row.field, "take": take}
            await note(session, "settle-conflict", row.entity, row.record_id, detail=detail)
            answer = conflict_of(row)
        self._settled.labels("conflict", take).inc()
        return answer

    async def runs(
        self, principal: Principal, *, job: str | None, limit: int, cursor: str | None
    ) -> Page[SyncRun]:
        """A page of runs, the latest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        before = None
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
                raise ValidationProblem(
                    errors=[
                        FieldError(
                            field="cursor", message="give back `next_cursor` of the page before, unchanged"
                        )
                    ]
                )
            before = int(cursor)
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            found = await ReviewRepository(session).runs(job=job, before=before, limit=limit + 1)
        items = [run_of(shards) for shards in found[:limit]]
        return Page(items=items, next_cursor=str(items[-1].id) if len(found) > limit else None)

    async def writes(
        self, principal: Principal, *, filters: Mapping[str, object], limit: int, cursor: str | None
    ) -> Page[SyncWrite]:
        """A page of what was written back to sources, or was to be, newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        rows, after = await self._page(principal, WriteRow, filters=filters, limit=limit, cursor=cursor)
        return Page(items=[write_of(row) for row in rows], next_cursor=after)

    async def write_again(self, principal: Principal, write_id: UUID) -> SyncWrite:
        """Have the next run write what a source refused: whoever looks after that has put it right.

        Raises:
            NotFound: there is no such write.
            Conflict: it was not refused.
        """
        async with self._database.tenant_session(principal) as session:
            reviews = ReviewRepository(session)
            row = _there(await reviews.find(WriteRow, write_id, lock=True), "write", write_id)
            if row.state != "refused":
                raise Conflict(f"Only what was refused is tried again: this one was {row.state}.")
            await reviews.write_again(row)
            await note(session, "write-again", row.entity, row.record_id, detail={"fields": row.fields})
            answer = write_of(row)
        self._settled.labels("write", "again").inc()
        return answer

    async def report(self, principal: Principal, number: int) -> SyncReport:
        """One run, with what was wrong and how conflicts were settled.

        Raises:
            NotFound: the caller's tenant has no such run.
        """
        async with self._database.tenant_session(principal) as session:
            reviews = ReviewRepository(session)
            shards = await reviews.run(number)
            if not shards:
                raise NotFound(f"There is no run {number}.")
            tallies = await reviews.tallies(number)
        found = {
            name: [Tallied(name=word, number=times) for word, times in rows] for name, rows in tallies.items()
        }
        return SyncReport(
            **msgspec.structs.asdict(run_of(shards)),
            faults=found["faults"],
            resolutions=found["resolutions"],
            conflict_fields=found["conflict_fields"],
            quality_change=change_of(tally_of(shards).quality),
            partitions=partitions_of(shards),
        )

    async def repairs(
        self, principal: Principal, number: int, *, limit: int, cursor: str | None
    ) -> Page[Repair]:
        """A page of the records that a run found not to be as they had been written, the newest first.

        What is read are their histories, so a record that was erased since is not among them.

        Raises:
            NotFound: the caller's tenant has no such run.
            ValidationProblem: the cursor is wrong.
        """
        after = history.decode(cursor) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            reviews = ReviewRepository(session)
            shards = await reviews.run(number)
            if not shards:
                raise NotFound(f"There is no run {number}.")
            found = await reviews.repairs(
                shards[0].job,
                since=min(shard.created_at for shard in shards),
                until=await reviews.next_run_began(shards[0]),
                after=after,
                limit=limit + 1,
            )
        rows = found[:limit]
        more = len(found) > limit
        following = history.encode(history.Mark(at=rows[-1].changed_at, id=rows[-1].id)) if more else None
        return Page(items=[repair_of(row) for row in rows], next_cursor=following)

    async def _page(
        self,
        principal: Principal,
        row: type[Any],
        *,
        filters: Mapping[str, object],
        limit: int,
        cursor: str | None,
    ) -> tuple[Sequence[Any], str | None]:
        after = cursors.decode(cursor, sort=SORT) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            found = await ReviewRepository(session).page(row, filters=filters, after=after, limit=limit + 1)
        rows = found[:limit]
        if len(found) <= limit:
            return rows, None
        return rows, cursors.encode(sort=SORT, key=rows[-1].created_at, row_id=rows[-1].id)

    async def _open_entry(self, reviews: ReviewRepository, entry_id: UUID, if_match: str) -> QuarantineRow:
        found = await reviews.find(QuarantineRow, entry_id, lock=True)
        entry = _there(found, "entry of the quarantine", entry_id)
        if not allows(if_match, entry.version):
            raise PreconditionFailed(
                "The entry was changed since you read it: read it again, then settle it."
            )
        if entry.state != "open":
            raise Conflict(f"The entry is settled: it was {entry.state}.")
        return entry


def _accepted(entity: Entity[Any, Any], draft: Mapping[str, Any], source: Source) -> Any:  # noqa: ANN401 - of any kind
    if "source" in draft:
        raise ValidationProblem(
            errors=[FieldError(field="draft.source", message="leave it out: the entry has it")]
        )
    with named_in_draft():
        return accepted(entity, draft, source)


def _there(row: RowT | None, what: str, row_id: UUID) -> RowT:
    if row is None:
        raise NotFound(f"There is no {what} {row_id}.")
    return row


def _what(entry: QuarantineRow) -> str:
    """What the metric calls an entry: one that a run could not take, or that a source did not."""
    return "refusal" if entry.direction == "back" else "quarantine"


def _is_second(entry: QuarantineRow) -> bool:
    return any(error["field"] == KEY for error in entry.errors)
