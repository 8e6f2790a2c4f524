"""Steps for migrations: a schema for an engine, and row-level security from a table's first day.

    def upgrade() -> None:
        create_schema(op, "talent_sync")
        op.create_table("talents", *tenant_columns(), ..., schema="talent_sync")
        enable_tenant_isolation(op, "talent_sync", "talents")

The application's role `looma_app` has no BYPASSRLS and owns nothing; FORCE makes the policy hold for the owner
too, so that a migration that fills in data must say so (`without_tenant_isolation`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.schema import SchemaItem
    from sqlalchemy.sql import Executable

APP_ROLE = "looma_app"
POLICY = "tenant_isolation"

# NULL where nothing was set, '' after a transaction that did: neither equals a tenant's name.
_TENANT = "current_setting('looma.tenant', true)"


class Operations(Protocol):
    """What these steps need of Alembic's module `op`."""

    def execute(self, sqltext: Executable | str, /) -> None:
        """Run one statement."""


def create_schema(op: Operations, schema: str) -> None:
    """Make an engine's schema, usable by the application's role."""
    op.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}"))
    op.execute(sa.text(f"GRANT USAGE ON SCHEMA {_quoted(schema)} TO {APP_ROLE}"))


def tenant_columns() -> list[SchemaItem]:
    """Columns that `TenantMixin` maps, for `op.create_table`."""
    return [
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "tenant", sa.Text(), server_default=sa.text("current_setting('looma.tenant')"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("tenant <> ''", name="tenant_named"),
    ]


def enable_tenant_isolation(
    op: Operations,
    schema: str,
    table: str,
    *,
    grants: Sequence[str] = ("SELECT", "INSERT", "UPDATE", "DELETE"),
) -> None:
    """Let the application's role see and write rows of its session's tenant only.

    Args:
        op: Alembic's operations.
        schema: schema of the table.
        table: a table with a column `tenant`.
        grants: what the application's role may do; an audit table leaves out UPDATE and DELETE.
    """
    for statement in isolation(schema, table):
        op.execute(sa.text(statement))
    op.execute(sa.text(f"GRANT {', '.join(grants)} ON {_quoted(schema)}.{_quoted(table)} TO {APP_ROLE}"))


def isolation(schema: str, table: str) -> list[str]:
    """Statements that keep a table's tenants apart and grant nothing, as for a partition."""
    name = f"{_quoted(schema)}.{_quoted(table)}"
    return [
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY {POLICY} ON {name} USING (tenant = {_TENANT}) WITH CHECK (tenant = {_TENANT})",
    ]


def grant_without_tenant(
    op: Operations,
    schema: str,
    table: str,
    *,
    grants: Sequence[str] = ("SELECT", "INSERT", "UPDATE", "DELETE"),
) -> None:
    """Grant a table that belongs to no tenant (sessions of the console, say) to the application's role."""
    op.execute(sa.text(f"GRANT {', '.join(grants)} ON {_quoted(schema)}.{_quoted(table)} TO {APP_ROLE}"))


@contextmanager
def without_tenant_isolation(op: Operations, schema: str, table: str) -> Iterator[None]:
    """Let the owner see all rows inside this block, to fill in data; the same transaction forces it again."""
    name = f"{_quoted(schema)}.{_quoted(table)}"
    op.execute(sa.text(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"))
    yield
    op.execute(sa.text(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"))


def _quoted(name: str) -> Any:  # noqa: ANN401 - a quoted_name is a str
    if not name.replace("_", "").isalnum():
        msg = f"not a plain name: {name!r}"
        raise ValueError(msg)
    return sa.quoted_name(name, quote=None)
