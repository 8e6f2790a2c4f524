"""How the database does, by the API: its tables, and its statements where it counts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from litestar.testing import TestClient
from psycopg import sql

from looma_core.crypto import new_key
from looma_core.db.migrate import migrate
from looma_core.settings import EngineSettings
from looma_engines.talent_sync.app import create
from looma_engines.talent_sync.care.repository import HINTS
from support.database import PASSWORD, make_database
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from support.database import DatabaseUrls

pytestmark = pytest.mark.database
PATH = "/api/v1/database"
SECRET = "Wilhelmina Zarquon"


def debian() -> Path | None:
    """Programs of a PostgreSQL with contrib, 15 or newer, where the system has one."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/lib/pg_stat_statements.so"), reverse=True):
        if int(folder.parts[-3]) >= 15:
            return folder.parents[1] / "bin"
    return None


@contextmanager
def server(programs: Path, *, loaded: bool) -> Iterator[str]:
    """A server of the system's own PostgreSQL, with the two roles and, perhaps, what counts statements."""
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="looma-pg-") as folder:
        data = Path(folder) / "data"
        if as_user:
            shutil.chown(folder, "postgres")
        initdb = ["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run(
            [*as_user, programs / "initdb", "--pgdata", data, "--no-sync", *initdb], check=True, **quiet
        )
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        if loaded:
            options += " -c shared_preload_libraries=pg_stat_statements"
        control = [*as_user, programs / "pg_ctl", "--pgdata", data, "--wait", "--silent"]
        log = ["--log", f"{folder}/log"]
        subprocess.run([*control, *log, "--options", options, "start"], check=True, **quiet)
        try:
            uri = f"postgresql://postgres@/postgres?host={folder}"
            with psycopg.connect(uri, autocommit=True) as connection:
                for role in ("looma_owner", "looma_app"):
                    connection.execute(
                        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                            sql.Identifier(role), sql.Literal(PASSWORD)
                        )
                    )
            yield uri
        finally:
            subprocess.run([*control, "--mode", "immediate", "stop"], check=True, **quiet)


@contextmanager
def engine(urls: DatabaseUrls) -> Iterator[TestClient[Any]]:
    settings = EngineSettings(
        database_url=urls.app, service="talent-sync", file_keys=new_key(), key_ring_file=ring_file()
    )
    with TestClient(create(settings, verifier=verifier())) as client:
        yield client


def asked(client: TestClient[Any], path: str = "", *, role: str = "admin", **params: str) -> Any:
    answer = client.get(f"{PATH}{path}", headers=bearer(roles=[role]), params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_state_tells_of_tables_and_rates_and_the_metrics_follow(database_urls: DatabaseUrls) -> None:
    with engine(database_urls) as client:
        state = asked(client)
        tables = {table["name"]: table for table in state["tables"]}
        assert {"talent_sync.talents", "talent_sync.record_grams", "talent_sync.jobs"} <= set(tables)
        assert tables["talent_sync.talents"]["index_bytes"] > 0
        assert 0 < state["cache_hit_ratio"] <= 1
        assert 0 < state["connections"] <= state["most_connections"]
        metrics = ""
        until = time.monotonic() + 20
        while "looma_database_dead_rows{" not in metrics:
            assert time.monotonic() < until, "the watch looked at nothing"
            metrics = client.get("/metrics").text
        assert 'looma_database_dead_rows{table="talents"}' in metrics
        assert "record_history_2" not in metrics
        for name in ("bytes", "connections", "cache_hit_ratio"):
            (line,) = (line for line in metrics.splitlines() if line.startswith(f"looma_database_{name} "))
            assert float(line.split()[1]) > 0, line
        assert client.get(PATH, headers=bearer()).status_code == 403
        assert client.get(f"{PATH}/statements", headers=bearer(roles=["operator"])).status_code == 403


def test_without_the_extension_it_says_so(database_urls: DatabaseUrls) -> None:
    with engine(database_urls) as client:
        found = asked(client, "/statements")
    assert (found["state"], found["hint"], found["items"]) == ("missing", HINTS["missing"], [])


@pytest.mark.skipif(debian() is None, reason="no PostgreSQL with contrib on this machine")
@pytest.mark.parametrize("loaded", [True, False])
def test_with_it_statements_are_counted_without_anybodys_data(loaded: bool) -> None:
    programs = debian()
    assert programs is not None
    with server(programs, loaded=loaded) as admin:
        urls = make_database(admin)
        migrate(urls.owner)
        with psycopg.connect(urls.admin, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        with engine(urls) as client:
            for number in range(3):
                draft = {"full_name": f"{SECRET} {number}"}
                answer = client.post("/api/v1/talents", headers=bearer(), json=draft)
                assert answer.status_code == 201, answer.text
            assert client.get("/api/v1/talents", headers=bearer(), params={"q": SECRET}).json()["items"]
            found = asked(client, "/statements", sort="calls")
            if not loaded:
                assert (found["state"], found["hint"]) == ("not-loaded", HINTS["not-loaded"])
                return
            assert found["state"] == "ready"
            texts = [item["text"] for item in found["items"]]
            assert any(text.startswith("INSERT INTO talent_sync.talents") for text in texts)
            assert not any("looma.version_" in text and "UPDATE" in text for text in texts), "the owner's own"
            assert SECRET not in str(found)
            assert "wilhelmina" not in str(found)
            calls = [item["calls"] for item in found["items"]]
            assert calls == sorted(calls, reverse=True)
            for sort, field in (("mean", "mean_ms"), ("max", "max_ms"), ("total", "total_ms")):
                values = [item[field] for item in asked(client, "/statements", sort=sort)["items"]]
                assert values == sorted(values, reverse=True), sort
            with psycopg.connect(urls.admin, autocommit=True) as connection:
                connection.execute("REVOKE SELECT ON pg_stat_statements FROM PUBLIC")
            assert asked(client, "/statements")["state"] == "not-readable"
