"""Relations between two connections at once, and their migration on a filled database.

One writer is held open in a transaction of its own connections while the other asks: it must wait, and then see.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft
from looma_core.api.relation import RelationDraft
from looma_core.api.talent import TalentDraft
from looma_core.auth import Principal
from looma_core.db import Database
from looma_core.db.migrate import branches, migrate
from looma_core.metrics import Metrics
from looma_core.problems import Conflict, NotFound, ValidationProblem
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.service import RecordMetrics, RecordService, record_metrics
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.talents import TALENTS
from support.key_ring import SEALER

if TYPE_CHECKING:
    from support.database import DatabaseUrls

WAIT_SECONDS = 10
"""Until the second writer is seen to wait for the first."""
REVISION = "talent_sync_0005"


class Writer(NamedTuple):
    """An engine's process as far as it matters here: its own connections, and what can be done by them."""

    database: Database
    talents: RecordService[Any, Any]
    companies: RecordService[Any, Any]
    jobs: RecordService[Any, Any]
    relations: RecordService[Any, Any]


@pytest.fixture(scope="module")
def counted() -> RecordMetrics:
    return record_metrics(Metrics(service="talent-sync", revision="r1"))


@pytest.fixture
async def writers(
    database_urls: DatabaseUrls, counted: RecordMetrics
) -> AsyncIterator[tuple[Writer, Writer]]:
    made = []
    for _ in range(2):
        database = Database(database_urls.app, pool_size=4, info=sealing_with(SEALER))
        services = (
            RecordService(database, entity, counted, max_page_size=100)
            for entity in (TALENTS, COMPANIES, JOBS, RELATIONS)
        )
        made.append(Writer(database, *services))
    yield made[0], made[1]
    for writer in made:
        await writer.database.close()


@pytest.fixture
def recruiter(tenant: str) -> Principal:
    return Principal(subject="ada", tenant=tenant, roles=frozenset({"recruiter"}))


async def people(writer: Writer, recruiter: Principal, *names: str) -> list[uuid.UUID]:
    made = [await writer.talents.create(recruiter, TalentDraft(full_name=name)) for name in names]
    return [record.id for record, _ in made]


