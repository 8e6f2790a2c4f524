"""The statement of a list narrowed to words and to what records hold, by the shorter of two roads (`searching.road`).

The repository asks for it; `talent_sync.look_up` (migration 0020) is the second road.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    String,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    text,
)

from looma_engines.talent_sync.records.searching import FREQUENT, MOST_LOOKED_UP, PROBED, Road, road

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql import FromClause

    from looma_engines.talent_sync.records.entity import Entity, Held

_LOOK_UP = text("SELECT talent_sync.look_up(:entity, :words, :marks, :most)::text").bindparams(
    bindparam("words", type_=ARRAY(String)), bindparam("marks", type_=ARRAY(BigInteger))
)


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What records of a list must have: words in what is searched, and marks of what they hold."""

    words: Sequence[str]
    held: Sequence[Held]

    def __bool__(self) -> bool:
        """Whether anything is sought."""
        return bool(self.words or self.held)

    @property
    def possible(self) -> bool:
        """Whether any record can have it."""
        return all(one.marks for one in self.held)

    def conditions(self, of: FromClause) -> list[ColumnElement[bool]]:
        """What a row of the records' table must be, or one of a part of it that has its keys and its text."""
        columns = of.c
        # Not LIKE: with row-level security on the planner may not look at what texts are like, takes each word for
        # rare, and reads the table whole rather than along the order. Of this it expects a third, so it walks.
        have = [func.strpos(columns.search, word) > 0 for word in self.words]
        return [*have, *(one.condition(columns.tenant, columns.id) for one in self.held)]


async def narrowed(
    session: AsyncSession, entity: Entity[Any, Any], statement: Select[Any], sought: Sought
) -> Select[Any]:
    """The statement for those alone that have what is sought."""
    table = entity.row.__table__
    # Read as far as it is asked for: as soon as there are enough hits the rest of it is not looked at.
    head = _head(entity, statement).cte("head")
    enough = select(literal(1)).select_from(head).where(*sought.conditions(head)).limit(FREQUENT).subquery()
    hits = select(func.count().label("hits")).select_from(enough).cte("hits")
    found = select(hits.c.hits).scalar_subquery()
    length = select(func.count()).select_from(head).scalar_subquery()
    asked = select(found, case((found < FREQUENT, length), else_=PROBED))
    number, probed = (await session.execute(asked)).one()
    statement = statement.where(*sought.conditions(table))
    if road(probed=probed, hits=number) is Road.WALK:
        return statement
    few = await looked_up(session, entity, statement, sought)
    return statement if few is None else few


async def sampled(
    session: AsyncSession, entity: Entity[Any, Any], statement: Select[Any], sought: Sought
) -> tuple[int, int]:
    """How many records the head of a list has, PROBED at most, and how many of these have what is sought."""
    head = _head(entity, statement).subquery()
    hits: ColumnElement[int] = func.count()
    if conditions := sought.conditions(head):
        hits = hits.filter(*conditions)
    probed, found = (await session.execute(select(func.count(), hits).select_from(head))).one()
    return probed, found


async def looked_up(
    session: AsyncSession, entity: Entity[Any, Any], statement: Select[Any], sought: Sought
) -> Select[Any] | None:
    """The statement for those that were looked up; None where they are too many for that."""
    # Of several things that are held the first is looked up: the statement asks for the others.
    marks = list(sought.held[0].marks) if sought.held else None
    asked = {"entity": entity.name, "words": list(sought.words), "marks": marks, "most": MOST_LOOKED_UP}
    ids = await session.scalar(_LOOK_UP, asked)
    if ids is None:
        return None
    # As the database wrote them: thousands of ids are not worth being read here.
    return statement.where(entity.row.id == any_(cast(literal(ids, String), ARRAY(Uuid))))


def _head(entity: Entity[Any, Any], statement: Select[Any]) -> Select[*tuple[Any, ...]]:
    row = entity.row
    return statement.with_only_columns(row.tenant, row.id, row.search).limit(PROBED)
