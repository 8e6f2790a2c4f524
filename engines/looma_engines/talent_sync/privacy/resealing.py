"""Walks through all that is stored, as the owner of the tables, and seals it anew or opens it.

A batch is one transaction: its rows are locked, and what somebody else has locked is passed over and met again. Neither
a version nor a time changes, and the history gets no entry: the database leaves one out for its owner who says
`looma.origin` is `reseal`, and shows him the rows of all tenants as long as he does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads

from looma_engines.talent_sync.models import SCHEMA
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sealing import PREFIX, Sealer
from looma_engines.talent_sync.privacy.stored import WALKS, Walk, becomes

ORIGIN = "reseal"
BATCH = 500
PATIENCE_SECONDS = 300.0
"""How long rows that others have locked are waited for."""
PAUSE_SECONDS = 0.2
LOCK_TIMEOUT_MS = 5_000
_JSON = frozenset({"base", "source", "target", "changes"})


class BusyError(Exception):
    """Rows stayed locked by somebody else: run it again, what is done is done."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a walk is: rows that were written in a table."""

    table: str
    rows: int


def connect(url: str) -> psycopg.Connection[dict[str, Any]]:
    """A connection as the owner of the tables; `url` is SQLAlchemy's or libpq's."""
    connection = psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        application_name="records-reseal",
        connect_timeout=5,
        options=f"-c lock_timeout={LOCK_TIMEOUT_MS} -c TimeZone=UTC",
        autocommit=True,
        row_factory=dict_row,
    )
    set_json_loads(msgspec.json.decode, connection)
    set_json_dumps(msgspec.json.encode, connection)
    return connection


def reseal(
    connection: psycopg.Connection[dict[str, Any]],
    sealer: Sealer,
    *,
    sealing: bool = True,
    batch: int = BATCH,
    patience: float = PATIENCE_SECONDS,
    told: Callable[[Progress], None] = lambda _: None,
) -> dict[str, int]:
    """Seal all under the active keys, or open all; how many rows were written, by table.

    Args:
        connection: from `connect`.
        sealer: the keys; all that something is sealed under must be among them.
        sealing: whether to seal, or to open.
        batch: rows of one transaction.
        patience: how long to wait for rows that others have locked, in seconds.
        told: hears of each batch.

    Raises:
        SealError: a value does not open; its batch is as it was.
        BusyError: rows stayed locked.
    """
    done = {}
    for walk in WALKS:
        done[walk.table] = 0
        until = time.monotonic() + patience
        while True:
            for rows in _pass(connection, walk, sealer, sealing=sealing, batch=batch):
                done[walk.table] += rows
                told(Progress(table=walk.table, rows=done[walk.table]))
            if not _left(connection, walk, sealer, sealing=sealing):
                break
            # Somebody has them, or wrote them meanwhile with older keys.
            if time.monotonic() >= until:
                raise BusyError(f"rows of {walk.table} stayed locked: run it again, what is done is done")
            time.sleep(PAUSE_SECONDS)
    return done