async def is_waiting(database_urls: DatabaseUrls) -> None:
    """Return when somebody waits for a lock in this database."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(database_urls.admin, autocommit=True) as connection:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                row = await (await connection.execute(asked, [database_urls.name])).fetchone()
                if row and row[0]:
                    return
                await asyncio.sleep(0.02)


async def while_open(
    urls: DatabaseUrls,
    first: Writer,
    recruiter: Principal,
    work: Callable[[], Awaitable[object]],
    other: Callable[[], Awaitable[object]],
) -> object:
    """What becomes of `other` that begins while `work` of the first writer is done and not yet committed."""
    async with first.database.one_transaction(recruiter):
        await work()
        task = asyncio.ensure_future(other())
        await is_waiting(urls)
        assert not task.done()
    return (await asyncio.gather(task, return_exceptions=True))[0]


@pytest.mark.parametrize("kind", ["reports_to", "referred_by"])
async def test_two_writers_cannot_close_a_circle_together(
    database_urls: DatabaseUrls, writers, recruiter, kind
) -> None:
    first, second = writers
    ada, ben, cleo = await people(first, recruiter, "Ada", "Ben", "Cleo")
    await first.relations.create(recruiter, RelationDraft(kind=kind, talent_id=ben, other_talent_id=cleo))

    def relate(writer: Writer, one: uuid.UUID, other: uuid.UUID) -> Callable[[], Awaitable[object]]:
        draft = RelationDraft(kind=kind, talent_id=one, other_talent_id=other)
        return lambda: writer.relations.create(recruiter, draft)

    outcome = await while_open(
        database_urls, first, recruiter, relate(first, ada, ben), relate(second, cleo, ada)
    )
    assert isinstance(outcome, ValidationProblem)
    assert "Cleo → Ada → Ben → Cleo" in outcome.errors[0].message


async def test_of_many_who_write_at_once_none_closes_a_circle(writers, recruiter) -> None:
    """Each of six is to report to the next one, all at the same time: the last of them is refused, whoever it is."""
    both = await people(writers[0], recruiter, *"ABCDEF")
    drafts = [
        RelationDraft(kind="reports_to", talent_id=one, other_talent_id=other)
        for one, other in zip(both, [*both[1:], both[0]], strict=True)
    ]
    outcomes = await asyncio.gather(
        *(writers[n % 2].relations.create(recruiter, draft) for n, draft in enumerate(drafts)),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes].count("ValidationProblem") == 1, outcomes
    page = await writers[0].relations.page(
        recruiter, sort="created_at", limit=100, cursor=None, q=None, filters={"kind": "reports_to"}
    )
    assert len(page.items) == len(drafts) - 1


async def test_two_writers_cannot_have_one_work_at_a_company_twice(
    database_urls: DatabaseUrls, writers, recruiter
) -> None:
    first, second = writers
    (ada,) = await people(first, recruiter, "Ada")
    company, _ = await first.companies.create(recruiter, CompanyDraft(name="Harbour"))

    def work(writer: Writer, title: str, day: str) -> Callable[[], Awaitable[object]]:
        draft = RelationDraft(
            kind="works_at",
            talent_id=ada,
            company_id=company.id,
            title=title,
            starts_on=date.fromisoformat(day),
        )
        return lambda: writer.relations.create(recruiter, draft)

    outcome = await while_open(
        database_urls,
        first,
        recruiter,
        work(first, "Clerk", "2020-01-01"),
        work(second, "Chief", "2021-01-01"),
    )
    assert isinstance(outcome, ValidationProblem)
    assert outcome.errors[0].field == "starts_on"


async def test_the_same_relation_sent_twice_at_once_is_one_and_the_second_is_told(
    database_urls: DatabaseUrls, writers, recruiter
) -> None:
    first, second = writers
    ada, ben = await people(first, recruiter, "Ada", "Ben")

    def know(writer: Writer, one: uuid.UUID, other: uuid.UUID) -> Callable[[], Awaitable[object]]:
        draft = RelationDraft(kind="knows", talent_id=one, other_talent_id=other)
        return lambda: writer.relations.create(recruiter, draft)

    outcome = await while_open(database_urls, first, recruiter, know(first, ada, ben), know(second, ben, ada))
    assert isinstance(outcome, Conflict)
    assert "is there already, as" in str(outcome.detail)


async def test_a_change_that_makes_a_relation_what_another_becomes_at_once_is_told(
    database_urls: DatabaseUrls, writers, recruiter
) -> None:
    first, second = writers
    ada, ben, cleo = await people(first, recruiter, "Ada", "Ben", "Cleo")
    known, _ = await first.relations.create(
        recruiter, RelationDraft(kind="knows", talent_id=ada, other_talent_id=cleo)
    )
    draft = RelationDraft(kind="knows", talent_id=ada, other_talent_id=ben)
    outcome = await while_open(
        database_urls,
        first,
        recruiter,
        lambda: first.relations.create(recruiter, draft),
        lambda: second.relations.change(
            recruiter, known.id, if_match="*", patch={"other_talent_id": str(ben)}
        ),
    )
    assert isinstance(outcome, Conflict)


async def test_a_relation_that_comes_while_its_person_is_deleted_goes_too(
    database_urls: DatabaseUrls, writers, recruiter
) -> None:
    first, second = writers
    ada, ben = await people(first, recruiter, "Ada", "Ben")
    draft = RelationDraft(kind="knows", talent_id=ada, other_talent_id=ben)
    made: list[Any] = []

    async def create() -> None:
        made.append((await first.relations.create(recruiter, draft))[0])

    outcome = await while_open(
        database_urls,
        first,
        recruiter,
        create,
        lambda: second.talents.delete(recruiter, ben, if_match="*"),
    )
    assert outcome is None
    with pytest.raises(NotFound):
        await first.relations.get(recruiter, made[0].id)


async def test_a_relation_with_a_person_who_is_being_deleted_is_refused(
    database_urls: DatabaseUrls, writers, recruiter
) -> None:
    first, second = writers
    ada, ben = await people(first, recruiter, "Ada", "Ben")
    draft = RelationDraft(kind="knows", talent_id=ada, other_talent_id=ben)
    outcome = await while_open(
        database_urls,
        first,
        recruiter,
        lambda: first.talents.delete(recruiter, ben, if_match="*"),
        lambda: second.relations.create(recruiter, draft),
    )
    assert isinstance(outcome, ValidationProblem)
    assert outcome.errors[0].field == "other_talent_id"


@pytest.mark.parametrize("reopened", [False, True], ids=["new", "opened again"])
async def test_a_job_that_comes_while_its_company_is_deleted_keeps_the_company(
    database_urls: DatabaseUrls, writers, recruiter, reopened
) -> None:
    first, second = writers
    company, _ = await first.companies.create(recruiter, CompanyDraft(name="Harbour"))
    closed, _ = await first.jobs.create(
        recruiter, JobDraft(title="Clerk", company_id=company.id, status="closed")
    )

    def job(writer: Writer) -> Awaitable[object]:
        if reopened:
            return writer.jobs.change(recruiter, closed.id, if_match="*", patch={"status": "open"})
        return writer.jobs.create(recruiter, JobDraft(title="Chief", company_id=company.id))

    outcome = await while_open(
        database_urls,
        first,
        recruiter,
        lambda: job(first),
        lambda: second.companies.delete(recruiter, company.id, if_match="*"),
    )
    assert isinstance(outcome, Conflict)
    assert str(outcome.detail).startswith("1 job of this company is not closed")
    await first.jobs.change(recruiter, closed.id, if_match="*", patch={"status": "closed"})
    page = await first.jobs.page(
        recruiter, sort="title", limit=10, cursor=None, q=None, filters={"status": "open"}
    )
    for item in page.items:
        await first.jobs.delete(recruiter, item.id, if_match="*")
    outcome = await while_open(
        database_urls,
        first,
        recruiter,
        lambda: first.companies.delete(recruiter, company.id, if_match="*"),
        lambda: job(second),
    )
    assert isinstance(outcome, ValidationProblem)
    assert outcome.errors[0].field == "company_id"


FILL = """
    INSERT INTO talent_sync.talents (id, full_name, language, source_type)
        SELECT gen_random_uuid(), 'Person ' || n, 'en', 'manual' FROM generate_series(1, 3) n;
    INSERT INTO talent_sync.companies (id, name, language, source_type)
        VALUES (gen_random_uuid(), 'Harbour', 'en', 'manual');
    INSERT INTO talent_sync.jobs (id, title, language, status, source_type)
        VALUES (gen_random_uuid(), 'Clerk', 'en', 'open', 'manual');
