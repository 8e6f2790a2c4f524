"""Tables of the schema `talent_sync`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Computed, DateTime, Integer, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin

SCHEMA = "talent_sync"
BRANCH = "talent_sync"


class TalentRow(TenantMixin, Base):
    """One person. Deleted people keep their row, without being seen, until erasure takes it."""

    __tablename__ = "talents"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    version: Mapped[int] = mapped_column(Integer, server_default="1")
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    full_name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    location: Mapped[str | None]
    headline: Mapped[str | None]
    summary: Mapped[str | None]
    language: Mapped[str]
    skills: Mapped[list[str]] = mapped_column(JSONB)
    experience: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    education: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    source_type: Mapped[str]
    source_ref: Mapped[str | None]
    search: Mapped[str] = mapped_column(Computed("''"), deferred=True)
