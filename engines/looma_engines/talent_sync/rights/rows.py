"""Rows of the ledger, of consents and of the audit, as the API reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin
from looma_engines.talent_sync.models import SCHEMA


class ErasureRow(TenantMixin, Base):
    """One entry of the ledger."""

    __tablename__ = "erasures"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    entity: Mapped[str]
    reason: Mapped[str]
    reference: Mapped[str | None]
    origin: Mapped[str]
    erased_by: Mapped[str | None]
    key_id: Mapped[str]
    counts: Mapped[dict[str, int]] = mapped_column(JSONB)
    proof: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class LiftRow(TenantMixin, Base):
    """That an erased person may be brought in again."""

    __tablename__ = "erasure_lifts"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    erasure_id: Mapped[UUID]
    basis: Mapped[str]
    purposes: Mapped[list[str]] = mapped_column(JSONB)
    reference: Mapped[str | None]
    lifted_by: Mapped[str]
    given_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ConsentRow(TenantMixin, Base):
    """One basis for one purpose."""

    __tablename__ = "consents"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    talent_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    purpose: Mapped[str]
    basis: Mapped[str]
    source: Mapped[str]
    evidence: Mapped[str | None]
    recorded_by: Mapped[str]
    given_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    withdrawn_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    withdrawn_by: Mapped[str | None]


class AuditRow(Base):
    """One event of the log. Its table has a partition for each month."""

    __tablename__ = "audit_events"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    action: Mapped[str]
    entity: Mapped[str]
    record_id: Mapped[UUID | None]
    actor: Mapped[str | None]
    reason: Mapped[str | None]
    request_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
