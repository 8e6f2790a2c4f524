"""Writes to sources whose outcome has long been known go: done by the upkeep, as the owner of the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from looma_core import logging
from looma_engines.talent_sync.rights.applying import enter_tenant, tenants_of
from looma_engines.talent_sync.schema import SCHEMA

ORIGIN = "retention"
TABLE = "sync_writes"
OLD = "state IN ('written', 'moved', 'dropped') AND settled_at < :before"
"""What was refused waits for a person, and what is intended for a run."""
log = logging.get(__name__)


def drop_settled(connection: Connection, *, days: int, now: datetime | None = None) -> int:
    """Take writes away that were settled more than `days` days ago; how many.

    Args:
        connection: of the owner, in a transaction.
        days: how long they are kept.
        now: the moment; default this one.
    """
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.{TABLE}"}) is None:
        return 0
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    query = f"SELECT DISTINCT tenant FROM {SCHEMA}.{TABLE} WHERE {OLD}"  # noqa: S608 - our own names
    gone = 0
    for tenant in tenants_of(connection, query, TABLE, before=before):
        enter_tenant(connection, tenant, origin=ORIGIN)
        gone += connection.execute(
            text(f"DELETE FROM {SCHEMA}.{TABLE} WHERE {OLD}"),  # noqa: S608 - as above
            {"before": before},
        ).rowcount
    if gone:
        log.info("settled writes dropped", writes=gone, days=days)
    return gone
