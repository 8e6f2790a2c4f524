"""Rows of `resumes`, inside a session that already knows its tenant; encrypts and decrypts on the way.

No statement names the tenant to read: row-level security does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import undefer

from looma_core.api.resume import ParsedResume, ResumeRecord, ResumeSource, ResumeSummary
from looma_core.db import new_id
from looma_engines.resume.models import ResumeRow

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.crypto import FileCipher


class NewResume(msgspec.Struct, kw_only=True):
    """What is stored of an upload."""

    file_name: str
    media_type: str
    sha256: str
    content: bytes
    parsed: ParsedResume
    source: ResumeSource


class ResumeRepository:
    """Reads and writes résumés of the session's tenant.

    Args:
        session: from `Database.tenant_session`.
        cipher: encrypts file, name and parsed document.
    """

    def __init__(self, session: AsyncSession, cipher: FileCipher) -> None:
        self._session = session
        self._cipher = cipher

    async def add(self, new: NewResume) -> ResumeRecord | None:
        """Store an upload; None if the same bytes are there already."""
        statement = (
            insert(ResumeRow)
            .values(
                id=new_id(),
                source=new.source,
                media_type=new.media_type,
                size=len(new.content),
                sha256=new.sha256,
                file_name=self._cipher.encrypt(new.file_name.encode()),
                content=self._cipher.encrypt(new.content),
                parsed=self._cipher.encrypt(msgspec.json.encode(new.parsed)),
            )
            .on_conflict_do_nothing(index_elements=["tenant", "sha256"])
            .returning(ResumeRow)
        )
        row = (await self._session.scalars(statement)).one_or_none()
        return ResumeRecord(**msgspec.structs.asdict(self._summary(row)), parsed=new.parsed) if row else None

    async def find(self, resume_id: UUID) -> ResumeRecord | None:
        """The résumé with this id, or None."""
        return await self._one(ResumeRow.id == resume_id)

    async def find_by_digest(self, sha256: str) -> ResumeRecord | None:
        """The résumé of these bytes, or None."""
        return await self._one(ResumeRow.sha256 == sha256)

    async def content(self, resume_id: UUID) -> tuple[ResumeSummary, bytes] | None:
        """The file's bytes as they were sent, or None."""
        statement = select(ResumeRow).where(ResumeRow.id == resume_id).options(undefer(ResumeRow.content))
        row = (await self._session.scalars(statement)).one_or_none()
        return (self._summary(row), self._cipher.decrypt(row.content)) if row else None

    async def page(self, *, limit: int, after: UUID | None, talent_id: UUID | None) -> list[ResumeSummary]:
        """Up to `limit` résumés, newest first.

        Args:
            limit: most rows.
            after: last id of the page before.
            talent_id: only those of this talent.
        """
        statement = select(ResumeRow).order_by(ResumeRow.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(ResumeRow.id < after)
        if talent_id is not None:
            statement = statement.where(ResumeRow.talent_id == talent_id)
        return [self._summary(row) for row in await self._session.scalars(statement)]

    async def set_talent(self, resume_id: UUID, talent_id: UUID) -> None:
        """Note whose résumé it is."""
        await self._session.execute(
            update(ResumeRow).where(ResumeRow.id == resume_id).values(talent_id=talent_id)
        )

    async def delete(self, resume_id: UUID) -> bool:
        """Erase a résumé; False if there is none."""
        statement = delete(ResumeRow).where(ResumeRow.id == resume_id).returning(ResumeRow.id)
        return (await self._session.scalar(statement)) is not None

    async def _one(self, condition: object) -> ResumeRecord | None:
        statement = select(ResumeRow).where(condition).options(undefer(ResumeRow.parsed))  # type: ignore[arg-type]
        row = (await self._session.scalars(statement)).one_or_none()
        if row is None:
            return None
        parsed = msgspec.json.decode(self._cipher.decrypt(row.parsed), type=ParsedResume)
        return ResumeRecord(**msgspec.structs.asdict(self._summary(row)), parsed=parsed)

    def _summary(self, row: ResumeRow) -> ResumeSummary:
        return ResumeSummary(
            id=row.id,
            talent_id=row.talent_id,
            file_name=self._cipher.decrypt(row.file_name).decode(),
            media_type=row.media_type,
            size=row.size,
            sha256=row.sha256,
            source=msgspec.convert(row.source, ResumeSource),
            created_at=row.created_at,
        )
