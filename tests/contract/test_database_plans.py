"""Every list and every look-up of records goes by an index, with row-level security on: by PostgreSQL's own plans.

The statements are those that the repository sends, caught on their way, and explained in the same session. What the
API's document allows of lists, each way with each other and with words, is in `test_database_plans_of_lists`.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from looma_core.api.relation import RelationDraft
from looma_core.api.source import Source
from looma_core.db import Database
from looma_engines.talent_sync import cursor
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.models import RelationRow
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.history import Mark
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.talents import TALENTS
from looma_engines.talent_sync.ties.deletions import TalentTies, hide_relations
from looma_engines.talent_sync.ties.lookups import RelationLookups
from support.key_ring import SEALER
from support.plans import by_index, nodes, partitions_in, plans_in

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from support.database import DatabaseUrls

ROWS = 5_000
TENANT = "plans"
COMMON = "created_at, updated_at, source_type, source_ref"
VALUES = "now() - n * interval '1 minute', now() - n * interval '1 second', 'manual', 'r' || n"
FILLS = {
    "companies": ("name, language, size, location", "'Company ' || n, 'en', '1-10', 'Leeds'"),
    "talents": ("full_name, language", "'Person ' || n, 'en'"),
    "jobs": (
        "title, language, status, workplace, employment, location, company_id",
        (
            "'Job ' || n, 'en', (ARRAY['open', 'closed', 'draft'])[n % 3 + 1], (ARRAY['remote', 'hybrid'])[n % 2 + 1], "
            "'full-time', 'Leeds', (SELECT id FROM talent_sync.companies WHERE name = 'Company ' || (n % 500 + 1))"
        ),
    ),
    # Of four relations one is of each kind; those who report do so to the next person, in one long chain.
    "relations": (
        "kind, talent_id, company_id, job_id, other_talent_id, starts_on",
        (
            "(ARRAY['works_at', 'applied_to', 'knows', 'reports_to'])[n % 4 + 1], "
            "(SELECT array_agg(id ORDER BY id) FROM talent_sync.talents)[n / 4 + 1], "
            "CASE n % 4 WHEN 0 THEN (SELECT array_agg(id) FROM talent_sync.companies)[n % 500 + 1] END, "
            "CASE n % 4 WHEN 1 THEN (SELECT array_agg(id) FROM talent_sync.jobs)[n % 500 + 1] END, "
            "CASE WHEN n % 4 > 1 THEN (SELECT array_agg(id ORDER BY id) FROM talent_sync.talents)[n / 4 + 2] END, "
            "date '2020-01-01' + n % 1000"
        ),
    ),
}
FILTERS: dict[str, list[dict[str, object]]] = {
    "talent": [{"source_type": "manual"}, {"email": "ada@mail.example"}, {"phone": "+44 113 496 0999"}],
    "company": [{"source_type": "manual"}, {"size": "1-10"}, {"location": "Leeds"}],
    "job": [
        {"status": "closed"},
        {"workplace": "remote"},
        {"employment": "full-time"},
        {"location": "Leeds", "status": "open"},
    ],
    "relation": [
        {"talent_id": uuid.uuid4()},
        {"company_id": uuid.uuid4()},
        {"job_id": uuid.uuid4()},
        {"other_talent_id": uuid.uuid4()},
        {"talent_id": uuid.uuid4(), "kind": "works_at", "on": date(2021, 1, 1)},
        {"kind": "knows"},
        {"source_type": "manual"},
        {"on": date(2021, 1, 1)},
    ],
}


@pytest.fixture(scope="module")
def filled(database_urls: DatabaseUrls) -> Iterator[uuid.UUID]:
    """Tables with many rows of one tenant, and as many of another; the id of one company."""
    with psycopg.connect(database_urls.app_libpq, autocommit=True) as connection:
        for tenant in (TENANT, f"{TENANT}-other"):
            for table, (columns, values) in FILLS.items():
                with connection.transaction():
                    connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
                    connection.execute(
                        f"INSERT INTO talent_sync.{table} (id, {COMMON}, {columns}) "  # noqa: S608 - our own texts
                        f"SELECT gen_random_uuid(), {VALUES}, {values} FROM generate_series(1, {ROWS}) AS n"
                    )
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        for table in FILLS:
            connection.execute(f"ANALYZE talent_sync.{table}")
        # As many entries in the months that follow, and where no month has a partition: an empty one is read whole.
        connection.execute(
            "INSERT INTO talent_sync.record_history"
            " (tenant, entity, record_id, version, changed_at, origin, action, changes)"
            " SELECT tenant, entity, record_id, version + n, changed_at + n * interval '1 month', origin, 'update',"
            " '{}'"
            " FROM talent_sync.record_history, generate_series(1, 4) AS n WHERE tenant = %s",
            [TENANT],
        )
        connection.execute("ANALYZE talent_sync.record_history")
        row = connection.execute(
            "SELECT id FROM talent_sync.companies WHERE tenant = %s AND name = 'Company 7'", [TENANT]
        ).fetchone()
    assert row is not None
    yield row[0]
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        for table in ("relations", "jobs", "companies", "talents"):
            connection.execute(f"DELETE FROM talent_sync.{table} WHERE tenant LIKE '{TENANT}%'")  # noqa: S608
        connection.execute(f"DELETE FROM talent_sync.record_history WHERE tenant LIKE '{TENANT}%'")  # noqa: S608


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.app, pool_size=1, info=sealing_with(SEALER))
    yield database
    await database.close()


async def plans_of(
    database: Database,
    entity: Entity[Any, Any],
    ask: Callable[[RecordRepository[Any, Any]], Awaitable[object]],
) -> list[dict[str, Any]]:
    """The plan of each statement that `ask` sends."""
    return await plans_in(database, TENANT, lambda session: ask(RecordRepository(session, entity)))


LISTS = [
    pytest.param(
        entity, f"{turned}{sort}", filters, id=f"{entity.name} {turned}{sort} {' '.join(filters)}".strip()
    )
    for entity in (TALENTS, COMPANIES, JOBS, RELATIONS)
    for filters in [{}, *FILTERS[entity.name]]
    for sort in (entity.sorts if not filters or entity is RELATIONS else ["created_at"])
    for turned in ("", "-")
]


@pytest.mark.parametrize(("entity", "sort", "filters"), LISTS)
async def test_a_list_goes_along_the_index_of_its_order(filled, database, entity, sort, filters) -> None:
    async def first(repository: RecordRepository[Any, Any]) -> object:
        return await repository.page(sort=sort, limit=21, filters=filters)

    plans = await plans_of(database, entity, first)
    by_index(plans)
    if not filters:
        assert "Sort" not in [node["Node Type"] for plan in plans for node in nodes(plan)], (
            "the index is the order"
        )
    name = sort.removeprefix("-")
    key = (
        "2026-11-20T10:00:00+00:00" if name in cursor.TIMES else "2020-06-01" if name in cursor.DAYS else "M"
    )
    after = cursor.Position(sort=sort, value=key, id=uuid.uuid4())

    async def later(repository: RecordRepository[Any, Any]) -> object:
        return await repository.page(sort=sort, limit=21, after=after, filters=filters)

    by_index(await plans_of(database, entity, later))


@pytest.mark.parametrize("field", ["email", "phone"])
async def test_a_person_is_found_by_the_index_of_the_hash(filled, database, field) -> None:
    async def ask(repository: RecordRepository[Any, Any]) -> object:
        return await repository.page(sort="-created_at", limit=21, filters={field: "+44 113 496 0999"})

    assert f"ix_talents_tenant_{field}_hash" in str(await plans_of(database, TALENTS, ask))


async def test_the_jobs_of_a_company_are_found_by_an_index(filled, database) -> None:
    async def ask(repository: RecordRepository[Any, Any]) -> object:
        found = await repository.page(sort="-created_at", limit=100, filters={"company_id": filled})
        assert len(found) == ROWS // 500
        return found

    plans = await plans_of(database, JOBS, ask)
    by_index(plans)
    assert "ix_jobs_tenant_company" in str(plans)


@pytest.mark.parametrize("entity", [TALENTS, COMPANIES, JOBS, RELATIONS], ids=lambda entity: entity.name)
async def test_one_record_is_found_by_its_key_and_by_its_source(filled, database, entity) -> None:
    async def by_id(repository: RecordRepository[Any, Any]) -> object:
        return await repository.find(uuid.uuid4())

    async def by_source(repository: RecordRepository[Any, Any]) -> object:
        found = await repository.find_by_source(Source(type="manual", ref="r77"))
        assert found is not None
        return found

    for ask in (by_id, by_source):
        by_index(await plans_of(database, entity, ask))


@pytest.mark.parametrize("entity", [TALENTS, COMPANIES, JOBS], ids=lambda entity: entity.name)
async def test_the_history_of_a_record_is_a_range_of_each_months_index(filled, database, entity) -> None:
    async def first(repository: RecordRepository[Any, Any]) -> object:
        (one,) = await repository.page(sort="created_at", limit=1)
        assert await repository.was_there(one.id)
        found = await repository.history(one.id, limit=21)
        assert [row.version for row in found] == [5, 4, 3, 2, 1]
        after = Mark(at=found[1].changed_at, id=found[1].id)
        later = await repository.history(one.id, limit=2, after=after)
        assert [row.version for row in later] == [3, 2]
        return later

    # What a creation was is asked of a function, which is looked at by itself.
    plans = [plan for plan in await plans_of(database, entity, first) if plan["Node Type"] != "Result"]
    by_index(plans)
    histories = [plan for plan in plans if partitions_in([plan], "record_history")]
    assert len(histories) == 2
    for plan in histories:
        scans = [node for node in nodes(plan) if "Relation Name" in node]
        assert len(scans) >= 4
        for scan in scans:
            assert scan["Node Type"] == "Index Scan", scan
            assert scan["Relation Name"].startswith("record_history_")
            assert "record_id" in scan["Index Cond"]
            assert "tenant" in scan["Index Cond"]


@pytest.mark.parametrize(
    ("entity", "table"), [("talent", "talents"), ("company", "companies"), ("job", "jobs")]
)
def test_what_a_record_was_at_first_is_found_by_indexes(filled, database_urls, entity, table) -> None:
    read = (
        "SELECT coalesce(sum(seq_scan), 0), coalesce(sum(idx_scan), 0) FROM pg_stat_xact_user_tables"
        " WHERE schemaname = 'talent_sync' AND (relname = %s OR starts_with(relname, 'record_history_'))"
    )
    with psycopg.connect(database_urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [TENANT])
        record = connection.execute(f"SELECT id FROM talent_sync.{table} ORDER BY id LIMIT 1").fetchone()  # noqa: S608
        assert record is not None
        before = connection.execute(read, [table]).fetchone()
        found = connection.execute("SELECT talent_sync.created_as(%s, %s)", [entity, record[0]]).fetchone()
        after = connection.execute(read, [table]).fetchone()
    assert found is not None
    assert found[0]["source_type"]
    assert before is not None
    assert after is not None
    assert after[0] == before[0], "nothing is read whole"
    assert after[1] >= before[1] + 5


def person(urls: DatabaseUrls, number: int) -> uuid.UUID:
    """Id of one of the people, in the order in which they report to each other."""
    asked = "SELECT id FROM talent_sync.talents WHERE tenant = %s ORDER BY id OFFSET %s LIMIT 1"
    with psycopg.connect(urls.admin) as connection:
        row = connection.execute(asked, [TENANT, number]).fetchone()
    assert row is not None
    found: uuid.UUID = row[0]
    return found


async def test_what_is_beside_a_relation_is_found_by_an_index(
    filled, database, database_urls: DatabaseUrls
) -> None:
    first, last = person(database_urls, 900), person(database_urls, 950)

    async def ask(session: AsyncSession) -> object:
        work = RelationDraft(kind="works_at", talent_id=first, company_id=filled)
        await RelationLookups(session, work, None).double()
        await RelationLookups(session, work, uuid.uuid4()).other_work()
        chain = RelationDraft(kind="reports_to", talent_id=last, other_talent_id=first)
        edges = await RelationLookups(session, chain, None).chain(at_the_same_time=False)
        assert len(edges) == 50, "the whole way from one to the other"
        return await RelationLookups(session, chain, None).names([first, last])

    by_index(await plans_in(database, TENANT, ask))


async def test_what_a_deletion_takes_along_is_found_by_an_index(
    filled, database, database_urls: DatabaseUrls
) -> None:
    ada = person(database_urls, 700)

    async def ask(session: AsyncSession) -> object:
        await TalentTies().let_go(session, ada)
        for which in (RelationRow.company_id == filled, RelationRow.job_id == uuid.uuid4()):
            await hide_relations(session, which)
        return None

    plans = await plans_in(database, TENANT, ask)
    by_index(plans)
    assert "ModifyTable" in [plan["Node Type"] for plan in plans], "there was something to hide"
