"""Tables of people who may be there twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Float, Integer, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin
from looma_engines.talent_sync.models import SCHEMA


class ScanRow(Base):
    """How far a tenant's people were looked at, and what the last look came to."""

    __tablename__ = "duplicate_scans"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    secret_check: Mapped[bytes | None] = mapped_column(LargeBinary)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    people: Mapped[int] = mapped_column(Integer)
    found: Mapped[int] = mapped_column(Integer)
    skipped: Mapped[dict[str, Any]] = mapped_column(JSONB)


class KeyRow(Base):
    """One blocking key of one person."""

    __tablename__ = "duplicate_keys"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    talent_id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str]


class DuplicateRow(TenantMixin, Base):
    """Two people who may be one; `first_id` is the lesser of the two, so the older record."""

    __tablename__ = "duplicates"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    first_id: Mapped[UUID]
    second_id: Mapped[UUID]
    verdict: Mapped[str]
    weight: Mapped[float] = mapped_column(Float)
    status: Mapped[str]
    compared: Mapped[bytes] = mapped_column(LargeBinary)
    merge_id: Mapped[UUID | None]
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    settled_by: Mapped[str | None]

    @property
    def pair(self) -> tuple[UUID, UUID]:
        """The ids of both."""
        return self.first_id, self.second_id


class MergeRow(TenantMixin, Base):
    """A merge. `before` is what it takes to undo it, encrypted."""

    __tablename__ = "merges"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    duplicate_id: Mapped[UUID]
    kept_id: Mapped[UUID]
    other_id: Mapped[UUID]
    other_source_type: Mapped[str]
    other_source_ref: Mapped[str | None]
    changed: Mapped[list[str]] = mapped_column(JSONB)
    relations: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    before: Mapped[bytes] = mapped_column(LargeBinary)
    merged_by: Mapped[str]
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    undone_by: Mapped[str | None]
