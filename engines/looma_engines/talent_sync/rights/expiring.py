"""What was deleted long enough ago is erased: done by the upkeep, as the owner of the tables, in all tenants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from looma_core import logging
from looma_engines.talent_sync.models import SCHEMA
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sealing import Sealer

from .applying import enter_tenant, tenants_of
from .audit import note_now
from .erasing import RETENTION, TABLES, Wanted, erase
from .ledger import LedgerKey

MOST_AT_ONCE = 1000
"""Of one kind in one tenant: what is left waits for the next night."""
ACTOR = "upkeep"
ORDER = ("relation", "talent", "job", "company")
"""What refers to others first."""
# Who was merged into somebody that is there is that person: erased with them, and there for undoing it until then.
_MERGED = f"""
    AND NOT EXISTS (SELECT FROM {SCHEMA}.merges AS merge JOIN {SCHEMA}.talents AS kept ON kept.id = merge.kept_id
        WHERE merge.other_id = record.id AND merge.undone_at IS NULL AND kept.deleted_at IS NULL)"""
log = logging.get(__name__)


def erase_deleted(
    connection: Connection, *, days: int, key: LedgerKey, sealer: Sealer, now: datetime | None = None
) -> int:
    """Erase records of all kinds that were deleted more than `days` days ago; how many.

    Args:
        connection: of the owner, in a transaction.
        days: how long a deleted record can be brought back.
        key: makes the ledger's digests.
        sealer: opens what is sealed, so that what a source had of a person is found by their address too.
        now: the moment; default this one.

    Raises:
        SealError: a value was sealed under a key that the ring lacks.
    """
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.erasures"}) is None:
        return 0
    now = now or datetime.now(UTC)
    before = now - timedelta(days=days)
    query = " UNION ".join(
        f"SELECT DISTINCT tenant FROM {SCHEMA}.{table} WHERE deleted_at < :before"  # noqa: S608 - our own names
        for table in TABLES.values()
    )
    erased = 0
    for tenant in tenants_of(connection, query, *TABLES.values(), before=before):
        enter_tenant(connection, tenant, origin=RETENTION)
        opens = Seals(sealer, tenant)
        for entity in ORDER:
            ids = connection.scalars(
                text(
                    f"SELECT id FROM {SCHEMA}.{TABLES[entity]} AS record"  # noqa: S608 - as above
                    f" WHERE deleted_at < :before{_MERGED if entity == 'talent' else ''}"
                    " ORDER BY deleted_at LIMIT :most"
                ),
                {"before": before, "most": MOST_AT_ONCE},
            ).all()
            for record_id in ids:
                wanted = Wanted(
                    entity=entity,
                    record_id=record_id,
                    reason=RETENTION,
                    origin=RETENTION,
                    erased_by=None,
                    requested_at=now,
                )
                # Kept answers are past their time by then, and nobody asked for a proof.
                done = erase(connection, tenant, wanted, key=key, answers="none", searched=False, opens=opens)
                if done is not None:
                    detail = {"of": entity, "rows": sum(done.counts.values())}
                    note_now(
                        connection, "erase", "erasure", done.id, actor=ACTOR, reason=RETENTION, detail=detail
                    )
                    erased += 1
    if erased:
        log.info("deleted records erased", erased=erased, days=days)
    return erased
