"""Carries the plan out, as the owner of the tables, inside the caller's transaction."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, text

from looma_core import logging
from looma_engines.talent_sync.retention.plan import HISTORY, Partitioned, Plan, plan
from looma_engines.talent_sync.retention.statements import SCHEMA, carry_out, look_into_default, parent_of

log = logging.get(__name__)
_PARTITIONS = text("""
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = CAST(:parent AS regclass)
""")


def keep(
    connection: Connection, *, months: int, today: date | None = None, of: Partitioned = HISTORY
) -> Plan | None:
    """Make the partitions of this month and the next, drop what is past its time.

    Args:
        connection: of the owner, in a transaction that waits for no lock for long.
        months: how many whole months before this one are kept.
        today: default the database's own day, in UTC.
        of: the table.

    Returns:
        What was done; None where there is no such table yet.
    """
    parent = {"parent": parent_of(of)}
    if connection.scalar(text("SELECT to_regclass(:parent)"), parent) is None:
        return None
    today = today or connection.scalar(text("SELECT CAST(now() AT TIME ZONE 'UTC' AS date)"))
    existing = connection.scalars(_PARTITIONS, parent).all()
    # By its size, which is seen without a lock; row-level security hides the rows from the owner too.
    size = connection.scalar(text("SELECT pg_relation_size(:name)"), {"name": f"{SCHEMA}.{of.default}"})
    decided = plan(existing, today=today, months=months, of=of)
    if not (decided.create or decided.drop or size):
        return decided
    for statement in look_into_default(of):
        connection.execute(text(statement))
    month = f"CAST(date_trunc('month', {of.column} AT TIME ZONE 'UTC') AS date)"
    stray = connection.scalars(text(f"SELECT DISTINCT {month} FROM {SCHEMA}.{of.default}")).all()  # noqa: S608 - our own names
    decided = plan(existing, today=today, months=months, stray=stray, of=of)
    for statement in carry_out(decided, stray=stray, of=of):
        connection.execute(text(statement))
    log.info(
        "partitions kept",
        table=of.table,
        created=[str(month) for month in decided.create],
        dropped=list(decided.drop),
    )
    return decided
