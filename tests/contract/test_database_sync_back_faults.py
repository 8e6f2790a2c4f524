"""A worker that writes back is killed at any moment: nothing is lost, and no row of the source is changed twice.

Workers are processes of their own, killed by `kill -9`; what the source was asked to change its own trigger notes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from looma_core.api.syncjob import Variable
from support.database import DatabaseUrls, drop_database, make_database
from support.key_ring import KEYS, VARIABLE, ring_file
from support.sync_checker import differences, expected
from support.sync_runs import Runs
from support.two_way import changed_here, made_here, outbox

pytestmark = pytest.mark.database
TESTS = Path(__file__).resolve().parents[1]
NUMBER, KILLS = 150, 6
DEADLINE = 240.0
TABLE = """
CREATE TABLE people (id text PRIMARY KEY, full_name text, email text, headline text, skills text[],
    updated_at timestamptz DEFAULT '2026-05-01T12:00:00Z');
CREATE TABLE asked (id text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO asked VALUES (new.id); PERFORM pg_sleep(0.004); RETURN new; END $$;
INSERT INTO people SELECT 'p-' || n, 'Ada Number ' || n, 'ada.' || n || '@mail.example', 'Engineer', '{Python}'
    FROM generate_series(1, 150) AS n;
"""


class Crm:
    """The source, a database of its own."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives, if it gives any."""
        with psycopg.connect(self.urls.owner_libpq, autocommit=True) as connection:
            cursor = connection.execute(query)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def crm(postgres_admin: str) -> Iterator[Crm]:
    urls = make_database(postgres_admin)
    source = Crm(urls)
    source.rows(TABLE)
    yield source
    drop_database(postgres_admin, urls.name)


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path, crm: Crm) -> Runs:
    given = psycopg.conninfo.conninfo_to_dict(crm.urls.owner_libpq)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "username").write_text(str(given["user"]))
    (tmp_path / "credentials" / "password").write_text(str(given["password"]))
    source = {
        "type": "postgresql",
        "url": f"postgresql:///{given['dbname']}?host={given['host']}",
        "table": "people",
    }
    target = {"direction": "twoWay", "conflictPolicy": {"default": "manual"}}
    return Runs(database_urls, tenant, tmp_path, source=source, target=target)


def started(runs: Runs) -> subprocess.Popen[bytes]:
    """The worker of the only shard, as a process."""
    given = {
        Variable.CONTRACT: "1",
        Variable.JOB: "people",
        Variable.UID: runs.uid,
        Variable.NAMESPACE: "looma",
        Variable.RUN: f"people-sync-{runs.epoch}",
        Variable.EPOCH: str(runs.epoch),
        Variable.SHARD: "0",
        Variable.SHARDS: "1",
        Variable.SOURCE: json.dumps(runs.source),
        Variable.TARGET: json.dumps({"tenant": runs.tenant, "entity": "talent", **runs.target}),
        Variable.BATCH_SIZE: "40",
        Variable.CREDENTIALS: str(runs.folder / "credentials"),
        "LOOMA_DATABASE_URL": runs.urls.app,
        VARIABLE: ring_file(),
        "PYTHONPATH": str(TESTS),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "support.sync_process"],
        env={**os.environ, **given},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def asked(crm: Crm) -> int:
    return int(crm.rows("SELECT count(*) FROM asked")[0][0])


def killed_again_and_again(runs: Runs, crm: Crm) -> None:
    """A run whose worker is killed at any moment while it writes, until one comes to its end."""
    rng = random.Random(20261127)  # noqa: S311 - no secret
    runs.epoch += 1
    killed = 0
    until = time.monotonic() + DEADLINE
    while killed < KILLS:
        assert time.monotonic() < until
        worker = started(runs)
        goal = asked(crm) + rng.randrange(1, 12)
        while worker.poll() is None and asked(crm) < goal:
            time.sleep(rng.random() * 0.004)
        worker.kill()
        worker.communicate()
        if worker.returncode == 0:
            break
        killed += 1
    assert killed >= 4, "it was killed while it wrote"
    last = started(runs)
    _, said = last.communicate(timeout=DEADLINE)
    assert last.returncode == 0, said.decode()[-2000:]


