"""Tables of the schema `talent_sync`."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Computed, Date, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_engines.talent_sync.records.rows import RecordRow
from looma_engines.talent_sync.schema import BRANCH, SCHEMA

__all__ = ["BRANCH", "SCHEMA", "CompanyRow", "JobRow", "RelationRow", "TalentRow"]


class TalentRow(RecordRow):
    """One person."""

    __tablename__ = "talents"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

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
    # What a sealed address and number are found by.
    email_hash: Mapped[str | None]
    phone_hash: Mapped[str | None]


class CompanyRow(RecordRow):
    """One company."""

    __tablename__ = "companies"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    name: Mapped[str]
    aliases: Mapped[list[str]] = mapped_column(JSONB)
    registration_number: Mapped[str | None]
    website: Mapped[str | None]
    industry: Mapped[str | None]
    size: Mapped[str | None]
    location: Mapped[str | None]
    description: Mapped[str | None]
    language: Mapped[str]


class JobRow(RecordRow):
    """One job. `company_id` is of the same tenant: the table's key says so, whatever asks."""

    __tablename__ = "jobs"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    title: Mapped[str]
    company_id: Mapped[UUID | None]
    company_name: Mapped[str | None]
    status: Mapped[str]
    location: Mapped[str | None]
    workplace: Mapped[str | None]
    employment: Mapped[str | None]
    description: Mapped[str | None]
    skills: Mapped[list[str]] = mapped_column(JSONB)
    experience_years: Mapped[int | None] = mapped_column(Integer)
    degree: Mapped[str | None]
    salary: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    openings: Mapped[int] = mapped_column(Integer)
    opens_on: Mapped[date | None] = mapped_column(Date)
    closes_on: Mapped[date | None] = mapped_column(Date)
    language: Mapped[str]


class RelationRow(RecordRow):
    """One relation of a person. Its ends are of the same tenant: the table's keys say so, whatever asks."""

    __tablename__ = "relations"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    kind: Mapped[str]
    talent_id: Mapped[UUID]
    company_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    other_talent_id: Mapped[UUID | None]
    title: Mapped[str | None]
    starts_on: Mapped[date | None] = mapped_column(Date)
    ends_on: Mapped[date | None] = mapped_column(Date)
    note: Mapped[str | None]
    begins: Mapped[date] = mapped_column(Date, Computed("''"), deferred=True)
