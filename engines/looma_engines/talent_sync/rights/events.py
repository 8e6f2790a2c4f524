"""The log of what was done with people's data, as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, tuple_

from looma_core.api.page import Page
from looma_core.api.rights import AuditEvent
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.moments import EVER, Span

from .rows import AuditRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

SORT = "-created_at"


class AuditService:
    """Reads the log of the caller's tenant.

    Args:
        database: connection pool.
        max_page_size: most items in one answer.
    """

    def __init__(self, database: Database, *, max_page_size: int) -> None:
        self._database = database
        self._max_page_size = max_page_size

    async def page(
        self,
        principal: Principal,
        *,
        filters: Mapping[str, object],
        limit: int,
        cursor: str | None,
        span: Span = EVER,
    ) -> Page[AuditEvent]:
        """One page of the events within a span, the newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        after = cursors.decode(cursor, sort=SORT) if cursor else None
        limit = min(limit, self._max_page_size)
        statement = events(filters=filters, span=span, after=after).limit(limit + 1)
        async with self._database.tenant_session(principal) as session:
            rows = (await session.scalars(statement)).all()
        items = [event_of(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(items=items)
        last = items[-1]
        return Page(items=items, next_cursor=cursors.encode(sort=SORT, key=last.at, row_id=last.id))


def events(*, filters: Mapping[str, object], span: Span, after: cursors.Position | None) -> Select[AuditRow]:
    """The statement that lists events, the newest first, from after a place."""
    newest = None if after is None else cast("datetime", after.key)
    statement = (
        select(AuditRow)
        .where(*span.of(AuditRow.at, newest=newest))
        .order_by(AuditRow.at.desc(), AuditRow.id.desc())
    )
    for name, wanted in filters.items():
        if wanted is not None:
            statement = statement.where(getattr(AuditRow, name) == wanted)
    if after is not None:
        statement = statement.where(tuple_(AuditRow.at, AuditRow.id) < tuple_(after.key, after.id))
    return statement


async def events_of(session: AsyncSession, *record_ids: UUID) -> list[AuditEvent]:
    """All events about some records, the newest first."""
    rows = await session.scalars(
        select(AuditRow).where(AuditRow.record_id.in_(record_ids)).order_by(AuditRow.at.desc(), AuditRow.id)
    )
    return [event_of(row) for row in rows]


def event_of(row: AuditRow) -> AuditEvent:
    """A row as the API answers it."""
    return msgspec.convert({name: getattr(row, name) for name in AuditEvent.__struct_fields__}, AuditEvent)
