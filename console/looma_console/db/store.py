"""Transactions on the console's schema, each bound to one tenant.

`Database.transaction()` is the only door: it sets `looma.tenant` for the transaction, so row-level security
always has a tenant to compare with and no query can forget it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from looma_console.db.models import AuditEntry
from looma_core.db.schema import VERSION_SCHEMA, version_table
from looma_core.db.session import STATEMENT_TIMEOUT_MS

BRANCH = "console"


class Database:
    """A pool of connections and the tenant that this console serves."""

    def __init__(self, url: str, *, tenant: str, pool_size: int = 8) -> None:
        """Open lazily: the first transaction connects, so the console can start before its database."""
        self.tenant = tenant
        self._engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=8,
            pool_pre_ping=True,
            pool_recycle=1800,
            pool_timeout=10,
            # The driver's messages would carry logins and addresses into the log.
            hide_parameters=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "looma-console",
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c TimeZone=UTC",
            },
        )
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction for this console's tenant: commits at the end, rolls back on any exception."""
        with self._sessions.begin() as session:
            session.execute(text("select set_config('looma.tenant', :tenant, true)"), {"tenant": self.tenant})
            yield session

    def revision(self) -> str | None:
        """Revision of the schema `console`, None if it was never migrated; raises SQLAlchemyError."""
        table = f"{VERSION_SCHEMA}.{version_table(BRANCH)}"
        with self.transaction() as session:
            if session.scalar(text("select to_regclass(:table)"), {"table": table}) is None:
                return None
            found: str | None = session.scalar(text(f"select version_num from {table}"))  # noqa: S608 - our own name
            return found

    def dispose(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def record(
    session: Session,
    *,
    tenant: str,
    who: str,
    action: str,
    object: str,  # noqa: A002 - the audit table's own word
    outcome: str = "done",
    detail: Mapping[str, Any] | None = None,
    request_id: str = "",
) -> None:
    """Write one audit entry in the caller's transaction, so that deed and record stand or fall together."""
    session.add(
        AuditEntry(
            tenant=tenant,
            at=dt.datetime.now(dt.UTC),
            who=who,
            action=action,
            object=object,
            outcome=outcome,
            detail=dict(detail or {}),
            request_id=request_id,
        )
    )
