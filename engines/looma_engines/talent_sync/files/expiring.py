"""Files that were deleted long enough ago, or that belong to nobody for long, go for good: done by the upkeep, as the
owner of the tables.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from looma_core import logging
from looma_engines.talent_sync.models import SCHEMA
from looma_engines.talent_sync.rights.applying import enter_tenant, tenants_of
from looma_engines.talent_sync.rights.audit import note_now

ORIGIN = "retention"
ACTOR = "upkeep"
TABLE = "resume_files"
log = logging.get(__name__)


def drop_deleted(connection: Connection, *, days: int, now: datetime | None = None) -> int:
    """Take files away that were deleted more than `days` days ago, with their parts; how many.

    Args:
        connection: of the owner, in a transaction.
        days: how long a deleted file is kept.
        now: the moment; default this one.
    """
    gone = _drop(connection, "deleted_at < :before", days=days, now=now)
    if gone:
        log.info("deleted files dropped", files=gone, days=days)
    return gone


def drop_unlinked(connection: Connection, *, days: int, now: datetime | None = None) -> int:
    """Take files away that belong to nobody and did not change for more than `days` days, with their parts; how many.

    Args:
        connection: of the owner, in a transaction.
        days: how long such a file is kept; with 0 it stays.
        now: the moment; default this one.
    """
    if days == 0:
        return 0
    gone = _drop(connection, "talent_id IS NULL AND updated_at < :before", days=days, now=now)
    if gone:
        log.info("files of nobody dropped", files=gone, days=days)
    return gone


def _drop(connection: Connection, chosen: str, *, days: int, now: datetime | None) -> int:
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.{TABLE}"}) is None:
        return 0
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    query = f"SELECT DISTINCT tenant FROM {SCHEMA}.{TABLE} WHERE {chosen}"  # noqa: S608 - our own names
    gone = 0
    for tenant in tenants_of(connection, query, TABLE, before=before):
        enter_tenant(connection, tenant, origin=ORIGIN)
        # No ledger's entry: no source brings a file in again.
        ids = connection.scalars(
            text(f"DELETE FROM {SCHEMA}.{TABLE} WHERE {chosen} RETURNING id"),  # noqa: S608 - as above
            {"before": before},
        ).all()
        for file_id in ids:
            note_now(connection, "delete-file", "resume_file", file_id, actor=ACTOR, reason=ORIGIN)
        gone += len(ids)
    return gone
