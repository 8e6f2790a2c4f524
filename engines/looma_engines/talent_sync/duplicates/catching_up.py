"""Looks at everybody of a tenant who was written since the last look: in batches, each a transaction that says how far.

So it goes on where it was stopped. What was committed late, with a time before the last look's end, is in the overlap.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from looma_core import logging
from looma_core.api.talent import Talent
from looma_engines.talent_sync.cursor import Position
from looma_engines.talent_sync.duplicates.repository import DuplicateRepository
from looma_engines.talent_sync.duplicates.scanning import Scanner, Seen
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from looma_core.db import Database

BATCH: Final = 500
OVERLAP: Final = timedelta(minutes=10)
"""No transaction that writes people is open for as long."""
_SORT: Final = "updated_at"
_FIRST: Final = UUID(int=0)
log = logging.get(__name__)


async def catch_up(database: Database, scanner: Scanner, tenant: str, *, batch: int = BATCH) -> Seen:
    """Look at all who were written since the last look; at everybody where the keys were made with another secret.

    Raises:
        NotReady: the database does not answer; what was done so far stays.
    """
    total = Seen()
    async with database.tenant_session(tenant) as session:
        row = await DuplicateRepository(session).scan()
        known = row.seen_at if row is not None and row.secret_check == scanner.check else None
    after = None if known is None else _position(known - OVERLAP, _FIRST)
    seen_at = known
    while True:
        async with database.tenant_session(tenant) as session:
            talents: list[Talent] = await RecordRepository(session, TALENTS).page(
                sort=_SORT, limit=batch, after=after
            )
            if not talents:
                break
            total.add(await scanner.look(session, tenant, talents))
            last = talents[-1]
            seen_at = max(last.updated_at, seen_at or last.updated_at)
            await DuplicateRepository(session).note_scan(seen_at=seen_at, secret_check=scanner.check)
        after = _position(last.updated_at, last.id)
    async with database.tenant_session(tenant) as session:
        await DuplicateRepository(session).note_scan(
            ended_at=datetime.now(UTC),
            people=total.people,
            found=sum(total.found.values()),
            skipped=dict(total.skipped),
        )
    log.info(
        "duplicates caught up",
        tenant=tenant,
        people=total.people,
        found=dict(total.found),
        skipped=dict(total.skipped),
    )
    return total


def _position(at: datetime, person: UUID) -> Position:
    return Position(sort=_SORT, value=at.isoformat(), id=person)
