"""Writes rows of a table of PostgreSQL.

A write is one transaction: it locks the row, compares it with what was read, changes it and reads what it has become.
So nobody else's change is lost, and none comes between. A row that is made has our id of the record in a column with a
unique index: the server itself lets no second one in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg.types.json import Json, Jsonb

from looma_core.api.syncjob import PostgresqlSource, WriteBack
from looma_engines.sync_worker.inputs import BadInputError

from ..source_row import SourceRow
from ..sources.credentials import Secrets
from ..sources.mapping import DriftError
from ..sources.plain import plain
from ..sources.postgresql import Cursor, PostgresqlRecords
from .putting import put
from .writable import (
    CHANGED,
    DOUBLE,
    GONE,
    MARKED,
    Change,
    Creation,
    Deletion,
    Outcome,
    Written,
    places_of,
)

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 5_000
_SESSION = f"""SELECT set_config('statement_timeout', '{STATEMENT_TIMEOUT_MS}', true),
    set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', true), set_config('TimeZone', 'UTC', true),
    set_config('DateStyle', 'ISO', true)"""
_TIMES = (1082, 1114, 1184)
"""Types `date`, `timestamp` and `timestamptz`, as the protocol has them."""
_BOOLEAN: Final = 16
_TAKE_OUR_ID = ("text", "character varying", "character", "uuid", "citext")
"""Types of keys that have room for one of our ids."""
_JSON: Mapping[int, type[Json | Jsonb]] = {114: Json, 3802: Jsonb}
_REFUSED = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.RaiseException,
)
"""A value that does not fit its column, a constraint, a trigger: of this row alone."""


@dataclass(frozen=True, kw_only=True)
class _Locked:
    """A row that is what was read: its values, their types, and what it is as a record."""

    values: Mapping[str, Any]
    types: Mapping[str, int]
    row: SourceRow


class PostgresqlWriter(PostgresqlRecords):
    """The rows of a table, as `PostgresqlRecords` reads them, in a session that may write.

    Args:
        source: what the SyncJob says of it.
        secrets: as of `PostgresqlRecords`.
        entity: what the records are.
        write_back: which column takes our ids, and which marks a row as deleted.
    """

    def __init__(
        self, source: PostgresqlSource, secrets: Secrets, entity: str, write_back: WriteBack
    ) -> None:
        super().__init__(source, secrets, entity)
        self._write_back = write_back

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
        return self._tried(lambda cursor: self._written(cursor, change))

    def find(self, record_id: UUID) -> SourceRow | None:
        """The row that was made for a record.

        Raises:
            BadInputError: rows cannot be made there.
            SourceGoneError: the database is away.
        """
        with (
            self._asked() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            return self._found(cursor, record_id)

    def create(self, creation: Creation) -> Written:
        """Make a row, unless there is one of this record.

        Raises:
            BadInputError: this account may not do so, or no column can take our id.
            SourceGoneError: the database is away.
        """
        return self._tried(lambda cursor: self._created(cursor, creation))

    def delete(self, deletion: Deletion) -> Written:
        """Delete a row, or mark it, if it still is what was read.

        Raises:
            BadInputError: this account may not do so, or the column of the mark is missing or of another type.
            SourceGoneError: the database is away, or somebody holds the row.
        """
        return self._tried(lambda cursor: self._deleted(cursor, deletion))

    def _tried(self, action: Callable[[psycopg.Cursor[tuple[Any, ...]]], Written]) -> Written:
        """Do something in one transaction; what the server refuses of this row alone is said without its values."""
        with self._asked() as connection:
            try:
                with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
                    cursor.execute(_SESSION)
                    return action(cursor)
            except DriftError as error:
                return Written(outcome=Outcome.REFUSED, reason=str(error))
            except _REFUSED as error:
                # The server's sentence may have the value.
                constraint = f", {error.diag.constraint_name}" if error.diag.constraint_name else ""
                reason = f"PostgreSQL refuses it ({type(error).__name__}{constraint})"
                return Written(outcome=Outcome.REFUSED, reason=reason)

    def _written(self, cursor: psycopg.Cursor[tuple[Any, ...]], change: Change) -> Written:
        found = self._locked(cursor, change.key, change.is_as_read)
        if isinstance(found, Written):
            return found
        values = put(found.values, self._source.fields, change.values, change.base)
        return self._updated(cursor, change.key, values, found.types)

    def _created(self, cursor: psycopg.Cursor[tuple[Any, ...]], creation: Creation) -> Written:
        identity = self._identity
        cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._from()))
        types = {column.name: column.type_code for column in cursor.description or ()}
        values = put({}, self._source.fields, creation.values, {})
        told = {name: _given(types.get(name, 0), value) for name, value in values.items()}
        told[identity] = str(creation.record_id)
        columns = [sql.Identifier(name) for name in told]
        given: list[sql.Composable] = [sql.Placeholder(f"v{number}") for number in range(len(told))]
        if types.get(at := self._source.updated_at) in _TIMES and at not in told:
            columns.append(sql.Identifier(at))
            given.append(sql.SQL("clock_timestamp()"))
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING RETURNING *").format(
            self._from(), sql.SQL(", ").join(columns), sql.SQL(", ").join(given), sql.Identifier(identity)
        )
        try:
            cursor.execute(statement, {f"v{number}": value for number, value in enumerate(told.values())})
        except psycopg.errors.InvalidColumnReference:
            raise BadInputError(
                f"spec.writeBack.creations: the column {identity} needs a unique index"
            ) from None
        made = self._one_row(cursor) or self._found(cursor, creation.record_id)
        if made is None:
            # A rule or a trigger made nothing of it.
            return Written(outcome=Outcome.REFUSED, reason="PostgreSQL made no row")
        return Written(outcome=Outcome.WRITTEN, row=made)

    def _deleted(self, cursor: psycopg.Cursor[tuple[Any, ...]], deletion: Deletion) -> Written:
        found = self._locked(cursor, deletion.key, deletion.is_as_read)
        if isinstance(found, Written):
            is_gone = found.outcome is Outcome.MOVED and found.row is None
            return Written(outcome=Outcome.WRITTEN, reason=GONE) if is_gone else found
        if mark := self._write_back.mark:
            return self._marked(cursor, deletion.key, mark, found)
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE {}").format(self._from(), self._here), {"key": deletion.key}
        )
        if cursor.rowcount != 1:
            return Written(outcome=Outcome.REFUSED, reason="PostgreSQL deleted no row")
        return Written(outcome=Outcome.WRITTEN)

    def _marked(
        self, cursor: psycopg.Cursor[tuple[Any, ...]], key: str, mark: str, found: _Locked
    ) -> Written:
        kind = found.types.get(mark)
        if kind != _BOOLEAN and kind not in _TIMES:
            raise BadInputError(
                f"spec.writeBack.mark: the source has no column {mark} that is a boolean or a time"
            )
        if found.values[mark] not in (None, False):
            return Written(outcome=Outcome.WRITTEN, row=found.row, reason=MARKED)
        value = sql.SQL("true" if kind == _BOOLEAN else "clock_timestamp()")
        return self._updated(cursor, key, {}, found.types, also=[(mark, value)])

    def _updated(
        self,
        cursor: psycopg.Cursor[tuple[Any, ...]],
        key: str,
        values: Mapping[str, Any],
        types: Mapping[str, int],
        *,
        also: Sequence[tuple[str, sql.SQL]] = (),
    ) -> Written:
        told = {
            f"v{number}": _given(types.get(name, 0), value)
            for number, (name, value) in enumerate(values.items())
        }
        parts = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"v{number}"))
            for number, name in enumerate(values)
        ]
        also = [*also]
        at = self._source.updated_at
        if types.get(at) in _TIMES and at not in values and all(at != name for name, _ in also):
            also.append((at, sql.SQL("clock_timestamp()")))
        parts += [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in also]
        cursor.execute(
            sql.SQL("UPDATE {} SET {} WHERE {} RETURNING *").format(
                self._from(), sql.SQL(", ").join(parts), self._here
            ),
            {"key": key, **told},
        )
        row = self._one_row(cursor, key)
        if row is None:
            # A rule or a trigger made nothing of it.
            return Written(outcome=Outcome.REFUSED, reason="PostgreSQL changed no row")
        return Written(outcome=Outcome.WRITTEN, row=row)

    def _locked(
        self, cursor: psycopg.Cursor[tuple[Any, ...]], key: str, is_as_read: Callable[[SourceRow], bool]
    ) -> _Locked | Written:
        """The row, which nobody changes before the transaction's end; or why it is not to be touched."""
        cursor.execute(
            sql.SQL("SELECT * FROM {} WHERE {} LIMIT 2 FOR UPDATE").format(self._from(), self._here),
            {"key": key},
        )
        types = {column.name: column.type_code for column in cursor.description or ()}
        rows = [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]
        if not rows:
            return Written(outcome=Outcome.MOVED, reason=GONE)
        if len(rows) > 1:
            return Written(outcome=Outcome.REFUSED, reason=DOUBLE)
        row = self._as_row(rows[0], key)
        if not is_as_read(row):
            return Written(outcome=Outcome.MOVED, row=row, reason=CHANGED)
        return _Locked(values=rows[0], types=types, row=row)

    def _found(self, cursor: psycopg.Cursor[tuple[Any, ...]], record_id: UUID) -> SourceRow | None:
        cursor.execute(
            sql.SQL("SELECT * FROM {} WHERE {} = %(id)s LIMIT 1").format(
                self._from(), sql.Identifier(self._identity)
            ),
            {"id": str(record_id)},
        )
        return self._one_row(cursor)

    @property
    def _identity(self) -> str:
        """The column that takes our id of a record.

        Raises:
            BadInputError: the key cannot, and none is named.
        """
        if self._write_back.external_id:
            return self._write_back.external_id
        if self._key_type not in _TAKE_OUR_ID:
            raise BadInputError(
                f"spec.writeBack.externalId: the key {self._source.key} is of type {self._key_type}, which the source "
                "gives itself; name a column with a unique index that takes our id of a record"
            )
        return self._source.key

    @property
    def _here(self) -> sql.Composed:
        return sql.SQL("{} = CAST(%(key)s AS {})").format(self._key, sql.SQL(self._key_type))

    def _one_row(self, cursor: psycopg.Cursor[tuple[Any, ...]], key: str | None = None) -> SourceRow | None:
        """The row that a statement gave, if it gave one; by its own key where it is not known."""
        names = [column.name for column in cursor.description or ()]
        found = cursor.fetchone()
        if found is None:
            return None
        values = dict(zip(names, found, strict=True))
        return self._as_row(values, str(values.get(self._source.key)) if key is None else key)

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
