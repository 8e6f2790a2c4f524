"""Reads a table of PostgreSQL, or what a query gives.

One transaction reads all: read-only, of one snapshot, by a cursor of the server's, so that memory does not grow with
the table; the second reading is of the same snapshot. A connection that was lost is followed by another with a snapshot
of its own, from the last key on; what changed in between is found by the next incremental run, whose time is that of
the first snapshot.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from looma_core.api.syncjob import PostgresqlSource
from looma_engines.sync_worker.inputs import BadInputError

from ..source_row import SourceRow
from .credentials import Secrets
from .making import row_of
from .plain import plain
from .record_source import SourceGoneError

STATEMENT_TIMEOUT_MS = 300_000
"""For each piece that is fetched; the first may have to sort the whole table."""
LOCK_TIMEOUT_MS = 30_000
FETCHED = 200
"""Rows that are held in memory."""
CA = "ca.crt"
_ALLOWED = {
    "host",
    "port",
    "dbname",
    "sslmode",
    "target_session_attrs",
    "channel_binding",
    "connect_timeout",
}
"""Parts of a URL that name no file, no person and nothing that the session does."""
_REFUSED = (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.errors.ReadOnlySqlTransaction)
"""No such table or column, no right to it, a query that is none or that writes."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a reading is: at which key, how many records of it were read, and how many of all."""

    key: str | None
    same: int
    position: int


class _TimeText(Loader):
    """A time as text: one that Python has no value for is one record's fault, and not the end of all."""

    def load(self, data: Buffer) -> str:
        text = bytes(data).decode()
        try:
            return datetime.fromisoformat(text).isoformat()
        except ValueError:
            return text