def test_a_worker_that_is_killed_again_and_again_writes_each_row_once(
    runs: Runs, crm: Crm, tmp_path: Path
) -> None:
    runs.one(batch=200)
    for number in range(1, NUMBER + 1):
        changed_here(runs, f"p-{number}", headline=f"Lead {number}", email=f"new.{number}@mail.example")
    crm.rows("CREATE TRIGGER note AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note()")
    killed_again_and_again(runs, crm)

    twice = crm.rows("SELECT id, count(*) FROM asked GROUP BY id HAVING count(*) > 1")
    assert (twice, asked(crm)) == ([], NUMBER), "each row was changed once"
    path = tmp_path / "asked-for.jsonl"
    names = ("id", "full_name", "email", "headline", "skills")
    found = crm.rows(f"SELECT {', '.join(names)} FROM people")  # noqa: S608 - our own names
    assert {row[3] for row in found} == {f"Lead {number}" for number in range(1, NUMBER + 1)}
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in found))
    assert differences(runs.urls.app_libpq, runs.tenant, expected(path), KEYS) == []
    assert runs.rows("SELECT 1 FROM talent_sync.sync_conflicts") == []
    states = [row["state"] for row in outbox(runs)]
    assert states.count("written") == NUMBER
    assert set(states) <= {"written", "dropped"}


def test_a_worker_that_is_killed_again_and_again_makes_and_deletes_each_row_once(
    runs: Runs, crm: Crm
) -> None:
    """Half of the people are deleted here, and as many made, whose keys the source gives."""
    crm.rows("ALTER TABLE people ADD looma_id text UNIQUE, ALTER id SET DEFAULT gen_random_uuid()::text")
    fields = {name: name for name in ("full_name", "email", "headline", "skills")}
    runs.source = {**runs.source, "fields": fields}
    runs.target = {
        **runs.target,
        "writeBack": {"creations": True, "externalId": "looma_id", "deletions": "delete"},
    }
    runs.one(batch=200)
    runs.change(
        "UPDATE talent_sync.talents SET deleted_at = now(), version = version + 1"
        " WHERE right(source_ref, 1) IN ('0', '2', '4', '6', '8')"
    )
    names = {f"Grace Number {number}" for number in range(NUMBER // 2)}
    for name in sorted(names):
        made_here(runs, name, headline="Admiral")
    crm.rows(
        """CREATE FUNCTION note_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO asked VALUES (coalesce(new.looma_id, old.id)); PERFORM pg_sleep(0.004);
            RETURN coalesce(new, old); END $$"""
    )
    crm.rows(
        "CREATE TRIGGER note_all AFTER INSERT OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION note_all()"
    )
    killed_again_and_again(runs, crm)

    twice = crm.rows("SELECT id, count(*) FROM asked GROUP BY id HAVING count(*) > 1")
    assert (twice, asked(crm)) == ([], NUMBER), "each row was made or deleted once"
    there = [row[0] for row in crm.rows("SELECT full_name FROM people")]
    assert (len(there), len(set(there)), names <= set(there)) == (NUMBER, NUMBER, True)
    here = runs.rows("SELECT full_name FROM talent_sync.talents WHERE deleted_at IS NULL")
    assert sorted(row["full_name"] for row in here) == sorted(there), "nobody is here twice"
    assert runs.rows("SELECT 1 FROM talent_sync.sync_conflicts") == []
    assert {row["state"] for row in outbox(runs)} <= {"written", "dropped"}
    again = runs.one(batch=200)
    assert (again.unchanged, again.created, again.written_back) == (NUMBER, 0, None)
