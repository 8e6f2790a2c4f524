"""The same people in plain tables, for the room they take: see `bench_storage`.

    plain        rows as text without compression, each change kept as the whole record before and after, in one table;
                 the same indexes for the same lists, and one of trigrams (pg_trgm) for words
    fresh        Looma's own rows written once more, by one kind of compression, without indexes

The plain table is filled month by month and changed as often as Looma's, so both have the same holes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

TABLES = ("talents", "record_history", "record_grams", "record_skills")
TEXTS = ("summary", "skills", "experience", "education")
ROW = (
    "id, tenant, created_at, version, updated_at, deleted_at, full_name, email, phone, location, headline, summary,"
    " language, skills::text, experience::text, education::text, source_type, source_ref, email_hash, phone_hash"
)
FOUND_BY = "lower(concat_ws(E'\\n', full_name, headline, location, email, skills))"
HISTORY_COLUMNS = (
    "tenant text, entity text, record_id uuid, version int, changed_at timestamptz, id bigint, actor text,"
    " origin text, action text, before text, after text"
)
Connection = psycopg.Connection[Any]


def make_plain(connection: Connection) -> None:
    """Make the schema `plain` with what `talent_sync` has of talents."""
    execute = _executor(connection)
    execute("CREATE EXTENSION IF NOT EXISTS pg_trgm", "CREATE SCHEMA plain")
    execute(
        f"CREATE TABLE plain.talents AS SELECT {ROW} FROM talent_sync.talents LIMIT 0",  # noqa: S608 - our own texts
        f"CREATE TABLE plain.record_history ({HISTORY_COLUMNS})",
        *(f"ALTER TABLE plain.talents ALTER {name} SET STORAGE EXTERNAL" for name in TEXTS),
        *(
            f"ALTER TABLE plain.record_history ALTER {name} SET STORAGE EXTERNAL"
            for name in ("before", "after")
        ),
        "ALTER TABLE plain.record_history ADD PRIMARY KEY (tenant, record_id, changed_at, id)",
    )
    for (definition,) in connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'talent_sync' AND tablename = 'talents'"
    ).fetchall():
        execute(definition.replace("talent_sync.", "plain."))
    execute(f"CREATE INDEX words ON plain.talents USING gin ({_immutable(connection)} gin_trgm_ops)")
    execute(
        f"INSERT INTO plain.talents SELECT {ROW} FROM talent_sync.talents ORDER BY created_at",  # noqa: S608
        "INSERT INTO plain.record_history SELECT h.tenant, h.entity, h.record_id, h.version, h.changed_at, h.id,"
        " h.actor, h.origin, h.action, CASE WHEN h.action = 'update' THEN row_to_json(p)::text END,"
        " row_to_json(p)::text FROM talent_sync.record_history h JOIN plain.talents p ON p.id = h.record_id"
        " ORDER BY h.changed_at",
        "UPDATE plain.talents SET headline = headline || ' ', updated_at = now() WHERE version > 1",
        "VACUUM ANALYZE plain.talents",
        "VACUUM ANALYZE plain.record_history",
    )


def _immutable(connection: Connection) -> str:
    # concat_ws() is not immutable, as an index asks; of texts alone it is.
    connection.execute(
        "CREATE FUNCTION plain.found_by(full_name text, headline text, location text, email text, skills text)"
        f" RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT {FOUND_BY} $$".encode()
    )
    return "plain.found_by(full_name, headline, location, email, skills)"


def bytes_of_rows(connection: Connection, schema: str, *tables: str) -> int:
    """Bytes of tables without their indexes, out-of-line values included, of all partitions."""
    return _bytes(connection, schema, tables, "pg_table_size(c.oid)")


def bytes_of_indexes(connection: Connection, schema: str, *tables: str) -> int:
    """Bytes of the tables' indexes, of all partitions."""
    return _bytes(connection, schema, tables, "pg_indexes_size(c.oid)")


def _bytes(connection: Connection, schema: str, tables: Iterable[str], of: str) -> int:
    row = connection.execute(
        f"SELECT coalesce(sum({of}), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"  # noqa: S608
        " WHERE n.nspname = %s AND c.relkind = 'r' AND (c.relname = ANY (%s) OR EXISTS ("
        " SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent::regclass::text = ANY (%s)))",
        [schema, list(tables), [f"{schema}.{table}" for table in tables]],
    ).fetchone()
    assert row is not None
    return int(row[0])


def bytes_written_afresh(connection: Connection, compression: str) -> int:
    """Bytes of talents and history, each row written once: by `pglz`, `lz4`, or `none`."""
    execute = _executor(connection)
    values = {
        "talents": {name: f"{name}::text::jsonb" for name in ("skills", "experience", "education")}
        | {"summary": "summary || ''", "search": "search || ''"},
        "record_history": {"changes": "changes::text::jsonb"},
    }
    execute("DROP SCHEMA IF EXISTS fresh CASCADE", "CREATE SCHEMA fresh")
    for table, texts in values.items():
        execute(f"CREATE TABLE fresh.{table} (LIKE talent_sync.{table})")
        for name in texts:
            how = "SET STORAGE EXTERNAL" if compression == "none" else f"SET COMPRESSION {compression}"
            execute(f"ALTER TABLE fresh.{table} ALTER {name} {how}")
        names = [
            name
            for (name,) in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                " ORDER BY attnum",
                [f"fresh.{table}"],
            ).fetchall()
        ]
        selected = ", ".join(texts.get(name, name) for name in names)
        execute(f"INSERT INTO fresh.{table} SELECT {selected} FROM talent_sync.{table}")  # noqa: S608
    found = bytes_of_rows(connection, "fresh", *values)
    execute("DROP SCHEMA fresh CASCADE")
    return found


def bytes_of_history_after_delete(connection: Connection, before: object) -> int:
    """Bytes of the plain history after its old rows were deleted and their room given free by VACUUM."""
    connection.execute("DELETE FROM plain.record_history WHERE changed_at < %s", [before])
    connection.execute("VACUUM plain.record_history")
    return bytes_of_rows(connection, "plain", "record_history") + bytes_of_indexes(
        connection, "plain", "record_history"
    )


def _executor(connection: Connection) -> Any:
    def execute(*statements: str) -> None:
        for statement in statements:
            connection.execute(statement.encode())

    return execute
