"""The search of every table for values of a person: what the proof of an erasure says.

Each column that can hold a text is looked through, as a text in lower case: texts, JSON, bytes, ids and lists. Only rows of
the session's tenant are seen. What is encrypted cannot be searched so; it is told beside the counts where that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from looma_core.api.rights import Found, Proof

from .traces import Kind, Traces, patterns

KEPT: Mapping[str, str] = {
    "talent_sync.audit_events": "says what was done, to which id, and nothing of the person; it cannot be changed",
    "console.audit": "says who did what in the console, to which id, and nothing of the person",
}
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


def search(connection: Connection, traces: Traces) -> Proof:
    """Look for the values in all tables that the session may read.

    Args:
        connection: in a transaction that knows its tenant.
        traces: what is looked for.
    """
    tables: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(_COLUMNS):
        tables.setdefault(f"{schema}.{table}", {})[column] = kind
    wanted = patterns(traces.of("id", "email", "phone", "source", "name"))
    left, kept, namesakes = [], [], []
    for store, columns in tables.items():
        for found in _in_table(connection, store, columns, wanted):
            if store in KEPT:
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
    has_id = columns.get("id") == "uuid"
    told = " || E'\\n' || ".join(_as_text(name, kind) for name, kind in columns.items())
    found = []
    for kind, values in wanted.items():
        # position() takes a text as it is: no sign in it means anything.
        held = " OR ".join(f"position(:v{number} IN t.said) > 0" for number in range(len(values)))
        ids = "(array_agg(t.id))[1:20]" if has_id else "CAST(NULL AS uuid[])"
        row = connection.execute(
            text(
                f"SELECT count(*) AS rows, {ids} AS ids FROM (SELECT {'id, ' if has_id else ''}lower({told}) AS said"  # noqa: S608
                f" FROM {_quoted(store)}) t WHERE {held}"
            ),
            {f"v{number}": value for number, value in enumerate(values)},
        ).one()
        if row.rows:
            found.append(
                Found(store=store, kind=kind, rows=row.rows, ids=list(row.ids or ()), why=KEPT.get(store))
            )
    return found


def _as_text(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    said = f"encode({column}, 'escape')" if kind == "bytea" else f"CAST({column} AS text)"
    return f"coalesce({said}, '')"


def _quoted(store: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in store.split(".", 1))