"""
RELATE = """
    INSERT INTO talent_sync.relations (id, kind, talent_id, company_id, source_type)
        SELECT gen_random_uuid(), 'works_at', t.id, c.id, 'manual' FROM talent_sync.talents t, talent_sync.companies c;
    INSERT INTO talent_sync.relations (id, kind, talent_id, job_id, source_type)
        SELECT gen_random_uuid(), 'applied_to', t.id, j.id, 'manual' FROM talent_sync.talents t, talent_sync.jobs j;
"""


def test_the_table_comes_to_a_filled_database_goes_and_comes_again(empty_database: DatabaseUrls) -> None:
    branch = next(branch for branch in branches() if branch.name == "talent_sync")
    before = ScriptDirectory.from_config(branch.config()).get_revision(REVISION).down_revision
    engine = create_engine(empty_database.owner)
    migrate(empty_database.owner)

    def down() -> None:
        with engine.begin() as connection:
            command.downgrade(branch.config(connection), str(before))

    def ask(statement: str) -> Any:
        with psycopg.connect(empty_database.app_libpq) as connection:
            connection.execute("SELECT set_config('looma.tenant', 'demo', true)")
            answer = connection.execute(statement)  # type: ignore[call-overload]
            return answer.fetchone()[0] if answer.description else answer.rowcount

    down()
    ask(FILL)
    for _ in range(2):
        migrate(empty_database.owner)
        ask(RELATE)
        assert ask("SELECT count(*) FROM talent_sync.relations") == 6
        down()
        assert ask("SELECT to_regclass('talent_sync.relations')") is None
    for table, count in (("talents", 3), ("companies", 1), ("jobs", 1)):
        assert ask(f"SELECT count(*) FROM talent_sync.{table}") == count  # noqa: S608 - our own names
    engine.dispose()
