"""Tables of the schema `resume`."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin

SCHEMA = "resume"
BRANCH = "resume"


class ResumeRow(TenantMixin, Base):
    """One résumé file. `file_name`, `content` and `parsed` (JSON) are encrypted by `looma_core.crypto`."""

    __tablename__ = "resumes"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    talent_id: Mapped[UUID | None]
    source: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    file_name: Mapped[bytes] = mapped_column(LargeBinary)
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    parsed: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
