"""What sync runs ask and what people ask about them goes by indexes, by PostgreSQL's own plans."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from looma_core.db import Database
from looma_engines.talent_sync import cursor
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.syncing.back.outbox import Outbox
from looma_engines.talent_sync.syncing.batch import Batch
from looma_engines.talent_sync.syncing.models import ConflictRow, QuarantineRow, WriteRow
from looma_engines.talent_sync.syncing.review_repository import ReviewRepository
from looma_engines.talent_sync.syncing.source_row import SourceRow
from looma_engines.talent_sync.talents import TALENTS
from support.database import DatabaseUrls
from support.key_ring import SEALER
from support.plans import by_index, plans_in

pytestmark = pytest.mark.database
ROWS, TENANT = 5_000, "sync-plans"
RUN = "'looma/people', 1, n / 100 + 1, 'people', 'talent'"
FILLS = {
    "talents": (
        "id, full_name, language, source_type, source_ref",
        "gen_random_uuid(), 'Person ' || n, 'en', 'sync', 'people:' || n",
    ),
    "sync_states": (
        (
            "entity, origin, key, record_id, base, raw_digest, written_version, written_digest, seen_generation, "
            "seen_position, shard_hash"
        ),
        (
            "'talent', 'people', n::text, "
            "(SELECT array_agg(id ORDER BY id) FROM talent_sync.talents)[n], '{}', 'x', 1, 'x', 1, n, n"
        ),
    ),
    "quarantine": (
        "id, job, epoch, generation, origin, entity, key, position, shard_hash, raw, raw_digest, whole, errors, state",
        (
            f"gen_random_uuid(), {RUN}, n::text, n, n, '', n::text::bytea, true, "
            """'[{"field": "email", "message": ""}]', (ARRAY['open', 'discarded'])[n % 2 + 1]"""
        ),
    ),
    "sync_conflicts": (
        "id, job, epoch, generation, origin, entity, key, record_id, field, resolution, reason",
        f"gen_random_uuid(), {RUN}, n::text, gen_random_uuid(), 'headline', (ARRAY['open', 'source'])[n % 2 + 1], ''",
    ),
    "sync_writes": (
        "id, job, epoch, generation, origin, entity, key, record_id, version, fields, state, intended",
        (
            f"gen_random_uuid(), {RUN}, n::text, gen_random_uuid(), 1, '[]', "
            "(ARRAY['intended', 'written', 'refused'])[n % 3 + 1], CASE WHEN n % 3 = 0 THEN 'x' END"
        ),
    ),
    "sync_shards": (
        "id, job, epoch, generation, origin, entity, uid, shard, shards, run",
        "gen_random_uuid(), 'looma/people', n, n, 'people', 'talent', 'u', 0, 1, 'r'",
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
                    connection.execute(
                        f"INSERT INTO talent_sync.{table} ({columns}) "  # noqa: S608 - our own texts
                        f"SELECT {values} FROM generate_series(1, {ROWS}) AS n"
                    )
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        for table in FILLS:
            connection.execute(f"ANALYZE talent_sync.{table}")
    yield
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        for table in ("record_history", *reversed(FILLS)):
            connection.execute(f"DELETE FROM talent_sync.{table} WHERE tenant LIKE '{TENANT}%'")  # noqa: S608


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.app, pool_size=1, info=sealing_with(SEALER))
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("row", "filters"),
    [
        (QuarantineRow, {}),
        (QuarantineRow, {"state": "open"}),
        (QuarantineRow, {"state": "open", "entity": "talent", "job": "looma/people"}),
        (ConflictRow, {}),
        (ConflictRow, {"resolution": "open"}),
        (ConflictRow, {"record_id": uuid.uuid4()}),
        (WriteRow, {}),
        (WriteRow, {"state": "refused"}),
        (WriteRow, {"state": "refused", "entity": "talent", "job": "looma/people"}),
        (WriteRow, {"record_id": uuid.uuid4()}),
    ],
)
async def test_pages_are_ranges_of_an_index(filled, database: Database, row: Any, filters: Any) -> None:
    after = cursor.Position(sort="-created_at", value=datetime.now(UTC).isoformat(), id=uuid.uuid4())

    async def ask(session: Any) -> object:
        reviews = ReviewRepository(session)
        await reviews.page(row, filters=filters, after=None, limit=51)
        return await reviews.page(row, filters=filters, after=after, limit=51)

    by_index(await plans_in(database, TENANT, ask))


async def test_runs_and_their_reports_go_by_indexes(filled, database: Database) -> None:
    async def ask(session: Any) -> object:
        reviews = ReviewRepository(session)
        await reviews.runs(job=None, before=None, limit=21)
        await reviews.runs(job="looma/people", before=4000, limit=21)
        await reviews.run(7)
        return await reviews.tallies(7)

    by_index(await plans_in(database, TENANT, ask))


def test_what_a_batch_looks_up_goes_by_indexes(filled, database_urls: DatabaseUrls) -> None:
    plans: list[dict[str, Any]] = []
    told = {"entity": "talent", "origin": "people", "generation": 9, "job": "looma/people", "epoch": 1}
    told |= {"shards": 1, "shard": 0}
    with (
        psycopg.connect(database_urls.app_libpq, row_factory=namedtuple_row) as connection,
        connection.transaction(),
    ):
        connection.execute("SELECT set_config('looma.tenant', %s, true)", (TENANT,))

        def execute(query: Any, **more: Any) -> psycopg.Cursor[Any]:
            text = query if isinstance(query, str) else query.as_string(connection)
            found = connection.execute("EXPLAIN (FORMAT JSON) " + text, {**told, **more}).fetchone()
            assert found is not None
            plan = found[0] if isinstance(found[0], list) else json.loads(found[0])
            plans.append(plan[0]["Plan"])
            return connection.execute(text, {**told, **more})

        batch = Batch(connection, execute, TALENTS, origin="people", seals=Seals(SEALER, TENANT))
        keys = [str(number) for number in range(1, 20)]
        rows = [SourceRow(position=1, key=key, values={}) for key in (*keys, "none")]
        assert len(batch.known(rows)) == len(keys)
        outbox = Outbox(execute, batch, Seals(SEALER, TENANT), TALENTS)
        assert len(outbox.keys("2", 20, deletions=True)) == 20
        assert outbox.creations.settle_pending(lambda _: None) == 0
        assert outbox.creations.wanted(None, 20, shard=0, shards=1) == []
        assert outbox.with_intended({}) == {}
    assert len(plans) == 6
    by_index(plans)
