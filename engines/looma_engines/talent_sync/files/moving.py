"""Files that go from one person to another when the two are merged, and back when that is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update

from .repository import FileRepository
from .rows import ResumeFileRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class MovedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that went, and the number that it had."""

    id: UUID
    number: int


async def move(session: AsyncSession, person: UUID, to: UUID) -> list[MovedFile]:
    """Give a person's files to another one. The same file stays where it is, hidden with whom it belongs to.

    Args:
        session: nobody else changes the two people meanwhile.
        person: who goes.
        to: who stays.
    """
    files = FileRepository(session)
    there = {held.file.sha256 for held in await files.held_of(to) if held.deleted_at is None}
    moved = []
    for held in await files.held_of(person):
        if held.deleted_at is not None or held.file.sha256 in there or held.file.number is None:
            continue
        await _give(session, held.file.id, to=to, number=await files.next_number(to))
        moved.append(MovedFile(id=held.file.id, number=held.file.number))
    return moved


async def back(session: AsyncSession, moved: list[MovedFile], *, person: UUID, from_: UUID) -> None:
    """Give them back. One that was linked to somebody else since stays there."""
    for one in moved:
        whose = select(ResumeFileRow.talent_id).where(ResumeFileRow.id == one.id).with_for_update()
        if await session.scalar(whose) == from_:
            await _give(session, one.id, to=person, number=one.number)


async def _give(session: AsyncSession, file_id: UUID, *, to: UUID, number: int) -> None:
    await session.execute(
        update(ResumeFileRow)
        .where(ResumeFileRow.id == file_id)
        .values(talent_id=to, number=number, version=ResumeFileRow.version + 1, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
