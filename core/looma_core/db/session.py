"""Sessions on PostgreSQL. `Database` is made once per process; `tenant_session` once per request.

Every transaction of a tenant session starts with `set_config('looma.tenant', ..., true)`: local to that
transaction, so that a pooled connection forgets it. A session without it sees no row of any tenant, because the
policies compare with a setting that is then NULL or empty.

For a copy of a request (`looma_core.shadowing`) a tenant session rolls back where it would commit, and no other
transaction of the pool can commit at all.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import event, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from looma_core.auth import Principal
from looma_core.problems import NotReady
from looma_core.shadowing import in_copy, refuse_in_copy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.orm import SessionTransaction

_TENANT = "looma_tenant"
_SET_TENANT = text("SELECT set_config('looma.tenant', :tenant, true)")
# What a commit would have found wrong must be found all the same.
_CHECK_DEFERRED = text("SET CONSTRAINTS ALL IMMEDIATE")
STATEMENT_TIMEOUT_MS = 15_000
"""A request that takes longer has lost its client; the connection must come back."""
COPY_LOCK_MS = 1_000
"""How long a copy waits for a row that a real request has."""
_COPY_LOCK_TIMEOUT = text(f"SET LOCAL lock_timeout = {COPY_LOCK_MS}")


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class TenantSession(Session):
    """The synchronous half of a tenant session; only here so that the event below knows its own kind."""


@event.listens_for(TenantSession, "after_begin")
def _set_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    connection.execute(_SET_TENANT, {"tenant": session.info[_TENANT]})
    if in_copy():
        connection.execute(_COPY_LOCK_TIMEOUT)


def _keep_copies_from_committing(connection: Connection) -> None:
    if in_copy():
        # To SQLAlchemy a commit that fails is over: it would hand the connection on with the transaction still open.
        connection.connection.rollback()
    refuse_in_copy("commit to the database")


class Database:
    """The connection pool of one process.

    Args:
        url: SQLAlchemy URL, `postgresql+psycopg://...`; TLS parameters of libpq go into its query.
        pool_size: most connections; a request that waits longer than 10 s for one fails.
        application_name: shown in `pg_stat_activity`.
    """

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "looma") -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            # A restarted database must not fail one request per pooled connection.
            pool_pre_ping=True,
            pool_recycle=1800,
            hide_parameters=True,
            json_serializer=_to_json,
            json_deserializer=msgspec.json.decode,
            connect_args={
                "application_name": application_name,
                "connect_timeout": 5,
                # Without these a lost node holds a request for a quarter of an hour.
                "tcp_user_timeout": 20_000,
                "keepalives_idle": 15,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c TimeZone=UTC",
            },
        )
        # Whoever works on the pool without a tenant session would commit: a copy gets 409 instead.
        event.listen(self.engine.sync_engine, "commit", _keep_copies_from_committing)
        self._sessions = async_sessionmaker(
            self.engine, expire_on_commit=False, sync_session_class=TenantSession
        )

    @asynccontextmanager
    async def tenant_session(self, tenant: Principal | str) -> AsyncIterator[AsyncSession]:
        """Open a session for one tenant: commits at the end, rolls back on an error and for a copy of a request.

        Args:
            tenant: the caller, or a tenant's name.

        Raises:
            ValueError: the tenant's name is empty.
            NotReady: the database does not answer, or took too long; the caller may try again.
        """
        name = tenant.tenant if isinstance(tenant, Principal) else tenant
        if not name:
            msg = "a session needs a tenant"
            raise ValueError(msg)
        info: dict[Any, Any] = {_TENANT: name}
        try:
            async with self._sessions(info=info) as session, session.begin() as transaction:
                yield session
                if in_copy():
                    await session.flush()
                    await session.execute(_CHECK_DEFERRED)
                    await transaction.rollback()
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            detail = "The database does not answer right now."
            raise NotReady(detail, headers={"Retry-After": "2"}) from error

    async def ping(self) -> None:
        """Readiness check: raises where the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
