"""Rows of résumé files, inside a session that already knows its tenant; seals and opens on the way.

No statement names the tenant to read: row-level security does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from looma_core.api.page import Count
from looma_core.api.resume_file import HeldFile, ResumeFile
from looma_core.db import new_id
from looma_engines.talent_sync.models import TalentRow
from looma_engines.talent_sync.privacy.sealing import SealedBytes
from looma_engines.talent_sync.privacy.sessions import seals_of
from looma_engines.talent_sync.records.counting import MOST_COUNTED, Explained, counted

from .rows import FilePartRow, ResumeFileRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_engines.talent_sync.cursor import Position

PATH = "/api/v1/resume-files"
_LIVE = ResumeFileRow.deleted_at.is_(None)
# Whoever is deleted, or was merged away, hides the files as well; restored, they are there again. Joined, since what is
# asked for each row is cheap only while the planner expects few rows.
_THERE = and_(TalentRow.id == ResumeFileRow.talent_id, TalentRow.deleted_at.is_(None))
_SHOWN = or_(ResumeFileRow.talent_id.is_(None), TalentRow.id.is_not(None))


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """What is stored of an upload, beside its content."""

    talent_id: UUID | None
    number: int | None
    file_name: str
    media_type: str
    size: int
    sha256: str
    language: str | None
    uploaded_by: str


class FileRepository:
    """Reads and writes files of the session's tenant.

    Args:
        session: from `Database.tenant_session`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._seals = seals_of(session)

    async def lock_person(self, talent_id: UUID) -> bool:
        """Keep a person as they are until the transaction is over; False if there is none.

        Numbers are given out under this lock, and whoever erases the person waits.
        """
        found = select(TalentRow.id).where(TalentRow.id == talent_id, TalentRow.deleted_at.is_(None))
        return (await self._session.scalar(found.with_for_update(key_share=True))) is not None

    async def next_number(self, talent_id: UUID) -> int:
        """The number of a person's next file. One that was deleted keeps its own."""
        highest = select(func.max(ResumeFileRow.number)).where(ResumeFileRow.talent_id == talent_id)
        return (await self._session.scalar(highest) or 0) + 1

    async def add(self, new: NewFile) -> ResumeFile | None:
        """Store a file without its content; None if the same came at this moment."""
        file_id = new_id()
        values = {name: getattr(new, name) for name in NewFile.__dataclass_fields__}
        statement = (
            upsert(ResumeFileRow)
            .values(id=file_id, **{**values, **self._seals.file_columns(file_id, values)})
            .on_conflict_do_nothing()
            .returning(ResumeFileRow)
        )
        row = (await self._session.scalars(statement)).one_or_none()
        return self._file(row) if row else None

    async def add_part(self, file_id: UUID, position: int, data: bytes) -> None:
        """Store one part of a file's content."""
        sealed = self._seals.part(file_id, position, data)
        await self._session.execute(
            insert(FilePartRow).values(
                file_id=file_id, position=position, sealed_under=sealed.key, content=sealed.data
            )
        )

    async def part(self, file_id: UUID, position: int) -> bytes | None:
        """One part of a file's content; None if it is not there."""
        statement = select(FilePartRow.sealed_under, FilePartRow.content).where(
            FilePartRow.file_id == file_id, FilePartRow.position == position
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        return self._seals.opened_part(file_id, position, SealedBytes(row.sealed_under, row.content))

    async def find(self, file_id: UUID) -> ResumeFile | None:
        """The file with this id, or None."""
        return await self._one(_wanted({}).where(ResumeFileRow.id == file_id))

    async def find_same(self, talent_id: UUID | None, sha256: str) -> ResumeFile | None:
        """The file with these bytes of a person, or of nobody; None if there is none."""
        return await self._one(
            select(ResumeFileRow).where(
                _LIVE,
                ResumeFileRow.talent_id == talent_id,
                ResumeFileRow.content_hash.in_(self._seals.hashes("file", sha256)),
            )
        )

    async def _one(self, statement: Select[ResumeFileRow]) -> ResumeFile | None:
        row = (await self._session.scalars(statement.limit(1))).one_or_none()
        return self._file(row) if row else None

    async def page(
        self, *, filters: Mapping[str, object], limit: int, after: Position | None
    ) -> list[ResumeFile]:
        """Up to `limit` files, newest first, from after a position."""
        order = (ResumeFileRow.created_at, ResumeFileRow.id)
        statement = _wanted(filters).order_by(*(column.desc() for column in order)).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*order) < tuple_(after.key, after.id))
        return [self._file(row) for row in await self._session.scalars(statement)]

    async def count(self, filters: Mapping[str, object]) -> Count:
        """How many files a list has: exact up to a thousand, an estimate beyond."""
        ids = _wanted(filters).with_only_columns(ResumeFileRow.id)
        some = ids.limit(MOST_COUNTED + 1).subquery()
        number = await self._session.scalar(select(func.count()).select_from(some)) or 0
        if number <= MOST_COUNTED:
            return counted(number, expected=0)
        (plan,) = await self._session.scalar(Explained(ids))
        return counted(number, expected=int(plan["Plan"]["Plan Rows"]))

    async def held_of(self, talent_id: UUID) -> list[HeldFile]:
        """All files of a person, deleted or not, the oldest first."""
        rows = await self._session.scalars(
            select(ResumeFileRow).where(ResumeFileRow.talent_id == talent_id).order_by(ResumeFileRow.number)
        )
        return [
            HeldFile(file=self._file(row), deleted_at=row.deleted_at, content=f"{PATH}/{row.id}/content")
            for row in rows
        ]

    async def change(self, file_id: UUID, *, version: int, **values: Any) -> ResumeFile | None:
        """Write some columns as the next version; None if `version` is no longer the stored one."""
        statement = (
            update(ResumeFileRow)
            .where(ResumeFileRow.id == file_id, ResumeFileRow.version == version, _LIVE)
            .values(version=version + 1, updated_at=func.now(), **values)
            .returning(ResumeFileRow)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        row = (await self._session.scalars(statement)).one_or_none()
        return self._file(row) if row else None

    def _file(self, row: ResumeFileRow) -> ResumeFile:
        values = {name: getattr(row, name) for name in ResumeFile.__struct_fields__}
        stored = {"file_name": row.file_name, "sha256": row.sha256}
        return msgspec.convert({**values, **self._seals.file_values(row.id, stored)}, ResumeFile)


def _wanted(filters: Mapping[str, object]) -> Select[ResumeFileRow]:
    statement = select(ResumeFileRow).outerjoin(TalentRow, _THERE).where(_LIVE, _SHOWN)
    if filters.get("unlinked"):
        statement = statement.where(ResumeFileRow.talent_id.is_(None))
    for name in ("talent_id", "state"):
        if (wanted := filters.get(name)) is not None:
            statement = statement.where(getattr(ResumeFileRow, name) == wanted)
    return statement


def ids_of(files: Sequence[HeldFile]) -> list[UUID]:
    """The ids of files."""
    return [held.file.id for held in files]
