"""Sessions on PostgreSQL. `Database` is made once per process; `tenant_session` once per request.

Every transaction of a tenant session starts with `set_config('looma.tenant', ..., true)`: local to that
transaction, so that a pooled connection forgets it. A session without it sees no row of any tenant, because the
policies compare with a setting that is then NULL or empty. The same statement says who asks (`looma.actor`), for what
the database itself writes down of a change; it is empty where a tenant's name alone was given.

For a copy of a request (`looma_core.shadowing`) a tenant session rolls back where it would commit, and no other
transaction of the pool can commit at all.

`one_transaction` and `with_each_transaction` are for the layer around a handler: what the handler's sessions do becomes
one transaction, or each of them takes something along.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import msgspec
from psycopg.errors import QueryCanceled
from sqlalchemy import event, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from looma_core.auth import Principal
from looma_core.db.pool import MeasuredPool, measure, measure_statements
from looma_core.problems import NotReady
from looma_core.shadowing import in_copy, refuse_in_copy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from prometheus_client import Counter
    from sqlalchemy import Connection
    from sqlalchemy.orm import ORMExecuteState, SessionTransaction

    from looma_core.metrics import Metrics

    TakenAlong = Callable[[AsyncSession], Awaitable[None]]
    """What a transaction that wrote does at its end, before it is committed; an error rolls it back."""

_TENANT = "looma_tenant"
_ACTOR = "looma_actor"
_WROTE = "looma_wrote"
_SET_TENANT = text(
    "SELECT set_config('looma.tenant', :tenant, true), set_config('looma.actor', :actor, true)"
)
# What a commit would have found wrong must be found all the same.
_CHECK_DEFERRED = text("SET CONSTRAINTS ALL IMMEDIATE")
STATEMENT_TIMEOUT_MS = 15_000
"""A request that takes longer has lost its client; the connection must come back."""
POOL_SECONDS = 5.0
"""Longer in the queue than most clients wait, and the answer would reach nobody."""
PREPARED_AFTER = 5
RETRY_AFTER = "2"
REFUSALS = {
    "pool": "All database connections of this process are in use; try again.",
    "statement": "The database took too long for this; try again, or ask for less.",
    "unreachable": "The database does not answer right now.",
}
"""Why a request is answered 503, in words."""
COPY_LOCK_MS = 1_000
"""How long a copy waits for a row that a real request has."""
_COPY_LOCK_TIMEOUT = text(f"SET LOCAL lock_timeout = {COPY_LOCK_MS}")


def _reason(error: Exception) -> str:
    if isinstance(error, PoolTimeoutError):
        return "pool"
    if isinstance(getattr(error, "orig", None), QueryCanceled):
        return "statement"
    return "unreachable"


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class TenantSession(Session):
    """The synchronous half of a tenant session; only here so that the event below knows its own kind."""


@event.listens_for(TenantSession, "after_begin")
def _set_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    connection.execute(_SET_TENANT, {"tenant": session.info[_TENANT], "actor": session.info[_ACTOR]})
    if in_copy():
        connection.execute(_COPY_LOCK_TIMEOUT)


def _keep_copies_from_committing(connection: Connection) -> None:
    if in_copy():
        # To SQLAlchemy a commit that fails is over: it would hand the connection on with the transaction still open.
        connection.connection.rollback()
    refuse_in_copy("commit to the database")


@event.listens_for(TenantSession, "do_orm_execute")
def _note_writing(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[_WROTE] = True


def tenant_of(session: AsyncSession) -> str:
    """The tenant that a session is for."""
    return str(session.info[_TENANT])


def _actor(tenant: Principal | str) -> str:
    """Who asks, in a form that PostgreSQL takes: it has no text with a zero in it."""
    return str(tenant.subject).replace("\x00", "") if isinstance(tenant, Principal) else ""


# The session that this task's sessions are part of, by the database and the tenant that it is for.
_joined: ContextVar[tuple[Database, str, AsyncSession] | None] = ContextVar("looma_joined", default=None)
_along: ContextVar[TakenAlong | None] = ContextVar("looma_along", default=None)


@contextmanager
def with_each_transaction(taken_along: TakenAlong) -> Iterator[None]:
    """Have each tenant session that writes, within this block and task, end with `taken_along`."""
    token = _along.set(taken_along)
    try:
        yield
    finally:
        _along.reset(token)


class Database:
    """The connection pool of one process.

    Args:
        url: SQLAlchemy URL, `postgresql+psycopg://...`; TLS parameters of libpq go into its query.
        pool_size: most connections.
        pool_seconds: how long a request waits for one before it is refused.
        statement_seconds: how long a statement may take before the database gives it up.
        application_name: shown in `pg_stat_activity`.
        info: what each tenant session has in its `info`, for an engine's repositories.
        metrics: where the pool tells of itself, if anywhere.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_seconds: float = POOL_SECONDS,
        statement_seconds: float = STATEMENT_TIMEOUT_MS / 1000,
        application_name: str = "looma",
        info: Mapping[str, Any] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._info = dict(info or {})
        self.engine: AsyncEngine = create_async_engine(
            url,
            poolclass=MeasuredPool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_seconds,
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
                # A statement that a connection sends for the sixth time is prepared there, and planned no more.
                "prepare_threshold": PREPARED_AFTER,
                "options": f"-c statement_timeout={round(statement_seconds * 1000)} -c TimeZone=UTC",
            },
        )
        self._refused: Counter | None = None
        if metrics is not None:
            measure(cast("MeasuredPool", self.engine.pool), metrics)
            measure_statements(self.engine.sync_engine, metrics)
            self._refused = metrics.counter(
                "looma_database_refused_total",
                "Requests answered 503 for the database's sake: no connection in time, a statement that took too"
                " long, or no answer.",
                ["reason"],
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
        info: dict[Any, Any] = {**self._info, _TENANT: name, _ACTOR: _actor(tenant)}
        joined = _joined.get()
        try:
            if joined is not None and joined[:2] == (self, name):
                # A savepoint: an error takes back what this block did, as a transaction of its own would.
                async with joined[2].begin_nested():
                    yield joined[2]
                return
            async with self._sessions(info=info) as session, session.begin() as transaction:
                yield session
                if (taken_along := _along.get()) is not None and session.info.get(_WROTE):
                    await taken_along(session)
                if in_copy():
                    await session.flush()
                    await session.execute(_CHECK_DEFERRED)
                    await transaction.rollback()
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            reason = _reason(error)
            if self._refused is not None:
                self._refused.labels(reason).inc()
            raise NotReady(REFUSALS[reason], headers={"Retry-After": RETRY_AFTER}) from error

    @asynccontextmanager
    async def one_transaction(self, tenant: Principal) -> AsyncIterator[AsyncSession]:
        """Make one transaction of all sessions that this task opens for this tenant within the block.

        It takes no connection before the first statement; commits at the end, rolls back on an error. Raises as
        `tenant_session`.
        """
        async with self.tenant_session(tenant) as session:
            token = _joined.set((self, tenant.tenant, session))
            try:
                yield session
            finally:
                _joined.reset(token)

    async def ping(self) -> None:
        """Readiness check: raises where the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
