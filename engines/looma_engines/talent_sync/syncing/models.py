"""Tables of sync runs, as the API reads them; workers write them by statements of their own."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, DateTime, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base, TenantMixin
from looma_engines.talent_sync.schema import SCHEMA


class ShardRow(TenantMixin, Base):
    """How far one shard of a run came."""

    __tablename__ = "sync_shards"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    job: Mapped[str]
    uid: Mapped[str]
    epoch: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(BigInteger)
    shard: Mapped[int] = mapped_column(Integer)
    shards: Mapped[int] = mapped_column(Integer)
    run: Mapped[str]
    origin: Mapped[str]
    entity: Mapped[str]
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    verification: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    span: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    watermark: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class StateRow(Base):
    """What the source last gave for a key."""

    __tablename__ = "sync_states"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    entity: Mapped[str] = mapped_column(Text, primary_key=True)
    origin: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    record_id: Mapped[UUID]
    base: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    raw_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    written_version: Mapped[int] = mapped_column(Integer)
    written_digest: Mapped[bytes] = mapped_column(LargeBinary)
    seen_generation: Mapped[int] = mapped_column(BigInteger)
    seen_position: Mapped[int] = mapped_column(BigInteger)
    shard_hash: Mapped[int] = mapped_column(BigInteger)
    gone: Mapped[bool] = mapped_column(Boolean)
    offered_version: Mapped[int | None] = mapped_column(Integer)
    offered_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    put_right: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))


class QuarantineRow(TenantMixin, Base):
    """A record that a run could not take, or that a source did not."""

    __tablename__ = "quarantine"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    version: Mapped[int] = mapped_column(Integer)
    job: Mapped[str]
    epoch: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(BigInteger)
    origin: Mapped[str]
    entity: Mapped[str]
    key: Mapped[str]
    position: Mapped[int] = mapped_column(BigInteger)
    shard_hash: Mapped[int] = mapped_column(BigInteger)
    raw: Mapped[str]
    raw_digest: Mapped[bytes] = mapped_column(LargeBinary)
    whole: Mapped[bool] = mapped_column(Boolean)
    errors: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    state: Mapped[str]
    times: Mapped[int] = mapped_column(Integer)
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    settled_by: Mapped[str | None]
    record_id: Mapped[UUID | None]
    direction: Mapped[str]


class ConflictRow(TenantMixin, Base):
    """A field that both sides changed."""

    __tablename__ = "sync_conflicts"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    job: Mapped[str]
    epoch: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(BigInteger)
    origin: Mapped[str]
    entity: Mapped[str]
    key: Mapped[str]
    record_id: Mapped[UUID]
    field: Mapped[str]
    base: Mapped[Any] = mapped_column(JSONB)
    source: Mapped[Any] = mapped_column(JSONB)
    target: Mapped[Any] = mapped_column(JSONB)
    resolution: Mapped[str]
    reason: Mapped[str]
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    settled_by: Mapped[str | None]


class WriteRow(TenantMixin, Base):
    """A record that was, or is meant to be, written to its source."""

    __tablename__ = "sync_writes"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    job: Mapped[str]
    epoch: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(BigInteger)
    origin: Mapped[str]
    entity: Mapped[str]
    kind: Mapped[str]
    key: Mapped[str | None]
    record_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(Integer)
    fields: Mapped[list[str]] = mapped_column(JSONB)
    intended: Mapped[str | None]
    state: Mapped[str]
    reason: Mapped[str | None]
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
