"""Tables of résumé files."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin
from looma_engines.talent_sync.models import SCHEMA


class ResumeFileRow(TenantMixin, Base):
    """One file. `file_name` and `sha256` are sealed; `content_hash` finds the same bytes within one tenant."""

    __tablename__ = "resume_files"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    version: Mapped[int] = mapped_column(Integer, server_default="1")
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    talent_id: Mapped[UUID | None]
    number: Mapped[int | None] = mapped_column(Integer)
    file_name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    content_hash: Mapped[str | None]
    language: Mapped[str | None]
    state: Mapped[str]
    reason: Mapped[str | None]
    uploaded_by: Mapped[str]


class FilePartRow(Base):
    """One part of a file's content: compressed, then sealed under the key `sealed_under`."""

    __tablename__ = "resume_file_parts"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant: Mapped[str] = mapped_column(Text, server_default=func.current_setting("looma.tenant"))
    sealed_under: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary)
