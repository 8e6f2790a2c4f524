"""Rows of one kind of record, inside a session that already knows its tenant.

No statement names the tenant to read: row-level security does.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic
from uuid import UUID

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Uuid,
    any_,
    func,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm.attributes import set_committed_value

from looma_core.db import new_id
from looma_engines.talent_sync.moments import EVER, Span
from looma_engines.talent_sync.privacy.fields import SEALED, hash_column
from looma_engines.talent_sync.privacy.sessions import seals_of
from looma_engines.talent_sync.records.counting import MOST_COUNTED, WALKED_TO_COUNT, Explained, counted
from looma_engines.talent_sync.records.entity import DraftT, Entity, Held, Lookup, RecordT
from looma_engines.talent_sync.records.history_rows import HistoryRow
from looma_engines.talent_sync.records.looking_up import Sought, looked_up, narrowed, sampled
from looma_engines.talent_sync.records.rows import RecordRow
from looma_engines.talent_sync.records.searching import PROBED, Road, is_address, road, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

    from looma_core.api.page import Count
    from looma_core.api.source import Source
    from looma_engines.talent_sync.cursor import Position
    from looma_engines.talent_sync.records.history import Mark


STREAMED_AT_ONCE = 200
STALLED_SECONDS = 60
"""How long whoever reads a stream may take for a part of it; then the database gives its connection up."""

_CREATED_AS = text("SELECT talent_sync.created_as(:entity, :record)")
"""What a record was when it was made; entries of an earlier release say it themselves."""
_STALLED = text(f"SET LOCAL idle_in_transaction_session_timeout = '{STALLED_SECONDS}s'")


class RecordRepository(Generic[DraftT, RecordT]):
    """Reads and writes records of the session's tenant.

    Args:
        session: from `Database.tenant_session`; its `info` has what seals (`privacy.sessions`).
        entity: their kind.
    """

    def __init__(self, session: AsyncSession, entity: Entity[DraftT, RecordT]) -> None:
        self._session = session
        self._entity = entity
        self._row = entity.row
        self._live = entity.row.deleted_at.is_(None)
        self._seals = seals_of(session)

    async def add(self, draft: DraftT) -> RecordT | None:
        """Store a new record; None if one from the same source is there, or one that is the same by another key."""
        record_id = new_id()
        statement = (
            insert(self._row)
            .values(
                id=record_id,
                source_type=draft.source.type,
                source_ref=draft.source.ref,
                **self._columns(record_id, draft),
            )
            .on_conflict_do_nothing()
            .returning(self._row)
        )
        return self._only(await self._records(await self._session.scalars(statement)))

    async def find(self, record_id: UUID) -> RecordT | None:
        """The record with this id, or None."""
        return await self._one(select(self._row).where(self._row.id == record_id, self._live))

    async def matching(self, *conditions: ColumnElement[bool]) -> list[RecordT]:
        """All records of which this holds, deleted ones too, the oldest first."""
        statement = select(self._row).where(*conditions).order_by(self._row.created_at, self._row.id)
        return await self._records(await self._session.scalars(statement))

    async def find_by_source(self, source: Source) -> RecordT | None:
        """The record that came from this source, or None; one without a reference is of no other's source."""
        if source.ref is None:
            return None
        return await self._one(
            select(self._row).where(
                self._row.source_type == source.type, self._row.source_ref == source.ref, self._live
            )
        )

    async def several(self, record_ids: Iterable[UUID]) -> list[RecordT]:
        """Those of the records with these ids that are there, in the order of their ids."""
        wanted = any_(literal(list(record_ids), ARRAY(Uuid())))
        statement = select(self._row).where(self._row.id == wanted, self._live).order_by(self._row.id)
        return await self._records(await self._session.scalars(statement))

    async def is_there(self, row: type[RecordRow], record_id: UUID) -> bool:
        """Whether there is such a record of another kind. It stays there until the transaction is over."""
        found = select(row.id).where(row.id == record_id, row.deleted_at.is_(None))
        return (await self._session.scalar(found.with_for_update(read=True))) is not None

    async def page(
        self,
        *,
        sort: str,
        limit: int,
        after: Position | None = None,
        q: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> list[RecordT]:
        """Return up to `limit` records in order, from after a position.

        Args:
            sort: order, one of the entity's; a hyphen turns it round.
            limit: most rows.
            after: last row of the page before.
            q: words that must all occur in what is searched, in any case.
            filters: columns and what they must be; None asks for nothing.
        """
        statement = self._wanted(sort=sort, filters=filters)
        if after is not None:
            column = self._entity.sorts[sort.removeprefix("-")]
            here, there = tuple_(column, self._row.id), tuple_(after.key, after.id)
            statement = statement.where(here < there if sort.startswith("-") else here > there)
        statement, words = self._by_address(statement, q)
        sought = Sought(words=words, held=[held for _, held in await self._held(filters)])
        if not sought.possible:
            return []
        if sought:
            statement = await narrowed(self._session, self._entity, statement, sought)
        return await self._records(await self._session.scalars(statement.limit(limit)))

    async def count(self, *, q: str | None, filters: Mapping[str, object] | None) -> Count:
        """How many records a list has: exact up to a thousand, an estimate beyond."""
        listed, words = self._by_address(self._wanted(sort="created_at", filters=filters), q)
        lookups = await self._held(filters)
        sought = Sought(words=words, held=[held for _, held in lookups])
        if not sought.possible:
            return counted(0, expected=0)
        statement, share = listed.where(*sought.conditions(self._row.__table__)), 1.0
        if sought:
            probed, hits = await sampled(self._session, self._entity, listed, sought)
            if road(probed=probed, hits=hits) is Road.LOOK_UP:
                few = await looked_up(self._session, self._entity, statement, sought)
                if few is not None:
                    number = await self._number(few)
                    return counted(number, expected=number)
            share = hits / probed if probed else 0.0
            if probed == PROBED:
                if not words:
                    # Of what is held alone the statistics know more than a thousand records tell.
                    whole = max(await self._expected(select(self._row).where(self._live)), 1)
                    for lookup, held in lookups:
                        share = min(1.0, await lookup.expected(self._session, held) / whole)
                expected = await self._expected(listed)
                if expected > WALKED_TO_COUNT:
                    return counted(MOST_COUNTED + 1, expected=round(expected * share))
        number = await self._number(statement.limit(MOST_COUNTED + 1))
        if number <= MOST_COUNTED:
            return counted(number, expected=0)
        return counted(number, expected=round(await self._expected(listed) * share))

    async def _number(self, statement: Select[RecordRow]) -> int:
        ids = statement.with_only_columns(self._row.id)
        return await self._session.scalar(select(func.count()).select_from(ids.subquery())) or 0

    async def _held(self, filters: Mapping[str, object] | None) -> list[tuple[Lookup, Held]]:
        lookups, given = self._entity.lookups, filters or {}
        return [
            (lookups[name], await lookups[name].held(self._session, given[name]))
            for name in lookups
            if given.get(name) is not None
        ]

    async def _expected(self, statement: Select[RecordRow]) -> int:
        (plan,) = await self._session.scalar(
            Explained(statement.with_only_columns(self._row.id).order_by(None))
        )
        return int(plan["Plan"]["Plan Rows"])

    async def stream(
        self, *, sort: str, q: str | None, filters: Mapping[str, object] | None
    ) -> AsyncGenerator[RecordT, None]:
        """All records of a list, through a cursor of the database: one statement, so one moment."""
        await self._session.execute(_STALLED)
        statement, words = self._by_address(self._wanted(sort=sort, filters=filters), q)
        sought = Sought(words=words, held=[held for _, held in await self._held(filters)])
        statement = statement.where(*sought.conditions(self._row.__table__))
        rows = await self._session.stream_scalars(statement.execution_options(yield_per=STREAMED_AT_ONCE))
        async for part in rows.partitions():
            for record in await self._records(part):
                yield record

    def _wanted(self, *, sort: str, filters: Mapping[str, object] | None) -> Select[RecordRow]:
        column = self._entity.sorts[sort.removeprefix("-")]
        statement = select(self._row).where(self._live)
        for name, wanted in (filters or {}).items():
            if wanted is None or name in self._entity.lookups:
                continue
            if name in SEALED.get(self._entity.name, ()):
                statement = statement.where(self._is(name, str(wanted)))
                continue
            condition = self._entity.conditions.get(name)
            statement = statement.where(
                condition(wanted) if condition else getattr(self._row, name) == wanted
            )
        if sort.startswith("-"):
            return statement.order_by(column.desc(), self._row.id.desc())
        return statement.order_by(column, self._row.id)

    def _by_address(self, statement: Select[RecordRow], q: str | None) -> tuple[Select[RecordRow], list[str]]:
        """The statement narrowed to the addresses among the words of a query, and the words that are left.

        Of an address that is sealed no part is found, but the whole.
        """
        words = words_of(q)
        if "email" not in SEALED.get(self._entity.name, ()):
            return statement, words
        addresses = [word for word in words if is_address(word)]
        statement = statement.where(*(self._is("email", address) for address in addresses))
        return statement, [word for word in words if word not in addresses]

    def _is(self, field: str, value: str) -> ColumnElement[bool]:
        column: InstrumentedAttribute[str | None] = getattr(self._row, hash_column(field))
        return column.in_(self._seals.hashes(field, value))

    async def replace(self, record_id: UUID, *, version: int, draft: DraftT) -> RecordT | None:
        """Write all settable fields as the next version; None if `version` is no longer the stored one."""
        statement = (
            update(self._row)
            .where(self._row.id == record_id, self._row.version == version, self._live)
            .values(version=version + 1, updated_at=func.now(), **self._columns(record_id, draft))
            .returning(self._row)
        )
        return self._only(await self._records(await self._session.scalars(statement)))

    async def delete(self, record_id: UUID, *, version: int) -> bool:
        """Hide a record; False if `version` is no longer the stored one."""
        statement = (
            update(self._row)
            .where(self._row.id == record_id, self._row.version == version, self._live)
            .values(version=version + 1, updated_at=func.now(), deleted_at=func.now())
            .returning(self._row.id)
        )
        return (await self._session.scalar(statement)) is not None

    async def restore(self, record_id: UUID, draft: DraftT) -> bool:
        """Bring a deleted record back with these fields; False if it is not deleted."""
        statement = (
            update(self._row)
            .where(self._row.id == record_id, self._row.deleted_at.is_not(None))
            .values(
                version=self._row.version + 1,
                updated_at=func.now(),
                deleted_at=None,
                **self._columns(record_id, draft),
            )
            .returning(self._row.id)
        )
        return (await self._session.scalar(statement)) is not None

    async def undelete(self, record_id: UUID, *, version: int) -> RecordT | None:
        """Bring a deleted record back as it was; None if `version` is no longer the stored one."""
        statement = (
            update(self._row)
            .where(self._row.id == record_id, self._row.version == version, self._row.deleted_at.is_not(None))
            .values(version=version + 1, updated_at=func.now(), deleted_at=None)
            .returning(self._row)
        )
        return self._only(await self._records(await self._session.scalars(statement)))

    async def was_there(self, record_id: UUID) -> bool:
        """Whether there is such a record, or was one that is deleted."""
        found = select(self._row.id).where(self._row.id == record_id)
        return (await self._session.scalar(found)) is not None

    async def history(
        self, record_id: UUID, *, limit: int, after: Mark | None = None, span: Span = EVER
    ) -> list[HistoryRow]:
        """Return up to `limit` entries about a record within a span, the newest first, from after a mark."""
        order = (HistoryRow.changed_at, HistoryRow.id)
        statement = select(HistoryRow).where(
            HistoryRow.record_id == record_id,
            HistoryRow.entity == self._entity.name,
            *span.of(HistoryRow.changed_at, newest=after.at if after else None),
        )
        if after is not None:
            statement = statement.where(tuple_(*order) < tuple_(after.at, after.id))
        rows = await self._session.scalars(
            statement.order_by(*(column.desc() for column in order)).limit(limit)
        )
        entries = list(rows)
        if entries and entries[-1].action == "create" and not entries[-1].changes:
            told = {"entity": self._entity.name, "record": record_id}
            set_committed_value(entries[-1], "changes", await self._session.scalar(_CREATED_AS, told))
        for entry in entries:
            changes = self._seals.changes(entry.entity, record_id, entry.changes)
            set_committed_value(entry, "changes", changes)
        return entries

    async def _one(self, statement: Select[RecordRow]) -> RecordT | None:
        return self._only(await self._records(await self._session.scalars(statement)))

    def _only(self, records: list[RecordT]) -> RecordT | None:
        return records[0] if records else None

    async def _records(self, found: Iterable[RecordRow]) -> list[RecordT]:
        rows = list(found)
        names = {
            name: await self._names(
                self._entity.references[field], column, {getattr(row, field) for row in rows}
            )
            for name, (field, column) in self._entity.names.items()
        }
        return [self._record(row, names) for row in rows]

    async def _names(
        self, row: type[RecordRow], column: InstrumentedAttribute[str], ids: set[UUID | None]
    ) -> dict[UUID, str]:
        wanted = ids - {None}
        if not wanted:
            return {}
        found = await self._session.execute(select(row.id, column).where(row.id.in_(wanted)))
        return {one: name for one, name in found.tuples()}  # noqa: C416 - dict() takes a result for a mapping

    def _columns(self, record_id: UUID, draft: DraftT) -> dict[str, Any]:
        # What a column holds as it is stays so; all else is JSON.
        values = {
            name: msgspec.to_builtins(getattr(draft, name), builtin_types=(date, datetime, UUID))
            for name in self._entity.settable
        }
        return self._seals.columns(self._entity.name, record_id, values)

    def _record(self, row: RecordRow, names: Mapping[str, Mapping[UUID, str]]) -> RecordT:
        stored = {name: getattr(row, name) for name in self._entity.settable}
        values = self._seals.values(self._entity.name, row.id, stored)
        for name, (field, _) in self._entity.names.items():
            values[name] = names[name].get(getattr(row, field))
        return msgspec.convert(
            {
                **values,
                "id": row.id,
                "version": row.version,
                "source": {"type": row.source_type, "ref": row.source_ref},
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            },
            self._entity.record,
        )
