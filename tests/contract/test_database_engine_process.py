"""`looma-engine talent-sync` as a process of its own: starts, serves, drains, and says what is wrong."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from looma_core.auth import public_jwks
from support.tokens import bearer, private_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

START_SECONDS = 30.0
"""Two interpreters on a busy machine of two cores."""

STOP_SECONDS = 15.0
"""Well inside the pod's grace period of 30 s."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    """The issuer's keys by HTTP, as the console serves them."""
    document = json.dumps(public_jwks(private_key())).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    server.server_close()


@contextmanager
def _engine(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = _free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOOMA_")}
    process = subprocess.Popen(
        [sys.executable, "-c", "from looma_engines.main import main; main()", "talent-sync"],
        env={**clean, "LOOMA_HOST": "127.0.0.1", "LOOMA_PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def _wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not ready within {START_SECONDS} s")


def _lines(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    output, _ = process.communicate(timeout=STOP_SECONDS)
    return [json.loads(line) for line in output.splitlines()]


def test_it_serves_and_drains_on_sigterm(database_urls: DatabaseUrls, jwks_url: str, tenant: str) -> None:
    environment = {
        "LOOMA_DATABASE_URL": database_urls.app,
        "LOOMA_JWKS_URL": jwks_url,
        "LOOMA_SERVICE": "people",
        "LOOMA_REVISION": "r9",
    }
    with _engine(environment) as (process, url):
        _wait_until_ready(url, process)
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
        lines = _lines(process)
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
    with _engine({"LOOMA_LOG_LEVEL": "loud"}) as (process, _):
        output, _ = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 2
    assert "LOOMA_DATABASE_URL is not set" in output
    assert "LOOMA_LOG_LEVEL is wrong ('loud')" in output
    assert "Traceback" not in output


def test_a_missing_schema_ends_it_for_another_try(empty_database: DatabaseUrls, jwks_url: str) -> None:
    environment = {
        "LOOMA_DATABASE_URL": empty_database.app,
        "LOOMA_JWKS_URL": jwks_url,
        "LOOMA_SCHEMA_WAIT_SECONDS": "1",
    }
    with _engine(environment) as (process, _):
        lines = _lines(process)
    assert process.returncode == 1
    assert any("was never migrated" in str(line) for line in lines)
