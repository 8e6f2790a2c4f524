"""Carries the plan out, as the owner of the tables, inside the caller's transaction."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, text

from looma_core import logging
from looma_engines.talent_sync.retention.plan import DEFAULT, Plan, plan
from looma_engines.talent_sync.retention.statements import PARENT, SCHEMA, carry_out, look_into_default

log = logging.get(__name__)
_PARTITIONS = text("""
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = CAST(:parent AS regclass)
""")
_STRAY = text(f"""
    SELECT DISTINCT CAST(date_trunc('month', changed_at AT TIME ZONE 'UTC') AS date) FROM {SCHEMA}.{DEFAULT}
""")  # noqa: S608 - our own names


def keep(connection: Connection, *, months: int, today: date | None = None) -> Plan | None:
    """Make the partitions of this month and the next, drop what is past its time.

    Args:
        connection: of the owner, in a transaction that waits for no lock for long.
        months: how many whole months before this one are kept.
        today: default the database's own day, in UTC.

    Returns:
        What was done; None where there is no history yet.
    """
    if connection.scalar(text("SELECT to_regclass(:parent)"), {"parent": PARENT}) is None:
        return None
    today = today or connection.scalar(text("SELECT CAST(now() AT TIME ZONE 'UTC' AS date)"))
    existing = connection.scalars(_PARTITIONS, {"parent": PARENT}).all()
    # By its size, which is seen without a lock; row-level security hides the rows from the owner too.
    size = connection.scalar(text("SELECT pg_relation_size(:name)"), {"name": f"{SCHEMA}.{DEFAULT}"})
    decided = plan(existing, today=today, months=months)
    if not (decided.create or decided.drop or size):
        return decided
    for statement in look_into_default():
        connection.execute(text(statement))
    stray = connection.scalars(_STRAY).all()
    decided = plan(existing, today=today, months=months, stray=stray)
    for statement in carry_out(decided, stray=stray):
        connection.execute(text(statement))
    log.info("history kept", created=[str(month) for month in decided.create], dropped=list(decided.drop))
    return decided
