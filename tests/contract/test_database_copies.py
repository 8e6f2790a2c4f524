"""Copies of requests on the real database: they run as always, and leave nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from litestar.testing import AsyncTestClient
from sqlalchemy import text

from looma_core.crypto import new_key
from looma_core.db import Database
from looma_core.problems import NotReady
from looma_core.settings import EngineSettings
from looma_core.shadowing import CopyRefused, enter
from looma_engines.talent_sync.app import create
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.database import DatabaseUrls

COPY = {"X-Looma-Shadowed": "1"}
TALENT = """
    INSERT INTO talent_sync.talents (id, full_name, language, source_type)
    VALUES (gen_random_uuid(), :name, 'en', 'manual')
"""
DRAFT: dict[str, Any] = {"full_name": "Ada", "language": "en", "source": {"type": "manual", "ref": "one"}}


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.app, pool_size=2)
    yield database
    await database.close()


@pytest.fixture(autouse=True)
def in_no_copy() -> Iterator[None]:
    """Each test begins and ends outside of a copy."""
    enter(copy=False)
    yield
    enter(copy=False)


def _names(urls: DatabaseUrls, tenant: str) -> list[str]:
    with psycopg.connect(urls.admin) as connection:
        rows = connection.execute(
            "SELECT full_name FROM talent_sync.talents WHERE tenant = %s ORDER BY full_name", [tenant]
        )
        return [row[0] for row in rows]


async def test_a_copys_session_sees_what_it_wrote_and_leaves_nothing(
    database: Database, database_urls: DatabaseUrls, tenant: str
) -> None:
    for copy, name in ((True, "Copied"), (False, "Real")):
        enter(copy=copy)
        async with database.tenant_session(tenant) as session:
            await session.execute(text(TALENT), {"name": name})
            found = await session.scalars(text("SELECT full_name FROM talent_sync.talents"))
            assert list(found) == [name]
    assert _names(database_urls, tenant) == ["Real"]


async def _commit_within(database: Database, tenant: str) -> None:
    async with database.tenant_session(tenant) as session:
        await session.execute(text(TALENT), {"name": "Committed"})
        await session.commit()


async def _write_beside(database: Database, tenant: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("SELECT set_config('looma.tenant', :name, true)"), {"name": tenant})
        await connection.execute(text(TALENT), {"name": "Beside"})


async def test_code_that_commits_by_itself_is_refused_in_a_copy(
    database: Database, database_urls: DatabaseUrls, tenant: str
) -> None:
    enter(copy=True)
    with pytest.raises(CopyRefused, match="commit to the database"):
        await _commit_within(database, tenant)
    with pytest.raises(CopyRefused):
        await _write_beside(database, tenant)
    assert _names(database_urls, tenant) == []
    # The connections are fit for the next request.
    enter(copy=False)
    async with database.tenant_session(tenant) as session:
        await session.execute(text(TALENT), {"name": "Next"})
    assert _names(database_urls, tenant) == ["Next"]


async def _set_version(database: Database, tenant: str) -> None:
    async with database.tenant_session(tenant) as session:
        await session.execute(text("UPDATE talent_sync.talents SET version = 8"))


async def test_a_copy_waits_for_no_row_that_a_real_request_has(
    database: Database, database_urls: DatabaseUrls, tenant: str
) -> None:
    async with database.tenant_session(tenant) as session:
        await session.execute(text(TALENT), {"name": "Ada"})
    with psycopg.connect(database_urls.admin) as real:
        real.execute("UPDATE talent_sync.talents SET version = 9 WHERE tenant = %s", [tenant])
        enter(copy=True)
        # Without a limit of its own this would wait for as long as a statement may take.
        with pytest.raises(NotReady) as caught:
            await _set_version(database, tenant)
        assert "lock timeout" in str(caught.value.__cause__)
        real.rollback()


@pytest.fixture
async def client(database_urls: DatabaseUrls) -> AsyncIterator[AsyncTestClient[Any]]:
    """The engine talent-sync, in this process."""
    settings = EngineSettings(
        service="talent-sync",
        revision="r1",
        database_url=database_urls.app,
        file_keys=new_key(),
        key_ring_file=ring_file(),
    )
    async with AsyncTestClient(create(settings, verifier=verifier())) as client:
        yield client


async def test_copies_of_writes_answer_as_always_and_change_nothing(
    client: AsyncTestClient[Any], database_urls: DatabaseUrls, tenant: str
) -> None:
    who = bearer(tenant=tenant)
    path = "/api/v1/talents"
    # Each copy after the first finds nothing of the one before.
    for _ in range(2):
        assert (await client.post(path, json=DRAFT, headers=who | COPY)).status_code == 201
    assert _names(database_urls, tenant) == []

    real = await client.post(path, json=DRAFT, headers=who)
    assert real.status_code == 201
    one, tag = f"{path}/{real.json()['id']}", {"If-Match": real.headers["etag"]}
    changed = await client.patch(one, json={"full_name": "Eve"}, headers=who | tag | COPY)
    assert (changed.status_code, changed.json()["full_name"]) == (200, "Eve")
    assert (await client.delete(one, headers=who | tag | COPY)).status_code == 204
    # What is wrong with a real request is wrong with its copy.
    assert (await client.post(path, json={}, headers=who | COPY)).status_code == 422

    kept = await client.get(one, headers=who)
    assert (kept.json(), kept.headers["etag"]) == (real.json(), real.headers["etag"])
    assert _names(database_urls, tenant) == ["Ada"]


async def test_a_copys_key_says_nothing(
    client: AsyncTestClient[Any], database_urls: DatabaseUrls, tenant: str
) -> None:
    who = bearer(tenant=tenant) | {"Idempotency-Key": "one"}
    path = "/api/v1/talents"
    # A copy that comes before its request must not be in its way, and one that comes after works as the first did.
    for mark, repeated in ((COPY, False), ({}, False), (COPY, False), ({}, True)):
        answer = await client.post(path, json={"full_name": "Ada"}, headers=who | mark)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, repeated)
    assert _names(database_urls, tenant) == ["Ada"]
