"""A request with an `Idempotency-Key` is carried out once: two engines on one database, killed at bad moments."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from support import breaking_engine
from support.engines import START_SECONDS, STOP_SECONDS, engine_process, one_address, wait_until_ready
from support.tokens import bearer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.database import DatabaseUrls

PATH = "/api/v1/talents"
ADA = {"full_name": "Ada Byron"}
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.fixture(scope="module")
def environment(database_urls: DatabaseUrls) -> Iterator[Mapping[str, str]]:
    with one_address() as issuer:
        yield {
            "LOOMA_DATABASE_URL": database_urls.app,
            "LOOMA_JWKS_URL": f"{issuer}/jwks.json",
            "LOOMA_SERVICE": "people",
        }


@pytest.fixture(scope="module")
def pods(environment: Mapping[str, str]) -> Iterator[list[str]]:
    """The addresses of two engines that share a database, as two pods of one service."""
    with ExitStack() as stack:
        started = [stack.enter_context(engine_process("talent-sync", environment)) for _ in range(2)]
        for process, url in started:
            wait_until_ready(url, process)
        yield [url for _, url in started]


def create(url: str, tenant: str, *, key: str = KEY, **fields: str) -> httpx.Response:
    headers = bearer(tenant=tenant) | {"Idempotency-Key": key}
    return httpx.post(url + PATH, headers=headers, json={**ADA, **fields}, timeout=60)


def count(urls: DatabaseUrls, tenant: str, table: str = "talents") -> int:
    with psycopg.connect(urls.app_libpq) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        query = sql.SQL("SELECT count(*) FROM talent_sync.{}").format(sql.Identifier(table))
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def held_up(urls: DatabaseUrls) -> Iterator[None]:
    """Nobody writes a talent within this block: a request that does is under way until its end."""
    with psycopg.connect(urls.owner_libpq) as locked:
        locked.execute("LOCK TABLE talent_sync.talents IN SHARE ROW EXCLUSIVE MODE")
        yield


def wait_until_held_up(urls: DatabaseUrls, requests: int) -> None:
    until = time.monotonic() + START_SECONDS
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND usename = 'looma_app' AND datname = current_database()"
            ).fetchone()
            if row and row[0] >= requests:
                return
            time.sleep(0.05)
    pytest.fail(f"never were {requests} requests held up")


def test_many_at_once_at_two_pods_are_carried_out_once(
    database_urls: DatabaseUrls, pods: list[str], tenant: str
) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: create(pods[n % 2], tenant), range(16)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in done}) == 1
    assert len([answer for answer in done if "idempotent-replayed" not in answer.headers]) == 1
    assert count(database_urls, tenant) == 1
    assert count(database_urls, tenant, "idempotency_keys") == 1


def test_many_keys_at_once_are_many_requests(
    database_urls: DatabaseUrls, pods: list[str], tenant: str
) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: create(pods[n % 2], tenant, key=f"key-{n}"), range(32)))
    assert {answer.status_code for answer in answers} == {201}
    assert count(database_urls, tenant) == 32


@pytest.mark.parametrize("other", [0, 1], ids=["the same pod", "the other pod"])
def test_while_the_first_is_under_way_the_second_is_told_to_come_back(
    database_urls: DatabaseUrls, pods: list[str], tenant: str, other: int
) -> None:
    with ThreadPoolExecutor(1) as threads:
        with held_up(database_urls):
            first = threads.submit(create, pods[0], tenant)
            wait_until_held_up(database_urls, 1)
            second = create(pods[other], tenant)
        assert (second.status_code, second.json()["type"]) == (
            409,
            "urn:looma:problem:idempotency-key-under-way",
        )
        assert int(second.headers["retry-after"]) >= 1
        assert first.result().status_code == 201
    again = create(pods[other], tenant)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.result().content, "true")
    assert count(database_urls, tenant) == 1


def test_two_that_work_on_it_because_claims_were_lost_store_it_once(
    database_urls: DatabaseUrls, pods: list[str], tenant: str
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with held_up(database_urls):
            first = threads.submit(create, pods[0], tenant)
            wait_until_held_up(database_urls, 1)
            with psycopg.connect(database_urls.admin, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE application_name = 'people-claims' AND datname = current_database()"
                )
            second = threads.submit(create, pods[1], tenant)
            wait_until_held_up(database_urls, 2)
        answers = [first.result(), second.result()]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 1
    assert count(database_urls, tenant) == 1


def kill(process: subprocess.Popen[str]) -> None:
    """End the engine and its worker, as a node that is lost would."""
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        os.kill(one.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def test_what_a_killed_pod_had_not_committed_another_carries_out(
    database_urls: DatabaseUrls, environment: Mapping[str, str], pods: list[str], tenant: str
) -> None:
    with engine_process("talent-sync", environment) as (process, url):
        wait_until_ready(url, process)
        with ThreadPoolExecutor(2) as threads:
            with held_up(database_urls):
                lost = threads.submit(create, url, tenant)
                wait_until_held_up(database_urls, 1)
                kill(process)
                # Its claim went with it: nobody waits for a time to pass.
                repeated = threads.submit(create, pods[1], tenant)
                wait_until_held_up(database_urls, 2)
            assert isinstance(lost.exception(), httpx.TransportError)
            answer = repeated.result()
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert count(database_urls, tenant) == 1


def test_what_a_killed_pod_had_committed_another_answers(
    database_urls: DatabaseUrls,
    environment: Mapping[str, str],
    pods: list[str],
    tenant: str,
    tmp_path: Path,
) -> None:
    code, beside = breaking_engine.program(tmp_path / "broken")
    with engine_process("talent-sync", {**environment, **beside}, code=code) as (process, url):
        wait_until_ready(url, process)
        with pytest.raises(httpx.TransportError):
            create(url, tenant)
        output, _ = process.communicate(timeout=STOP_SECONDS)
    assert count(database_urls, tenant) == 1, "it was carried out"
    answer = create(pods[0], tenant)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (201, "true")
    read = httpx.get(pods[1] + answer.headers["location"], headers=bearer(tenant=tenant), timeout=60)
    assert read.json() == answer.json()
    assert count(database_urls, tenant) == 1
    for hidden in (KEY, "Ada Byron"):
        assert hidden not in output


def test_keys_of_a_tenant_are_no_other_tenants(
    database_urls: DatabaseUrls, pods: list[str], tenant: str
) -> None:
    answers = [create(pods[0], name) for name in (tenant, f"{tenant}-other")]
    assert all("idempotent-replayed" not in answer.headers for answer in answers)
    assert count(database_urls, tenant, "idempotency_keys") == 1
    with psycopg.connect(database_urls.app_libpq) as connection:
        assert connection.execute("SELECT count(*) FROM talent_sync.idempotency_keys").fetchone() == (0,)
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        written: Any = connection.execute(
            "UPDATE talent_sync.idempotency_keys SET answer = NULL WHERE tenant <> %s", [tenant]
        )
        assert written.rowcount == 0


def test_a_database_that_cut_all_connections_costs_no_request(
    database_urls: DatabaseUrls, pods: list[str], tenant: str
) -> None:
    assert create(pods[0], tenant, key="before").status_code == 201
    with psycopg.connect(database_urls.admin, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'looma_app' AND datname = current_database()"
        )
    for key, replayed in (("before", True), ("after", False)):
        answer = create(pods[0], tenant, key=key)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, replayed)
