"""What becomes of applications when two people are merged, and when they are two again.

An application follows its relation by itself. Only what the relations cannot tell is seen to here: two open
applications to one job become one, and one whose relation is there twice goes on by the other relation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from looma_engines.talent_sync.models import RelationRow

from .models import ApplicationRow

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession


async def would_be_open_twice(session: AsyncSession, relation_id: UUID, to: UUID) -> bool:
    """Whether an open application hangs on a relation, and its new person has an open one to the same job."""
    mine, theirs = ApplicationRow, aliased(ApplicationRow)
    found = (
        select(mine.id)
        .join(theirs, theirs.job_id == mine.job_id)
        .where(
            mine.relation_id == relation_id,
            mine.kind == "open",
            mine.deleted_at.is_(None),
            theirs.talent_id == to,
            theirs.kind == "open",
            theirs.deleted_at.is_(None),
        )
        .limit(1)
    )
    return await session.scalar(found) is not None


async def hang_on_double(session: AsyncSession, relation_id: UUID, to: UUID) -> list[UUID]:
    """Let applications of a relation that is there twice go on by the other one, where that one has none that is open.

    Returns:
        Which, for `hang_back`.
    """
    other, its = aliased(RelationRow), RelationRow
    double = await session.scalar(
        select(other.id)
        .join(its, its.id == relation_id)
        .where(
            other.id != its.id,
            other.talent_id == to,
            other.job_id == its.job_id,
            other.kind == its.kind,
            other.begins == its.begins,
            other.deleted_at.is_(None),
        )
    )
    if double is None or await would_be_open_twice(session, relation_id, to):
        return []
    return await _hang(
        session,
        ApplicationRow.relation_id == relation_id,
        ApplicationRow.deleted_at.is_(None),
        relation=double,
        person=to,
    )


async def hang_back(
    session: AsyncSession, applications: Collection[UUID], *, relation: UUID, person: UUID
) -> None:
    """Give applications back to the relation and the person that they were taken from, if it is there again."""
    there = select(RelationRow.id).where(RelationRow.id == relation, RelationRow.deleted_at.is_(None))
    if applications and await session.scalar(there) is not None:
        await _hang(session, ApplicationRow.id.in_(list(applications)), relation=relation, person=person)


async def _hang(
    session: AsyncSession, *which: ColumnElement[bool], relation: UUID, person: UUID
) -> list[UUID]:
    row = ApplicationRow
    moved = await session.scalars(
        update(row)
        .where(*which)
        .values(
            relation_id=relation,
            talent_id=person,
            version=row.version + 1,
            updated_at=func.greatest(row.updated_at, func.now()),
        )
        .returning(row.id)
        .execution_options(synchronize_session=False)
    )
    return list(moved)
