"""Tables of the taxonomy. What is derived is written by triggers alone (migration 0012)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from looma_core.db import Base
from looma_engines.talent_sync.models import SCHEMA
from looma_engines.talent_sync.records.rows import RecordRow


class SkillRow(RecordRow):
    """One skill."""

    __tablename__ = "skills"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    key: Mapped[str]
    name_en: Mapped[str | None]
    name_zh: Mapped[str | None]
    aliases: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    kind: Mapped[str]
    parents: Mapped[list[str]] = mapped_column(JSONB)
    esco_uri: Mapped[str | None]
    status: Mapped[str]
    replaced_by: Mapped[UUID | None]


class SkillImportRow(Base):
    """The version of a skill that an import wrote last: at a later one people changed it since."""

    __tablename__ = "skill_imports"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    skill_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)


class SkillNameRow(Base):
    """One name of one skill, with what it is compared by."""

    __tablename__ = "skill_names"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    skill_id: Mapped[UUID] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(Integer, primary_key=True)
    language: Mapped[str]
    name: Mapped[str]
    key: Mapped[str]


class SkillLinkRow(Base):
    """One skill above another: a parent, or the one that took its place."""

    __tablename__ = "skill_links"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    skill_id: Mapped[UUID] = mapped_column(primary_key=True)
    above_id: Mapped[UUID] = mapped_column(primary_key=True)
    how: Mapped[str] = mapped_column(Text, primary_key=True)


class RecordSkillsRow(Base):
    """What a person or a job is found by: a mark for each skill that the record names."""

    __tablename__ = "record_skills"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    marks: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
