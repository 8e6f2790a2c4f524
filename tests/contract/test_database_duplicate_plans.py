"""What looks for duplicates, and what people ask about them, goes by indexes, by PostgreSQL's own plans."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from looma_core.api.source import Source
from looma_core.db import Database
from looma_engines.talent_sync import cursor
from looma_engines.talent_sync.duplicates.repository import DuplicateRepository
from looma_engines.talent_sync.duplicates.survivors import survivor, survivor_of_source
from support.database import DatabaseUrls
from support.plans import by_index, plans_in

pytestmark = pytest.mark.database
ROWS, TENANT = 5_000, "duplicate-plans"
PEOPLE = "(SELECT array_agg(id ORDER BY id) FROM talent_sync.talents)"
FILLS = {
    "talents": (
        "id, full_name, language, source_type, source_ref",
        f"gen_random_uuid(), 'Person ' || n, 'en', 'sync', 'people:' || n FROM generate_series(1, {ROWS}) AS n",
    ),
    "duplicate_keys": (
        "talent_id, kind, digest",
        "id, 'name', md5(id::text || n)::bytea FROM talent_sync.talents, generate_series(1, 4) AS n",
    ),
    "duplicates": (
        "id, first_id, second_id, verdict, weight, status, compared",
        (
            "gen_random_uuid(), people[n], people[n + 1], (ARRAY['certain', 'likely'])[n % 2 + 1], 3,"
            " (ARRAY['open', 'open', 'dismissed'])[n % 3 + 1], 'x'"
            f" FROM (SELECT {PEOPLE} AS people) AS known, generate_series(1, {ROWS} - 1) AS n"
        ),
    ),
    "merges": (
        (
            "id, duplicate_id, kept_id, other_id, other_source_type, other_source_ref, changed, relations, before,"
            " merged_by"
        ),
        (
            "gen_random_uuid(), gen_random_uuid(), people[n], people[n + 1], 'sync', n::text, '[]', '[]', 'x', 'ada'"
            f" FROM (SELECT {PEOPLE} AS people) AS known, generate_series(1, {ROWS} - 1) AS n"
        ),
    ),
}


@pytest.fixture(scope="module")
def filled(database_urls: DatabaseUrls) -> Iterator[None]:
    """Tables with many rows of one tenant, and as many of another."""
    with psycopg.connect(database_urls.app_libpq, autocommit=True) as connection:
        for tenant in (TENANT, f"{TENANT}-other"):
            for table, (columns, values) in FILLS.items():
                with connection.transaction():
                    connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
                    connection.execute(f"INSERT INTO talent_sync.{table} ({columns}) SELECT {values}")
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        for table in FILLS:
            connection.execute(f"ANALYZE talent_sync.{table}")
    yield
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        for table in ("record_history", "talents"):
            connection.execute(f"DELETE FROM talent_sync.{table} WHERE tenant LIKE '{TENANT}%'")  # noqa: S608


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.app, pool_size=1)
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("filters", "person"),
    [
        ({}, None),
        ({"status": "open"}, None),
        ({"verdict": "certain"}, None),
        ({"status": "open", "verdict": "certain"}, None),
        ({}, uuid.uuid4()),
    ],
)
async def test_pages_are_ranges_of_an_index(filled, database: Database, filters: Any, person: Any) -> None:
    after = cursor.Position(sort="-created_at", value=datetime.now(UTC).isoformat(), id=uuid.uuid4())

    async def ask(session: Any) -> object:
        repository = DuplicateRepository(session)
        await repository.page(filters=filters, person=person, after=None, limit=51)
        return await repository.page(filters=filters, person=person, after=after, limit=51)

    by_index(await plans_in(database, TENANT, ask))


async def test_a_look_goes_by_indexes(filled, database: Database) -> None:
    async def ask(session: Any) -> object:
        repository = DuplicateRepository(session)
        await repository.blocks([uuid.uuid4().bytes for _ in range(20)], most=51)
        await repository.pairs_of([uuid.uuid4() for _ in range(20)])
        await repository.lock_people([uuid.uuid4(), uuid.uuid4()])
        await survivor(session, uuid.uuid4())
        return await survivor_of_source(session, Source(type="resume", ref="row-7"))

    by_index(await plans_in(database, TENANT, ask))
