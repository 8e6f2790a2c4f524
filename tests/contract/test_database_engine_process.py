"""`looma-engine talent-sync` as a process of its own: starts, serves, drains, and says what is wrong."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from support.engines import (
    START_SECONDS,
    STOP_SECONDS,
    engine_process,
    lines_of,
    one_address,
    wait_until_ready,
)
from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    """The issuer's keys by HTTP, as the console serves them."""
    with one_address() as url:
        yield f"{url}/jwks.json"


def test_it_serves_and_drains_on_sigterm(database_urls: DatabaseUrls, jwks_url: str, tenant: str) -> None:
    environment = {
        "LOOMA_DATABASE_URL": database_urls.app,
        "LOOMA_JWKS_URL": jwks_url,
        "LOOMA_SERVICE": "people",
        "LOOMA_REVISION": "r9",
    }
    with engine_process("talent-sync", environment) as (process, url):
        wait_until_ready(url, process)
        headers = {**bearer(tenant=tenant), "X-Request-Id": "from-the-test"}
        answers: list[httpx.Response] = []

        def ask() -> None:
            # A lock on the table keeps this request under way while the process is told to stop.
            answers.append(httpx.get(f"{url}/api/v1/talents", headers=headers, timeout=STOP_SECONDS))

        with psycopg.connect(database_urls.owner_libpq) as locked:
            locked.execute("LOCK TABLE talent_sync.talents IN ACCESS EXCLUSIVE MODE")
            asking = threading.Thread(target=ask)
            asking.start()
            _wait_for_blocked_query(database_urls)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None, "it left a request behind"
        asking.join(STOP_SECONDS)
        assert [answer.status_code for answer in answers] == [200]
        assert answers[0].headers["x-looma-revision"] == "r9"
        assert answers[0].headers["x-request-id"] == "from-the-test"
        lines = lines_of(process)
        assert process.returncode == 0
    requests = [line for line in lines if line.get("request_id") == "from-the-test"]
    assert [(line["route"], line["code"], line["service"]) for line in requests] == [
        ("/api/v1/talents", 200, "people")
    ]


def _wait_for_blocked_query(urls: DatabaseUrls) -> None:
    until = time.monotonic() + START_SECONDS
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'looma_app'"
            ).fetchone()
            if row and row[0]:
                return
            time.sleep(0.05)
    pytest.fail("the request never reached the locked table")


def test_wrong_settings_end_it_with_what_to_write() -> None:
    with engine_process("talent-sync", {"LOOMA_LOG_LEVEL": "loud"}) as (process, _):
        output, _ = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 2
    assert "LOOMA_DATABASE_URL is not set" in output
    assert "LOOMA_LOG_LEVEL is wrong ('loud')" in output
    assert "Traceback" not in output


def test_a_wrong_config_ends_it_with_what_is_wrong(database_urls: DatabaseUrls) -> None:
    environment = {"LOOMA_DATABASE_URL": database_urls.app, "LOOMA_CONFIG": '{"maxPageSize": 0}'}
    with engine_process("talent-sync", environment) as (process, _):
        lines = lines_of(process)
    assert process.returncode == 1
    (line,) = [line for line in lines if line["level"] == "error" and line["event"] == "cannot start"]
    assert "spec.config of the AIService" in line["error"]
    assert "maxPageSize" in line["error"]
    assert not any("exception" in line for line in lines)


def test_a_missing_schema_ends_it_for_another_try(empty_database: DatabaseUrls, jwks_url: str) -> None:
    environment = {
        "LOOMA_DATABASE_URL": empty_database.app,
        "LOOMA_JWKS_URL": jwks_url,
        "LOOMA_SCHEMA_WAIT_SECONDS": "1",
    }
    with engine_process("talent-sync", environment) as (process, _):
        lines = lines_of(process)
    assert process.returncode == 1
    assert any("was never migrated" in str(line) for line in lines)
