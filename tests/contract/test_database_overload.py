"""More requests than connections, and statements that do not end: all connections work, nobody waits for ever."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings
from looma_engines.talent_sync.app import create
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.database import DatabaseUrls

pytestmark = pytest.mark.database
PATH = "/api/v1/talents"
POOL, REQUESTS = 3, 24
PATIENCE = 3.0
SECONDS = 30
"""More than any of this takes, also on a busy machine."""


@asynccontextmanager
async def engine(urls: DatabaseUrls, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = EngineSettings(
        database_url=urls.app,
        service="talent-sync",
        file_keys=new_key(),
        key_ring_file=ring_file(),
        database_pool=POOL,
        **more,
    )
    app = create(settings, verifier=verifier())
    # In this very loop, so that requests are many at once.
    transport = httpx.ASGITransport(app=app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://looma.test", timeout=SECONDS) as client,
    ):
        yield client


@asynccontextmanager
async def locked(urls: DatabaseUrls) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Nobody reads a talent within this block: a statement about one waits, as if it were really slow."""
    async with await psycopg.AsyncConnection.connect(urls.admin) as connection:
        await connection.execute("LOCK TABLE talent_sync.talents IN ACCESS EXCLUSIVE MODE")
        yield connection
        await connection.rollback()


async def told(client: httpx.AsyncClient, name: str, **labels: str) -> float:
    text = (await client.get("/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def timed(client: httpx.AsyncClient, auth: dict[str, str]) -> tuple[httpx.Response, float]:
    begun = time.monotonic()
    return await client.get(PATH, headers=auth), time.monotonic() - begun


@pytest.mark.timeout(90)
async def test_who_finds_all_connections_taken_is_told_when_to_come_back(
    database_urls: DatabaseUrls, tenant: str
) -> None:
    auth = bearer(tenant=tenant)
    async with engine(database_urls, database_pool_seconds=PATIENCE) as client:
        assert (await client.get(PATH, headers=auth)).status_code == 200
        async with locked(database_urls) as holder:
            asked = [asyncio.create_task(timed(client, auth)) for _ in range(REQUESTS)]
            while await told(client, "looma_database_pool_waiting") < REQUESTS - POOL:
                assert not any(one.done() for one in asked), "all came before the first was refused"
                await asyncio.sleep(0.02)
            assert await told(client, "looma_database_pool_in_use") == POOL, "all of them work"
            assert await told(client, "looma_database_pool_size") == POOL
            refused, pending = await asyncio.wait(asked, timeout=PATIENCE * 3)
            # One connection may be the engine's own, which looks at the database too.
            assert len(pending) in {POOL - 1, POOL}
            await holder.rollback()
            answered = [await one for one in pending]
        assert {answer.status_code for answer, _ in answered} == {200}
        for answer, seconds in [one.result() for one in refused]:
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert "connections" in answer.json()["detail"]
            assert seconds >= PATIENCE * 0.9, "it had its time"
        assert await told(client, "looma_database_refused_total", reason="pool") >= len(refused)
        waits = "looma_database_pool_wait_seconds"
        assert await told(client, f"{waits}_count") >= REQUESTS
        assert await told(client, f"{waits}_sum") >= PATIENCE * (REQUESTS - POOL) * 0.9
        # The pool is whole: as many as before find a connection.
        again = await asyncio.gather(*(timed(client, auth) for _ in range(POOL * 2)))
        assert [answer.status_code for answer, _ in again] == [200] * POOL * 2
        assert await told(client, "looma_database_pool_waiting") == 0
        assert await told(client, "looma_database_pool_in_use") == 0


@pytest.mark.timeout(90)
async def test_a_statement_that_takes_too_long_gives_its_connection_back(
    database_urls: DatabaseUrls, tenant: str
) -> None:
    auth = bearer(tenant=tenant)
    async with engine(database_urls, database_statement_seconds=0.3) as client:
        async with locked(database_urls):
            answer, _ = await timed(client, auth)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "too long" in answer.json()["detail"]
        assert await told(client, "looma_database_refused_total", reason="statement") >= 1
        assert await told(client, "looma_database_pool_in_use") == 0
        assert (await client.get(PATH, headers=auth)).status_code == 200


@pytest.mark.timeout(90)
async def test_what_is_asked_again_is_prepared(database_urls: DatabaseUrls, tenant: str) -> None:
    from sqlalchemy import text

    from looma_core.db import Database

    database = Database(database_urls.app, pool_size=1)
    try:
        for _ in range(7):
            async with database.tenant_session(tenant) as session:
                await session.execute(
                    text("SELECT full_name FROM talent_sync.talents LIMIT :most"), {"most": 1}
                )
                asked = text(
                    "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT full_name%'"
                )
                prepared = await session.scalar(asked)
        assert prepared == 1
    finally:
        await database.close()
