"""Conventions of all tables: names of constraints, ids, times, the tenant column."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, MetaData, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from looma_core.db.ids import new_id

# Alembic names what it drops: every constraint has a name that follows from its table.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all mapped classes. Each engine sets its schema in `__table_args__`."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        str: Text(),
        dict: JSONB(),
        list: JSONB(),
    }


class TenantMixin:
    """Columns of every row that belongs to a tenant; row-level security compares `tenant`."""

    @declared_attr
    def id(cls) -> Mapped[UUID]:  # noqa: N805 - a declared_attr is a class method
        """UUID version 7."""
        return mapped_column(Uuid(), primary_key=True, default=new_id)

    @declared_attr
    def tenant(cls) -> Mapped[str]:  # noqa: N805
        """Filled in by the database from the session's own tenant, so that no code can write another."""
        return mapped_column(
            Text(),
            CheckConstraint("tenant <> ''", name="tenant_named"),
            server_default=func.current_setting("looma.tenant"),
            nullable=False,
        )

    @declared_attr
    def created_at(cls) -> Mapped[datetime]:  # noqa: N805
        """When the row came, by the database's clock."""
        return mapped_column(DateTime(timezone=True), server_default=func.now(), nullable=False)
