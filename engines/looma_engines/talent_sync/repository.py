"""Rows of `talents`, inside a session that already knows its tenant.

No statement names the tenant to read: row-level security does. The conflict target names it, since the index does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, Select, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from looma_core.api.talent import Source, Talent, TalentDraft, TalentFields
from looma_core.db import new_id
from looma_engines.talent_sync.models import TalentRow

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_engines.talent_sync.cursor import Position, Sort

_LIVE = TalentRow.deleted_at.is_(None)


class TalentRepository:
    """Reads and writes talents of the session's tenant.

    Args:
        session: from `Database.tenant_session`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, draft: TalentDraft) -> Talent | None:
        """Store a new talent; None if one from the same source is there."""
        statement = (
            insert(TalentRow)
            .values(
                id=new_id(),
                source_type=draft.source.type,
                source_ref=draft.source.ref,
                **_columns(draft),
            )
            .on_conflict_do_nothing(
                index_elements=["tenant", "source_type", "source_ref"],
                index_where=_LIVE & TalentRow.source_ref.is_not(None),
            )
            .returning(TalentRow)
        )
        row = (await self._session.scalars(statement)).one_or_none()
        return _talent(row) if row else None

    async def find(self, talent_id: UUID) -> Talent | None:
        """The talent with this id, or None."""
        return await self._one(select(TalentRow).where(TalentRow.id == talent_id, _LIVE))

    async def find_by_source(self, source: Source) -> Talent | None:
        """The talent that came from this source, or None."""
        return await self._one(
            select(TalentRow).where(
                TalentRow.source_type == source.type, TalentRow.source_ref == source.ref, _LIVE
            )
        )

    async def page(
        self,
        *,
        sort: Sort,
        limit: int,
        after: Position | None = None,
        q: str | None = None,
        source: str | None = None,
    ) -> list[Talent]:
        """Return up to `limit` talents in order, from after a position.

        Args:
            sort: order.
            limit: most rows.
            after: last row of the page before.
            q: words that must all occur in name, headline, location, email or skills, in any case.
            source: type of the source.
        """
        column = _column(sort)
        falling = sort.startswith("-")
        statement = select(TalentRow).where(_LIVE)
        if source is not None:
            statement = statement.where(TalentRow.source_type == source)
        for word in (q or "").lower().split():
            statement = statement.where(TalentRow.search.contains(word, autoescape=True))
        if after is not None:
            here, there = tuple_(column, TalentRow.id), tuple_(after.key, after.id)
            statement = statement.where(here < there if falling else here > there)
        order = (column.desc(), TalentRow.id.desc()) if falling else (column, TalentRow.id)
        rows = await self._session.scalars(statement.order_by(*order).limit(limit))
        return [_talent(row) for row in rows]

    async def replace(self, talent_id: UUID, *, version: int, fields: TalentFields) -> Talent | None:
        """Write all settable fields as the next version; None if `version` is no longer the stored one."""
        statement = (
            update(TalentRow)
            .where(TalentRow.id == talent_id, TalentRow.version == version, _LIVE)
            .values(version=version + 1, updated_at=func.now(), **_columns(fields))
            .returning(TalentRow)
        )
        row = (await self._session.scalars(statement)).one_or_none()
        return _talent(row) if row else None

    async def delete(self, talent_id: UUID, *, version: int) -> bool:
        """Hide a talent; False if `version` is no longer the stored one."""
        statement = (
            update(TalentRow)
            .where(TalentRow.id == talent_id, TalentRow.version == version, _LIVE)
            .values(version=version + 1, updated_at=func.now(), deleted_at=func.now())
            .returning(TalentRow.id)
        )
        return (await self._session.scalar(statement)) is not None

    async def _one(self, statement: Select[TalentRow]) -> Talent | None:
        row = (await self._session.scalars(statement)).one_or_none()
        return _talent(row) if row else None


def _column(sort: Sort) -> ColumnElement[Any]:
    columns: dict[str, ColumnElement[Any]] = {
        "created_at": TalentRow.created_at.expression,
        "updated_at": TalentRow.updated_at.expression,
        "full_name": TalentRow.full_name.expression,
    }
    return columns[sort.removeprefix("-")]


_SETTABLE = tuple(field.name for field in msgspec.structs.fields(TalentFields))


def _columns(fields: TalentFields) -> dict[str, Any]:
    return {name: msgspec.to_builtins(getattr(fields, name)) for name in _SETTABLE}


def _talent(row: TalentRow) -> Talent:
    values = {name: getattr(row, name) for name in _SETTABLE}
    return msgspec.convert(
        {
            **values,
            "id": row.id,
            "version": row.version,
            "source": {"type": row.source_type, "ref": row.source_ref},
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        },
        Talent,
    )
