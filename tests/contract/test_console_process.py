"""`looma-console` as a process of its own: it serves, streams, and stops in order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from looma_console.main import GRACE_SECONDS
from support.database import DatabaseUrls
from support.tokens import private_key

START_SECONDS = 60
BIN = Path(sys.executable).parent


@contextmanager
def console(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / "looma-console"], env=environment, stdout=output, stderr=subprocess.STDOUT, cwd="/"
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def environment(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = tmp_path / "private.pem"
    key.write_bytes(private_key())
    kubeconfig = tmp_path / "kubeconfig"
    # A cluster that never answers: the console must serve all the same, and say that it has no routes.
    cluster = {"name": "x", "cluster": {"server": "https://127.0.0.1:9"}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    config = {
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "x", "user": {}}],
        "current-context": "x",
    }
    kubeconfig.write_text(json.dumps(config))
    return {
        "PATH": os.environ["PATH"],
        "LOOMA_HOST": "127.0.0.1",
        "LOOMA_PORT": str(port),
        "LOOMA_TENANT": tenant,
        "LOOMA_DATABASE_URL": database_urls.app,
        "LOOMA_SESSION_KEY": "k" * 40,
        "LOOMA_ISSUER_KEY_FILE": str(key),
        "LOOMA_ADMIN_PASSWORD": "first password",
        "LOOMA_KUBECONFIG": str(kubeconfig),
        "LOOMA_THREADS": "8",
        "LOOMA_LIVE_STREAMS": "2",
    }


def opened(client: httpx.Client, *, keep: bool = False) -> httpx.Response | None:
    """An open stream, left at once unless `keep`; None if all places are taken."""
    stream = client.send(client.build_request("GET", "/services/live"), stream=True)
    if stream.status_code != 200 or not keep:
        stream.close()
    return stream if stream.status_code == 200 else None


def test_it_serves_and_stops_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    address = f"http://127.0.0.1:{environment['LOOMA_PORT']}"
    with console(environment, log) as process, httpx.Client(base_url=address, timeout=10) as client:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                ready = client.get("/readyz")
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        assert (ready.status_code, ready.json()["missing"]) == (503, ["routes"])
        page = client.get("/login")
        token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
        while True:
            # The first account comes a moment after the start.
            form = {"csrf_token": token, "login": "admin", "password": "first password"}
            answer = client.post("/login", data=form)
            if answer.status_code == 303:
                break
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
        # A page that was left frees its place soon, not with its heartbeat of 15 s.
        for _ in range(2 * int(environment["LOOMA_LIVE_STREAMS"])):
            until = time.monotonic() + 8
            while not opened(client):
                assert time.monotonic() < until, "places do not come back"
                time.sleep(0.1)
        until = time.monotonic() + 8
        while (stream := opened(client, keep=True)) is None:
            assert time.monotonic() < until, "places do not come back"
            time.sleep(0.1)
        with closing(stream):
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            process.send_signal(signal.SIGTERM)
            # The stream lets go, so nobody waits for the grace to end.
            assert any(True for _ in lines)
        assert process.wait(timeout=GRACE_SECONDS) == 0
    lines = log.read_text().splitlines()
    assert lines
    for line in lines:
        assert json.loads(line)["service"] == "looma-console", line
    assert "first password" not in log.read_text()


def test_it_says_what_it_needs(environment: dict[str, str]) -> None:
    environment.pop("LOOMA_SESSION_KEY")
    done = subprocess.run(
        [BIN / "looma-console"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "LOOMA_SESSION_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr
