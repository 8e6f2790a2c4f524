"""Entries of the history, as the table has them. The database writes them; nothing here can."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base


class HistoryRow(Base):
    """One change of one record. Its table has a partition for each month."""

    __tablename__ = "record_history"
    __table_args__ = {"schema": "talent_sync"}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    entity: Mapped[str]
    version: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str | None]
    origin: Mapped[str]
    action: Mapped[str]
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB)
