"""The plan as SQL. Pure.

A partition is made beside the table and then attached: that keeps no request waiting, while `PARTITION OF` would lock
the whole table. Only the default partition is locked, which has no rows where all is well.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from looma_core.db.policies import isolation
from looma_engines.talent_sync.retention.plan import DEFAULT, TABLE, Plan, moved, name_of

SCHEMA = "talent_sync"
PARENT = f"{SCHEMA}.{TABLE}"


def make_default() -> list[str]:
    """Statements that make the default partition of a new table."""
    return [f"CREATE TABLE {SCHEMA}.{DEFAULT} PARTITION OF {PARENT} DEFAULT", *isolation(SCHEMA, DEFAULT)]


def look_into_default() -> list[str]:
    """Statements after which the owner sees the rows of the default partition, and nobody adds one."""
    # The lock is held to the end of the transaction, which closes the table again.
    return [f"ALTER TABLE {SCHEMA}.{DEFAULT} NO FORCE ROW LEVEL SECURITY"]


def carry_out(plan: Plan, *, stray: Collection[date] = ()) -> list[str]:
    """Statements that do what is planned, after `look_into_default`."""
    done = []
    for month in plan.create:
        done += _make(month, with_rows=month in stray)
    if any(month < plan.oldest for month in stray):
        done.append(f"DELETE FROM {SCHEMA}.{DEFAULT} WHERE changed_at < '{_begin(plan.oldest)}'")  # noqa: S608
    done += [f"DROP TABLE {SCHEMA}.{name}" for name in plan.drop]
    return [*done, f"ALTER TABLE {SCHEMA}.{DEFAULT} FORCE ROW LEVEL SECURITY"]


def _make(month: date, *, with_rows: bool) -> list[str]:
    name = f"{SCHEMA}.{name_of(month)}"
    begin, end = _begin(month), _begin(moved(month, 1))
    rows = (
        f"WITH gone AS (DELETE FROM {SCHEMA}.{DEFAULT}"  # noqa: S608 - our own names
        f" WHERE changed_at >= '{begin}' AND changed_at < '{end}'"
        f" RETURNING *) INSERT INTO {name} SELECT * FROM gone"
    )
    return [
        f"CREATE TABLE {name} (LIKE {PARENT} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        *([rows] if with_rows else []),
        *isolation(SCHEMA, name_of(month)),
        f"ALTER TABLE {PARENT} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')",
    ]


def _begin(month: date) -> str:
    return f"{month.isoformat()} 00:00:00+00"
