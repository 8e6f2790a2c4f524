"""How the database does: its statements, tables and hit rates. Nothing of this is a record's, nor a parameter's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

StatementsState = Literal["ready", "missing", "not-loaded", "not-readable"]
Ratio = Annotated[float, Meta(ge=0, le=1)]


class StatementStats(msgspec.Struct, kw_only=True):
    """What the database counted of one statement, all tenants' together."""

    id: Annotated[str, Meta(description="The database's own number of the statement.")]
    text: Annotated[
        str,
        Meta(description="The statement with `$1` and the like for its values; at most 4,000 characters."),
    ]
    calls: int
    mean_ms: float
    max_ms: float
    total_ms: float
    rows: int
    cache_hit_ratio: Annotated[Ratio | None, Meta(description="Null where it read nothing.")]


class Statements(msgspec.Struct, kw_only=True):
    """The statements that took most, and whether they are counted at all."""

    state: Annotated[
        StatementsState,
        Meta(
            description="`missing`: the extension pg_stat_statements is not made in this database; `not-loaded`: it "
            "is not in shared_preload_libraries; `not-readable`: the role may not read it."
        ),
    ]
    hint: Annotated[str | None, Meta(description="What to do, where `state` is not `ready`.")] = None
    slow_ms: Annotated[float, Meta(description="From where on a statement counts as slow.")]
    slow: Annotated[int, Meta(description="Statements whose mean is slow.")] = 0
    once_slow: Annotated[int, Meta(description="Statements that were slow once at least.")] = 0
    items: list[StatementStats] = msgspec.field(default_factory=list)


class TableStats(msgspec.Struct, kw_only=True):
    """One table, with its indexes and partitions as the database counts them."""

    name: str
    rows: Annotated[int, Meta(description="Live rows, an estimate.")]
    dead_rows: Annotated[int, Meta(description="Rows that a vacuum will take, an estimate.")]
    table_bytes: int
    index_bytes: int
    index_scans: int
    sequential_scans: int
    vacuumed_at: Annotated[datetime | None, Meta(description="The last vacuum, by hand or by itself.")]
    analyzed_at: Annotated[datetime | None, Meta(description="When its statistics were last taken.")]


class DatabaseState(msgspec.Struct, kw_only=True):
    """The database as a whole, and its tables, the largest first."""

    version: str
    bytes: int
    connections: int
    most_connections: int
    cache_hit_ratio: Annotated[Ratio | None, Meta(description="Of blocks, since statistics began.")]
    index_use_ratio: Annotated[
        Ratio | None, Meta(description="Of scans of tables with a thousand rows or more, those by an index.")
    ]
    deadlocks: int
    tables: list[TableStats]
