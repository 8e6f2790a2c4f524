"""Writes rows of a table of PostgreSQL.

A write is one transaction: it locks the row, compares it with what was read, changes it and reads what it has become.
So nobody else's change is lost, and none comes between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg.types.json import Json, Jsonb

from ..source_row import SourceRow
from ..sources.mapping import DriftError
from ..sources.plain import plain
from ..sources.postgresql import Cursor, PostgresqlRecords
from .putting import put
from .writable import CHANGED, DOUBLE, GONE, Change, Outcome, Written, places_of

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 5_000
_SESSION = f"""SELECT set_config('statement_timeout', '{STATEMENT_TIMEOUT_MS}', true),
    set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', true), set_config('TimeZone', 'UTC', true),
    set_config('DateStyle', 'ISO', true)"""
_TIMES = (1082, 1114, 1184)
"""Types `date`, `timestamp` and `timestamptz`, as the protocol has them."""
_JSON: Mapping[int, type[Json | Jsonb]] = {114: Json, 3802: Jsonb}
_REFUSED = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.RaiseException,
)
"""A value that does not fit its column, a constraint, a trigger: of this row alone."""


class PostgresqlWriter(PostgresqlRecords):
    """The rows of a table, as `PostgresqlRecords` reads them, in a session that may write."""

    def places(self, settable: Collection[str]) -> frozenset[str]:
        """Fields whose columns are named, or are there under the same name.

        Raises:
            BadInputError: the table cannot be read.
            SourceGoneError: the database is away.
        """
        if self._source.fields:
            return places_of(self._source.fields, settable, None)
        with self._asked() as connection, connection.transaction():
            found = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._from())).description
        return places_of({}, settable, [column.name for column in found or ()])

    def write(self, change: Change) -> Written:
        """Write a row, if it still is what was read.

        Raises:
            BadInputError: this account may not write there, or a column is missing.
            SourceGoneError: the database is away, or somebody holds the row.
        """
        with self._asked() as connection:
            try:
                with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
                    return self._written(cursor, change)
            except DriftError as error:
                return Written(outcome=Outcome.REFUSED, reason=str(error))
            except _REFUSED as error:
                # The server's sentence may have the value.
                constraint = f", {error.diag.constraint_name}" if error.diag.constraint_name else ""
                reason = f"PostgreSQL refuses it ({type(error).__name__}{constraint})"
                return Written(outcome=Outcome.REFUSED, reason=reason)

    def _written(self, cursor: psycopg.Cursor[tuple[Any, ...]], change: Change) -> Written:
        cursor.execute(_SESSION)
        here = sql.SQL("{} = CAST(%(key)s AS {})").format(self._key, sql.SQL(self._key_type))
        table = self._from()
        cursor.execute(
            sql.SQL("SELECT * FROM {} WHERE {} LIMIT 2 FOR UPDATE").format(table, here), {"key": change.key}
        )
        types = {column.name: column.type_code for column in cursor.description or ()}
        rows = [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]
        if not rows:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        if len(rows) > 1:
            return Written(outcome=Outcome.REFUSED, reason=DOUBLE)
        before = self._as_row(rows[0], change.key)
        if not change.is_as_read(before):
            return Written(outcome=Outcome.MOVED, row=before, reason=CHANGED)
        values = put(rows[0], self._source.fields, change.values, change.base)
        told = {
            f"v{number}": _given(types.get(name, 0), value)
            for number, (name, value) in enumerate(values.items())
        }
        parts = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"v{number}"))
            for number, name in enumerate(values)
        ]
        if types.get(at := self._source.updated_at) in _TIMES and at not in values:
            parts.append(sql.SQL("{} = clock_timestamp()").format(sql.Identifier(at)))
        cursor.execute(
            sql.SQL("UPDATE {} SET {} WHERE {} RETURNING *").format(table, sql.SQL(", ").join(parts), here),
            {"key": change.key, **told},
        )
        names = [column.name for column in cursor.description or ()]
        found = cursor.fetchone()
        if found is None:
            # A rule or a trigger made nothing of it.
            return Written(outcome=Outcome.REFUSED, reason="PostgreSQL changed no row")
        return Written(
            outcome=Outcome.WRITTEN, row=self._as_row(dict(zip(names, found, strict=True)), change.key)
        )

    def _as_row(self, row: Mapping[str, Any], key: str) -> SourceRow:
        values = {name: plain(value) for name, value in row.items()}
        return self._row(values, Cursor(key=key, same=1, position=1))

    def _connect(self) -> psycopg.Connection[Any]:
        connection = super()._connect()
        connection.read_only = False
        # Of what is there when the row is locked, and not of some time before.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def _begin(self, connection: psycopg.Connection[Any]) -> None:
        super()._begin(connection)
        # Each write is a transaction of its own.
        connection.commit()


def _given(type_code: int, value: Any) -> Any:  # noqa: ANN401 - any plain value
    """A value as it is sent: for JSON as that, else as a text that the server makes the column's own type of."""
    if value is None:
        return None
    if type_code in _JSON:
        return _JSON[type_code](value)
    if isinstance(value, list):
        if any(isinstance(one, (dict, list)) for one in value):
            raise DriftError("the column has no room for objects")
        return value
    if isinstance(value, Mapping):
        raise DriftError("the column has no room for an object")
    return str(value).lower() if isinstance(value, bool) else str(value)
