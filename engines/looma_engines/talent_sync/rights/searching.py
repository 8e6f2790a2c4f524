"""The search of every table for values of a person: what the proof of an erasure says.

Each column that can hold a text is looked through, as a text in lower case: texts, JSON, bytes, ids and lists. Only
rows of the session's tenant are seen. What is encrypted cannot be searched so; a sealed address or number is looked for
by its hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from looma_core.api.rights import Found, Proof

from .opening import Opens
from .traces import Kind, Traces, patterns

# By its id alone: anything else that is found there is left like anywhere.
KEPT: Mapping[str, str] = {
    "talent_sync.audit_events": "says what was done, to which id, and nothing of the person; it cannot be changed",
    "talent_sync.erasures": "the proof of another erasure, whose search found the record, names it by its id",
    "console.audit": "says who did what in the console, to which id, and nothing of the person",
}
SEALED_BYTES = frozenset({("talent_sync.resume_file_parts", "content")})
"""Columns in which nothing can be found, and which are long."""
HASHED: Mapping[Kind, str] = {"email": "email_hash", "phone": "phone_hash"}
_TEXTS = "('text', 'character varying', 'json', 'jsonb', 'bytea', 'uuid', 'ARRAY')"
_COLUMNS = text(f"""
    SELECT c.table_schema, c.table_name, c.column_name, c.data_type
    FROM information_schema.columns c
    JOIN pg_class r ON r.oid = to_regclass(format('%I.%I', c.table_schema, c.table_name))
    WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema', 'looma') AND c.table_schema NOT LIKE 'pg\\_temp%'
        AND r.relkind IN ('r', 'p') AND NOT r.relispartition AND c.data_type IN {_TEXTS}
        AND has_table_privilege(r.oid, 'SELECT')
    ORDER BY c.table_schema, c.table_name, c.ordinal_position
""")  # noqa: S608 - our own texts


def search(connection: Connection, traces: Traces, *, opens: Opens) -> Proof:
    """Look for the values in all tables that the session may read.

    Args:
        connection: in a transaction that knows its tenant.
        traces: what is looked for.
        opens: tells under which hashes sealed values are found.
    """
    tables: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(_COLUMNS):
        if (f"{schema}.{table}", column) not in SEALED_BYTES:
            tables.setdefault(f"{schema}.{table}", {})[column] = kind
    wanted = patterns(traces.of("id", "email", "phone", "source", "name"))
    left, kept, namesakes = [], [], []
    for store, columns in tables.items():
        for found in [
            *_in_table(connection, store, columns, wanted),
            *_sealed(connection, store, columns, traces, opens),
        ]:
            if found.why is not None:
                kept.append(found)
            elif found.kind == "name":
                namesakes.append(found)
            else:
                left.append(found)
    return Proof(
        searched_at=datetime.now(UTC),
        stores={store: len(columns) for store, columns in tables.items()},
        looked_for={kind: len(values) for kind, values in traces.values.items()},
        left=left,
        kept=kept,
        namesakes=namesakes,
    )


def _in_table(
    connection: Connection, store: str, columns: Mapping[str, str], wanted: Mapping[Kind, list[str]]
) -> list[Found]:
    """What one table has of each kind, by one look at each of its rows."""
    has_id = columns.get("id") == "uuid"
    told = " || E'\\n' || ".join(_as_text(name, kind) for name, kind in columns.items())
    given: dict[str, str] = {}
    held: dict[Kind, str] = {}
    for kind, values in wanted.items():
        names = {f"{kind}_{number}": value for number, value in enumerate(values)}
        # position() takes a text as it is: no sign in it means anything.
        held[kind] = " OR ".join(f"position(:{name} IN t.said) > 0" for name in names)
        given |= names
    if not given:
        return []
    ids = "(array_agg(t.id) FILTER (WHERE {held}))[1:20]" if has_id else "CAST(NULL AS uuid[])"
    counted = ", ".join(
        f"count(*) FILTER (WHERE {condition}) AS {kind}_rows, {ids.format(held=condition)} AS {kind}_ids"
        for kind, condition in held.items()
    )
    row = (
        connection.execute(
            text(
                f"SELECT {counted}"  # noqa: S608 - our own texts
                f" FROM (SELECT {'id, ' if has_id else ''}lower({told}) AS said"
                f" FROM {_quoted(store)} OFFSET 0) t"
            ),
            given,
        )
        .one()
        ._mapping
    )
    return [
        Found(
            store=store,
            kind=kind,
            rows=row[f"{kind}_rows"],
            ids=list(row[f"{kind}_ids"] or ()),
            why=KEPT.get(store) if kind == "id" else None,
        )
        for kind in held
        if row[f"{kind}_rows"]
    ]


def _sealed(
    connection: Connection, store: str, columns: Mapping[str, str], traces: Traces, opens: Opens
) -> Iterator[Found]:
    """Rows of one table that have a sealed value of the person, by its hash."""
    for kind, column in HASHED.items():
        hashes = [found for _, value in traces.of(kind) for found in opens.hashes(kind, value)]
        if column not in columns or not hashes:
            continue
        ids = connection.scalars(
            text(f"SELECT id FROM {_quoted(store)} WHERE {column} = ANY(:hashes) ORDER BY id"),  # noqa: S608 - our own names
            {"hashes": hashes},
        ).all()
        if ids:
            yield Found(store=store, kind=kind, rows=len(ids), ids=list(ids[:20]))


def _as_text(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    said = f"encode({column}, 'escape')" if kind == "bytea" else f"CAST({column} AS text)"
    return f"coalesce({said}, '')"


def _quoted(store: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in store.split(".", 1))
