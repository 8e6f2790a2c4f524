"""Questions with a bound in time look into the partitions of that time alone: by PostgreSQL's own plans.

The statements are those that history and audit send, caught on their way, with row-level security on.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from looma_core.db import Database
from looma_engines.talent_sync.cursor import Position
from looma_engines.talent_sync.moments import EVER, Span, span_of
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.history import Mark
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.retention.plan import AUDIT, HISTORY, Partitioned, month_of, moved, name_of
from looma_engines.talent_sync.rights.events import events
from looma_engines.talent_sync.talents import TALENTS
from support.key_ring import SEALER
from support.made_people import make_months
from support.plans import partitions_in, plans_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date

    from sqlalchemy.ext.asyncio import AsyncSession

    from support.database import DatabaseUrls

ONE = uuid.uuid4()
MONTHS = 8


def begin(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def this(database_urls: DatabaseUrls) -> date:
    """This month; the eight before it have partitions too."""
    month = month_of(datetime.now(UTC).date())
    for table in (HISTORY, AUDIT):
        with psycopg.connect(database_urls.admin) as connection:
            there = connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
                [f"talent_sync.{table.table}"],
            ).fetchall()
        names = {name.removeprefix("talent_sync.") for (name,) in there}
        before = [moved(month, -age) for age in range(MONTHS, 0, -1)]
        make_months(database_urls, [one for one in before if name_of(one, table) not in names], of=table)
    return month


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.app, pool_size=1, info=sealing_with(SEALER))
    yield database
    await database.close()


async def looked_into(
    database: Database, table: Partitioned, *, span: Span = EVER, after: datetime | None = None
) -> set[str]:
    """Names of the partitions that a page of the history of one record, or of the audit, looks into."""

    def ask(session: AsyncSession) -> Any:
        if table is HISTORY:
            mark = Mark(at=after, id=7) if after else None
            return RecordRepository(session, TALENTS).history(ONE, limit=21, after=mark, span=span)
        place = Position(sort="-created_at", value=after.isoformat(), id=ONE) if after else None
        return session.scalars(events(filters={"record_id": ONE}, span=span, after=place).limit(21))

    return partitions_in(await plans_in(database, "pruning", ask), table.table)


BOTH = pytest.mark.parametrize("table", [HISTORY, AUDIT], ids=lambda table: table.table)


@BOTH
async def test_without_a_bound_all_partitions_are_looked_into(this, database, table) -> None:
    """What the others leave out is there: they could fail."""
    found = await looked_into(database, table)
    assert {name_of(moved(this, -age), table) for age in range(MONTHS + 1)} < found
    assert table.default in found


@BOTH
@pytest.mark.parametrize("months", [1, 3])
async def test_a_span_is_looked_for_in_its_own_months(this, database, table, months) -> None:
    span = Span(begin(moved(this, -5)), begin(moved(this, -5 + months)))
    wanted = {name_of(moved(this, -5 + nth), table) for nth in range(months)}
    assert await looked_into(database, table, span=span) == wanted


@BOTH
async def test_a_span_within_a_month_is_looked_for_in_that_alone(this, database, table) -> None:
    noon = begin(moved(this, -2)) + timedelta(days=9, hours=12)
    span = span_of(noon.isoformat(), (noon + timedelta(minutes=1)).isoformat())
    assert await looked_into(database, table, span=span) == {name_of(moved(this, -2), table)}


@BOTH
async def test_an_open_span_leaves_out_what_is_on_the_other_side(this, database, table) -> None:
    edge = moved(this, -3)
    later = await looked_into(database, table, span=Span(since=begin(edge)))
    assert later >= {name_of(moved(edge, nth), table) for nth in range(4)}
    assert not later & {name_of(moved(edge, -nth), table) for nth in range(1, 6)}
    earlier = await looked_into(database, table, span=Span(before=begin(edge)))
    assert earlier >= {name_of(moved(edge, -nth), table) for nth in range(1, 6)}
    assert not earlier & {name_of(moved(edge, nth), table) for nth in range(4)}


@BOTH
async def test_a_later_page_looks_into_no_month_after_its_place(this, database, table) -> None:
    after = begin(moved(this, -4)) + timedelta(days=3)
    found = await looked_into(database, table, after=after)
    assert found >= {name_of(moved(this, -age), table) for age in range(4, MONTHS + 1)}
    assert not found & {name_of(moved(this, -age), table) for age in range(-3, 4)}
    alone = await looked_into(database, table, after=after, span=Span(since=begin(moved(this, -4))))
    assert alone == {name_of(moved(this, -4), table)}
