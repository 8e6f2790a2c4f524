"""Columns that every kind of record has."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Computed, DateTime, Integer, func
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin


class RecordRow(TenantMixin, Base):
    """One record. What was deleted keeps its row, without being seen, until erasure takes it."""

    __abstract__ = True

    version: Mapped[int] = mapped_column(Integer, server_default="1")
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    source_type: Mapped[str]
    source_ref: Mapped[str | None]
    search: Mapped[str] = mapped_column(Computed("''"), deferred=True)
