"""Tables of the schema `console`.

Every table has the column `tenant` and a row-level security policy on it (see the migrations); a transaction
that names no tenant sees nothing. Nothing about talents is here: that belongs to the engines.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from looma_core.db import Base, new_id

SCHEMA = "console"


class User(Base):
    """A local account. `password_hash` is an Argon2id string with its own parameters and salt."""

    __tablename__ = "users"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str]
    login: Mapped[str]
    display_name: Mapped[str]
    password_hash: Mapped[str]
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class LoginSession(Base):
    """One signed-in browser. The cookie holds the id, the table only its SHA-256: a read of it opens nothing."""

    __tablename__ = "sessions"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    id_hash: Mapped[bytes] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    created_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime]
    address: Mapped[str]

    user: Mapped[User] = relationship(lazy="joined")


class AuditEntry(Base):
    """Who did what, when. The application's role may insert and read, never change or delete."""

    __tablename__ = "audit"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant: Mapped[str]
    at: Mapped[dt.datetime]
    who: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    outcome: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str]


class LoginFailure(Base):
    """Failed logins in a row for one key: a login at an address, or a login from anywhere."""

    __tablename__ = "login_failures"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012 - SQLAlchemy's own protocol

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[dt.datetime]
