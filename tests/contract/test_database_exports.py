"""Exports of a process of its own whose readers go away, and whose database does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from looma_engines.talent_sync.exchange.exporting import AT_ONCE
from support.engines import STOP_SECONDS, engine_process, lines_of, one_address, wait_until_ready
from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

COUNT = 20_000
"""Of 2 KB each: far more than all buffers between the engine and its reader hold."""
PATH = "/api/v1/companies/export"


@pytest.fixture(scope="module")
def engine(database_urls: DatabaseUrls) -> Iterator[str]:
    with one_address() as keys:
        environment = {"LOOMA_DATABASE_URL": database_urls.app, "LOOMA_JWKS_URL": f"{keys}/jwks.json"}
        with engine_process("talent-sync", environment) as (process, url):
            wait_until_ready(url, process)
            yield url
            process.terminate()
            assert lines_of(process)


@pytest.fixture
def client(engine: str, database_urls: DatabaseUrls, tenant: str) -> Iterator[httpx.Client]:
    """Asks for a tenant with many companies."""
    with psycopg.connect(database_urls.owner_libpq, autocommit=True) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, false)", (tenant,))
        connection.execute(
            "INSERT INTO talent_sync.companies (id, tenant, name, aliases, description, language, source_type)"
            " SELECT gen_random_uuid(), %s, 'Company ' || n, '[]', repeat('x', 2000), 'en', 'manual'"
            " FROM generate_series(1, %s) n",
            (tenant, COUNT),
        )
    with httpx.Client(base_url=engine, headers=bearer(tenant=tenant), timeout=STOP_SECONDS) as client:
        yield client


def test_readers_that_go_away_leave_room_for_others(client: httpx.Client) -> None:
    for _ in range(AT_ONCE + 1):
        answer = begun(client)
        next(answer.iter_bytes())
        answer.close()
    answer = begun(client)
    assert sum(1 for _ in answer.iter_lines()) == COUNT + 1


def test_no_more_than_so_many_are_under_way(client: httpx.Client) -> None:
    under_way = [begun(client) for _ in range(AT_ONCE)]
    refused = client.get(PATH)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    for answer in under_way:
        answer.close()
    begun(client).close()


def test_an_export_that_loses_its_database_has_no_good_end(
    client: httpx.Client, database_urls: DatabaseUrls
) -> None:
    parts = begun(client).iter_bytes()
    next(parts)
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'looma_app' AND xact_start IS NOT NULL"
        ).fetchall()
    assert ended
    with pytest.raises(httpx.RemoteProtocolError):
        for _ in parts:
            pass
    for answer in [begun(client) for _ in range(AT_ONCE)]:
        answer.close()


def begun(client: httpx.Client) -> httpx.Response:
    """An export that is under way, as soon as there is room for it."""
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        answer = client.send(client.build_request("GET", PATH), stream=True)
        if answer.status_code == httpx.codes.OK:
            return answer
        assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
        answer.close()
        time.sleep(0.1)
    pytest.fail("exports that ended still have their places")
