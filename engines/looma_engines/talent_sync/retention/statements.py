"""The plan as SQL. Pure.

A partition is made beside the table and then attached: that keeps no request waiting, while `PARTITION OF` would lock
the whole table. Only the default partition is locked, which has no rows where all is well.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from looma_core.db.policies import isolation
from looma_engines.talent_sync.retention.plan import HISTORY, Partitioned, Plan, moved, name_of

SCHEMA = "talent_sync"


def parent_of(of: Partitioned) -> str:
    """The table with its schema."""
    return f"{SCHEMA}.{of.table}"


def make_default(of: Partitioned = HISTORY) -> list[str]:
    """Statements that make the default partition of a new table."""
    made = f"CREATE TABLE {SCHEMA}.{of.default} PARTITION OF {parent_of(of)} DEFAULT"
    return [made, *isolation(SCHEMA, of.default)]


def look_into_default(of: Partitioned = HISTORY) -> list[str]:
    """Statements after which the owner sees the rows of the default partition, and nobody adds one."""
    # The lock is held to the end of the transaction, which closes the table again.
    return [f"ALTER TABLE {SCHEMA}.{of.default} NO FORCE ROW LEVEL SECURITY"]


def carry_out(plan: Plan, *, stray: Collection[date] = (), of: Partitioned = HISTORY) -> list[str]:
    """Statements that do what is planned, after `look_into_default`."""
    done = []
    for month in plan.create:
        done += _make(month, of, with_rows=month in stray)
    if any(month < plan.oldest for month in stray):
        before = f"{of.column} < '{_begin(plan.oldest)}'"
        done.append(f"DELETE FROM {SCHEMA}.{of.default} WHERE {before}")  # noqa: S608
    done += [f"DROP TABLE {SCHEMA}.{name}" for name in plan.drop]
    return [*done, f"ALTER TABLE {SCHEMA}.{of.default} FORCE ROW LEVEL SECURITY"]


def _make(month: date, of: Partitioned, *, with_rows: bool) -> list[str]:
    name = f"{SCHEMA}.{name_of(month, of)}"
    begin, end = _begin(month), _begin(moved(month, 1))
    rows = (
        f"WITH gone AS (DELETE FROM {SCHEMA}.{of.default}"  # noqa: S608 - our own names
        f" WHERE {of.column} >= '{begin}' AND {of.column} < '{end}'"
        f" RETURNING *) INSERT INTO {name} SELECT * FROM gone"
    )
    return [
        f"CREATE TABLE {name} (LIKE {parent_of(of)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        *([rows] if with_rows else []),
        *isolation(SCHEMA, name_of(month, of)),
        f"ALTER TABLE {parent_of(of)} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')",
    ]


def _begin(month: date) -> str:
    return f"{month.isoformat()} 00:00:00+00"
