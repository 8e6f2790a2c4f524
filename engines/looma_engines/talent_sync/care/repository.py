"""What PostgreSQL counts of itself, asked as the application's role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.errors import InsufficientPrivilege, ObjectNotInPrerequisiteState
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from looma_core.api.database import DatabaseState, Statements, StatementsState, StatementStats, TableStats

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

SLOW_MS = 50.0
MOST_STATEMENTS = 50
LARGE_ROWS = 1_000
"""From here on a table that is read whole is worth a look."""
HINTS: dict[StatementsState, str] = {
    "missing": "Have a superuser run CREATE EXTENSION pg_stat_statements in this database.",
    "not-loaded": "Put pg_stat_statements into shared_preload_libraries and start the database again.",
    "not-readable": "Grant SELECT on pg_stat_statements to the application's role.",
}

_PLACE = text(
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    " WHERE e.extname = 'pg_stat_statements'"
)
# The role's own alone: of others' it would see no text, and what they do is not the application's.
_STATEMENTS = """
    SELECT queryid, left(query, 4000) AS query, calls, mean_exec_time, max_exec_time, total_exec_time, rows,
        shared_blks_hit, shared_blks_read,
        count(*) FILTER (WHERE mean_exec_time > :slow) OVER () AS slow,
        count(*) FILTER (WHERE max_exec_time > :slow) OVER () AS once_slow
    FROM {place}.pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND userid = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND toplevel
    ORDER BY {order} DESC LIMIT :most
"""
ORDERS = {"total": "total_exec_time", "mean": "mean_exec_time", "max": "max_exec_time", "calls": "calls"}
_TABLES = text(
    """
    SELECT schemaname || '.' || relname AS name, n_live_tup, n_dead_tup, coalesce(idx_scan, 0) AS idx_scan,
        coalesce(seq_scan, 0) AS seq_scan,
        coalesce(pg_table_size(relid), 0) AS table_bytes, coalesce(pg_indexes_size(relid), 0) AS index_bytes,
        greatest(last_vacuum, last_autovacuum) AS vacuumed_at, greatest(last_analyze, last_autoanalyze) AS analyzed_at
    FROM pg_stat_user_tables ORDER BY coalesce(pg_total_relation_size(relid), 0) DESC, name LIMIT 200
    """
)
_WHOLE = text(
    """
    SELECT current_setting('server_version') AS version, pg_database_size(datid) AS bytes, numbackends, deadlocks,
        blks_hit, blks_read, current_setting('max_connections')::int AS most_connections
    FROM pg_stat_database WHERE datname = current_database()
    """
)


def ratio(part: int, rest: int) -> float | None:
    """The part of both together, or None where there is neither."""
    return part / (part + rest) if part + rest else None


class CareRepository:
    """Reads the database's statistics.

    Args:
        session: from `Database.tenant_session`; what is read is no tenant's.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def statements(self, *, order: str) -> Statements:
        """The statements of the application's role that took most, or why there are none to see."""
        place = await self._session.scalar(_PLACE)
        if place is None:
            return _none("missing")
        query = text(_STATEMENTS.format(place=place, order=ORDERS[order]))
        try:
            async with self._session.begin_nested():
                found = (await self._session.execute(query, {"slow": SLOW_MS, "most": MOST_STATEMENTS})).all()
        except DBAPIError as error:
            if isinstance(error.orig, ObjectNotInPrerequisiteState):
                return _none("not-loaded")
            if isinstance(error.orig, InsufficientPrivilege):
                return _none("not-readable")
            raise
        return Statements(
            state="ready",
            slow_ms=SLOW_MS,
            slow=found[0].slow if found else 0,
            once_slow=found[0].once_slow if found else 0,
            items=[
                StatementStats(
                    id=str(row.queryid),
                    text=" ".join(row.query.split()),
                    calls=row.calls,
                    mean_ms=round(row.mean_exec_time, 3),
                    max_ms=round(row.max_exec_time, 3),
                    total_ms=round(row.total_exec_time, 3),
                    rows=row.rows,
                    cache_hit_ratio=ratio(row.shared_blks_hit, row.shared_blks_read),
                )
                for row in found
            ],
        )

    async def state(self) -> DatabaseState:
        """The database as a whole and its tables."""
        whole = (await self._session.execute(_WHOLE)).one()
        tables = [
            TableStats(
                name=row.name,
                rows=row.n_live_tup,
                dead_rows=row.n_dead_tup,
                table_bytes=row.table_bytes,
                index_bytes=row.index_bytes,
                index_scans=row.idx_scan,
                sequential_scans=row.seq_scan,
                vacuumed_at=row.vacuumed_at,
                analyzed_at=row.analyzed_at,
            )
            for row in await self._session.execute(_TABLES)
        ]
        large = [table for table in tables if table.rows >= LARGE_ROWS]
        return DatabaseState(
            version=whole.version,
            bytes=whole.bytes,
            connections=whole.numbackends,
            most_connections=whole.most_connections,
            cache_hit_ratio=ratio(whole.blks_hit, whole.blks_read),
            index_use_ratio=ratio(
                sum(table.index_scans for table in large), sum(table.sequential_scans for table in large)
            ),
            deadlocks=whole.deadlocks,
            tables=tables,
        )


def _none(state: StatementsState) -> Statements:
    return Statements(state=state, hint=HINTS[state], slow_ms=SLOW_MS)