def counted(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many values each table has by the id of their key, and hashes by theirs; an empty id: not sealed."""
    sealed = f"CASE WHEN starts_with(value, '{PREFIX}') THEN split_part(value, ':', 3) ELSE '' END"
    found: dict[str, dict[str, int]] = {}
    with _as_owner(connection):
        for walk in WALKS:
            found[walk.table] = _count(connection, walk, walk.values, key=sealed)
            if hashes := tuple(column for column, _ in walk.hashes):
                found[f"{walk.table} hashes"] = _count(
                    connection, walk, hashes, key="split_part(value, ':', 1)"
                )
    return found


@contextmanager
def _as_owner(connection: psycopg.Connection[dict[str, Any]]) -> Iterator[None]:
    with connection.transaction():
        connection.execute("SELECT set_config('looma.origin', %s, true)", (ORIGIN,))
        yield


def _count(
    connection: psycopg.Connection[dict[str, Any]], walk: Walk, values: tuple[str, ...], *, key: str
) -> dict[str, int]:
    query = (
        f"SELECT {key} AS key, count(*) AS number FROM {SCHEMA}.{walk.table},"  # noqa: S608 - our own texts
        f" unnest(ARRAY[{', '.join(values)}]) AS value WHERE {walk.where} AND value IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return {row["key"]: row["number"] for row in connection.execute(_query(query)).fetchall()}


def _pass(
    connection: psycopg.Connection[dict[str, Any]], walk: Walk, sealer: Sealer, *, sealing: bool, batch: int
) -> Iterator[int]:
    """One walk along the key; what others have locked is passed over. Yields how many rows each batch wrote."""
    batch = min(batch, walk.most or batch)
    after: tuple[Any, ...] | None = None
    while True:
        with _as_owner(connection):
            rows = _rows(connection, walk, sealer, sealing=sealing, batch=batch, after=after)
            changed = [
                {**_keys(walk, row), **becomes(walk, Seals(sealer, row["tenant"]), row, sealing=sealing)}
                for row in rows
            ]
            _write(connection, walk, changed)
        if not rows:
            return
        yield len(rows)
        after = tuple(rows[-1][name] for name in walk.key)


def _rows(
    connection: psycopg.Connection[dict[str, Any]],
    walk: Walk,
    sealer: Sealer,
    *,
    sealing: bool,
    batch: int,
    after: tuple[Any, ...] | None,
) -> list[dict[str, Any]]:
    names = dict.fromkeys((*walk.key, "tenant", *walk.columns))
    key = ", ".join(walk.key)
    behind = ""
    if after is not None:
        behind = f" AND ({key}) > ({', '.join(f'%(after_{name})s' for name in walk.key)})"
    query = (
        f"SELECT {', '.join(names)} FROM {SCHEMA}.{walk.table}"  # noqa: S608 - our own texts
        f" WHERE {walk.to_do(sealing=sealing)}{behind} ORDER BY {key} LIMIT %(batch)s"
        # No key: whoever makes a relation of a person need not wait.
        " FOR NO KEY UPDATE SKIP LOCKED"
    )
    told = {f"after_{name}": value for name, value in zip(walk.key, after or (), strict=False)}
    return connection.execute(_query(query), {**_begins(sealer), "batch": batch, **told}).fetchall()


def _write(connection: psycopg.Connection[dict[str, Any]], walk: Walk, changed: list[dict[str, Any]]) -> None:
    if not changed:
        return
    columns = [name for name in changed[0] if not name.startswith("key_")]
    given = [f"{name} = {walk.assigned.get(name, f'%({name})s')}" for name in columns]
    query = (
        f"UPDATE {SCHEMA}.{walk.table} SET {', '.join(given)}"  # noqa: S608
        f" WHERE {' AND '.join(f'{name} = %(key_{name})s' for name in walk.key)}"
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            _query(query),
            [
                {name: _as_json(value) if name in _JSON else value for name, value in row.items()}
                for row in changed
            ],
        )


def _left(
    connection: psycopg.Connection[dict[str, Any]], walk: Walk, sealer: Sealer, *, sealing: bool
) -> bool:
    condition = walk.to_do(sealing=sealing)
    query = f"SELECT EXISTS (SELECT FROM {SCHEMA}.{walk.table} WHERE {condition}) AS found"  # noqa: S608 - our own texts
    with _as_owner(connection):
        row = connection.execute(_query(query), _begins(sealer)).fetchone()
    return bool(row and row["found"])


def _begins(sealer: Sealer) -> dict[str, str]:
    return {"now": f"{PREFIX}{sealer.active}:", "hash": f"{sealer.active_hash}:"}


def _as_json(value: Any) -> Jsonb | None:  # noqa: ANN401 - any JSON
    return None if value is None else Jsonb(value)


def _keys(walk: Walk, row: dict[str, Any]) -> dict[str, Any]:
    return {f"key_{name}": row[name] for name in walk.key}


def _query(text: str) -> sql.SQL:
    # Made of this package's own texts alone; values are parameters.
    return sql.SQL(text)
