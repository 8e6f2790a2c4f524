"""Tables of applications and their stages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Integer, func
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin
from looma_engines.talent_sync.models import SCHEMA


class StageRow(TenantMixin, Base):
    """One stage of a tenant. It is never deleted: what was in it once still names it."""

    __tablename__ = "stages"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    key: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    kind: Mapped[str]
    place: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ApplicationRow(TenantMixin, Base):
    """One application. Whom and what it is about follows its relation: a trigger sees to that, and to `deleted_at`."""

    __tablename__ = "applications"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    relation_id: Mapped[UUID]
    talent_id: Mapped[UUID]
    job_id: Mapped[UUID]
    stage: Mapped[str]
    kind: Mapped[str]
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    owner: Mapped[str | None]
    source: Mapped[str | None]
    reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class MoveRow(Base):
    """One move of one application; only added to. Its table has a partition for each month."""

    __tablename__ = "application_moves"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(primary_key=True, server_default=func.current_setting("looma.tenant"))
    application_id: Mapped[UUID] = mapped_column(primary_key=True)
    moved_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    action: Mapped[str]
    from_stage: Mapped[str | None]
    to_stage: Mapped[str]
    kind: Mapped[str]
    moved_by: Mapped[str | None]
    reason: Mapped[str | None]
    owner: Mapped[str | None]