class PostgresqlRecords:
    """The rows of a table or a query, in the order of their keys.

    Args:
        source: what the SyncJob says of it.
        secrets: with username, password and ca.crt, as far as there are.
        entity: what the records are to be.
    """

    live = True
    incremental = True

    def __init__(self, source: PostgresqlSource, secrets: Secrets, entity: str) -> None:
        self._source = source
        self._secrets = secrets
        self._entity = entity
        self._connection: psycopg.Connection[Any] | None = None
        self._key_type = ""
        self._is_empty = False

    def now(self) -> datetime:
        """The time of the snapshot."""
        with self._asked() as connection:
            (seconds,) = connection.execute("SELECT extract(epoch FROM now())::float8").fetchall()[0]
        return datetime.fromtimestamp(seconds, UTC)

    def total(self, *, since: datetime | None) -> int | None:
        """How many rows there are."""
        with self._asked() as connection:
            query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(self._from(), self._where(None, since))
            (number,) = connection.execute(query, {"since": since}).fetchall()[0]
        return int(number)

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """The rows after a cursor.

        Raises:
            BadInputError: there is no such table or column, or it may not be read.
            SourceGoneError: the database is away.
        """
        begin = _cursor(after)
        query = sql.SQL("SELECT * FROM {} WHERE {} ORDER BY {}").format(
            self._from(), self._where(begin, since), self._key
        )
        key, same, position = (begin.key, begin.same, begin.position) if begin else ("", 0, 0)
        to_skip = same
        with self._asked() as connection, connection.cursor("looma", row_factory=tuple_row) as cursor:
            cursor.itersize = FETCHED
            cursor.execute(query, {"key": key, "since": since})
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                values = {name: plain(value) for name, value in zip(names, row, strict=True)}
                its_key = _text(values[self._source.key])
                if to_skip and its_key == key:
                    to_skip -= 1
                    continue
                to_skip = 0
                position += 1
                same = same + 1 if its_key == key else 1
                key = its_key
                yield self._row(values, Cursor(key=key, same=same, position=position))
        if not after and since is None:
            self._is_empty = position == 0

    def shortfall(self) -> str:
        """A table without any row may be one that this role may not see, or that is yet to be filled."""
        return "the source has no record at all" if self._is_empty else ""

    def close(self) -> None:
        """Give the snapshot back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _row(self, values: dict[str, Any], cursor: Cursor) -> SourceRow:
        raw = msgspec.json.encode(values, order="sorted")
        return row_of(
            values,
            position=cursor.position,
            source=self._source,
            entity=self._entity,
            cursor=msgspec.json.encode(cursor).decode(),
            # A row without a key stands elsewhere in the next snapshot.
            anchor=int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big") >> 1,
            strict=True,
            nulls=False,
        )

    @property
    def _key(self) -> sql.Identifier:
        return sql.Identifier(self._source.key)

    def _from(self) -> sql.Composed:
        if self._source.table:
            return sql.Composed([sql.Identifier(*self._source.table.split("."))])
        # The query is the SyncJob's own, and may do what its role may do: read, in a transaction that only reads.
        query = self._source.query.replace("%", "%%")
        return sql.SQL("({}) AS source").format(sql.SQL(query))

    def _where(self, begin: Cursor | None, since: datetime | None) -> sql.Composed:
        parts: list[sql.Composable] = [sql.SQL("true")]
        if begin is not None and begin.key is None:
            parts.append(sql.SQL("{} IS NULL").format(self._key))
        elif begin is not None:
            here = sql.SQL("({key} >= CAST(%(key)s AS {type}) OR {key} IS NULL)")
            parts.append(here.format(key=self._key, type=sql.SQL(self._key_type)))
        if since is not None:
            changed = sql.SQL("({at} >= %(since)s OR {at} IS NULL)")
            parts.append(changed.format(at=sql.Identifier(self._source.updated_at)))
        return sql.SQL(" AND ").join(parts)

    @contextmanager
    def _asked(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection; what goes wrong with it is said in our own words, without anything of a record."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._begin(self._connection)
            yield self._connection
        except _REFUSED as error:
            self.close()
            raise BadInputError(
                f"spec.source: PostgreSQL refuses it: {error.diag.message_primary or type(error).__name__}"
            ) from error
        except psycopg.DataError as error:
            # Its sentence has the value.
            self.close()
            raise BadInputError(
                f"spec.source: a value does not fit the query ({type(error).__name__})"
            ) from None
        except psycopg.Error as error:
            raise SourceGoneError(
                f"PostgreSQL is away ({type(error).__name__} {error.sqlstate or ''})"
            ) from error

    def _connect(self) -> psycopg.Connection[Any]:
        given = _parts(self._source.url)
        certificate = self._secrets.file(CA)
        if certificate is not None:
            given = {"sslmode": "verify-full", **given, "sslrootcert": str(certificate)}
        connection = psycopg.connect(
            make_conninfo(**{"connect_timeout": "10", **given}),
            user=self._secrets.text("username"),
            password=self._secrets.text("password"),
            application_name="looma-sync",
            keepalives_idle=15,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=60_000,
        )
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for name in ("timestamptz", "timestamp", "date", "time", "interval"):
            connection.adapters.register_loader(name, _TimeText)
        return connection

    def _begin(self, connection: psycopg.Connection[Any]) -> None:
        # Not as options of the connection: a pooler between us and the server may refuse those.
        connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        # While a batch is written the transaction waits, maybe until our own database is back.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        connection.execute("SET LOCAL DateStyle = 'ISO'")
        described = (
            connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._from())).description or []
        )
        types = {column.name: column.type_code for column in described}
        if twice := [
            name for name, number in Counter(column.name for column in described).items() if number > 1
        ]:
            raise BadInputError(f"spec.source.query: gives {', '.join(twice)} twice; name columns with AS")
        if self._source.key not in types:
            raise BadInputError(f"spec.source.key: the source has no column {self._source.key}")
        if self._source.incremental is not None and self._source.updated_at not in types:
            raise BadInputError(f"spec.source.updatedAt: the source has no column {self._source.updated_at}")
        # With -1 it is the type's own name: a CAST to `character` would take one character.
        found = connection.execute("SELECT format_type(%s, -1)", (types[self._source.key],))
        ((self._key_type,),) = found.fetchall()


def _parts(url: str) -> dict[str, str]:
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        raise BadInputError("spec.source.url: write postgresql://HOST:PORT/DATABASE") from None
    if others := sorted(given.keys() - _ALLOWED):
        raise BadInputError(f"spec.source.url: {', '.join(others)} cannot be set here")
    return given


def _cursor(text: str) -> Cursor | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Cursor)
    except msgspec.MsgspecError:
        raise BadInputError(
            "the source was another one when this run began: cancel it, and ask for a new one"
        ) from None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
