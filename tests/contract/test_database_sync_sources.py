"""The source is killed in the middle of a run: it is waited for, and then tried again; no record is lost.

Real servers, `kill -9`, and workers as processes of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from bson import ObjectId

from looma_core.api.syncjob import CONTRACT, ExitCode, Variable
from support.database import DatabaseServer, DatabaseUrls, killable_server
from support.key_ring import KEYS, VARIABLE, ring_file
from support.mongo import Mongo
from support.sync_checker import differences, expected

pytestmark = pytest.mark.database
TESTS = Path(__file__).resolve().parents[1]
NUMBER = 600
DEADLINE = 90.0


class Killable(Protocol):
    """A source that may be killed, and comes back with what it had."""

    source: dict[str, Any]

    def kill(self) -> None:
        """End its processes."""

    def start(self) -> None:
        """Be there, with all records."""


def people() -> list[dict[str, Any]]:
    """What the source has, as the checker reads it."""
    return [
        {
            "id": f"{number:024x}",
            "full_name": f"Ada Number {number}",
            "email": f"ada.{number}@mail.example",
            "headline": "Engineer",
            "skills": ["Python"],
            **({"_bad": True, "full_name": ""} if number % 100 == 0 else {}),
        }
        for number in range(1, NUMBER + 1)
    ]


class Postgres:
    """A server of its own, with a table of people."""

    def __init__(self, server: DatabaseServer) -> None:
        self._server = server
        with psycopg.connect(server.uri, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE people (id text PRIMARY KEY, full_name text, email text, headline text, skills text[],"
                " updated_at timestamptz DEFAULT '2026-05-01T12:00:00Z')"
            )
            for row in people():
                names = ("id", "full_name", "email", "headline", "skills")
                connection.execute(
                    "INSERT INTO people VALUES (%s, %s, %s, %s, %s)", [row[name] for name in names]
                )
        given = psycopg.conninfo.conninfo_to_dict(server.uri)
        self.username = str(given["user"])
        self.source = {
            "type": "postgresql",
            "url": f"postgresql:///{given['dbname']}?host={given['host']}",
            "table": "people",
        }

    def kill(self) -> None:
        """Its first process."""
        self._server.kill()

    def start(self) -> None:
        """It recovers."""
        self._server.start()


class Documents:
    """A server of MongoDB's protocol, with a collection of people; another one with the same takes its place."""

    username = ""

    def __init__(self) -> None:
        self._mongo = Mongo()
        fields = {name: name for name in ("full_name", "email", "headline", "skills")}
        self.source = {
            "type": "mongodb",
            "url": self._mongo.url,
            "collection": "people",
            "key": "_id",
            "fields": fields,
        }
        try:
            self.start()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Its only process."""
        self._mongo.kill()

    def start(self) -> None:
        """With the same documents."""
        self._mongo.start()
        left_out = ("id", "_bad")
        self._mongo.write(
            [
                {"_id": ObjectId(row["id"]), **{name: row[name] for name in row if name not in left_out}}
                for row in people()
            ]
        )

    def end(self) -> None:
        """Remove it."""
        self._mongo.kill()


@pytest.fixture(params=["postgresql", "mongodb"])
def killable(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "mongodb":
        documents = Documents()
        yield documents
        documents.end()
        return
    with killable_server() as server:
        yield Postgres(server)


@dataclass
class Job:
    """One SyncJob's tenant and its worker."""

    urls: DatabaseUrls
    tenant: str
    folder: Path
    killable: Any
    epoch: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *, patience: float = 60) -> subprocess.Popen[bytes]:
        """The worker of the only shard."""
        credentials = self.folder / "credentials"
        credentials.mkdir(exist_ok=True)
        if self.killable.username:
            (credentials / "username").write_text(self.killable.username)
        target = {"tenant": self.tenant, "entity": "talent", "onMissing": "delete"}
        told = {
            Variable.CONTRACT: CONTRACT,
            Variable.JOB: "people",
            Variable.UID: "uid-1",
            Variable.NAMESPACE: "looma",
            Variable.RUN: f"people-sync-{self.epoch}",
            Variable.EPOCH: str(self.epoch),
            Variable.SHARD: "0",
            Variable.SHARDS: "1",
            Variable.SOURCE: json.dumps(self.killable.source),
            Variable.TARGET: json.dumps(target),
            Variable.BATCH_SIZE: "10",
            Variable.CREDENTIALS: str(credentials),
            "LOOMA_DATABASE_URL": self.urls.app,
            VARIABLE: ring_file(),
            "PATIENCE": str(patience),
            "PYTHONPATH": str(TESTS),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "support.sync_process"],
            env={**os.environ, **told},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def wait_for(self, records: int, worker: subprocess.Popen[bytes]) -> None:
        """Until so many are written, and the run goes on."""
        until = time.monotonic() + DEADLINE
        with psycopg.connect(self.urls.app_libpq, autocommit=True) as connection:
            connection.execute("SELECT set_config('looma.tenant', %s, false)", (self.tenant,))
            while connection.execute("SELECT count(*) FROM talent_sync.talents").fetchall()[0][0] < records:
                assert worker.poll() is None, "the run was over too soon"
                assert time.monotonic() < until
                time.sleep(0.005)

    def wrong(self) -> list[str]:
        """What is lost, doubled or different."""
        path = self.folder / "asked-for.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in people()))
        return differences(self.urls.app_libpq, self.tenant, expected(path), KEYS)


@pytest.fixture
def job(database_urls: DatabaseUrls, tenant: str, tmp_path: Path, killable: Any) -> Job:
    return Job(database_urls, tenant, tmp_path, killable)


def ended(worker: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, said = worker.communicate(timeout=DEADLINE)
    return worker.returncode, said.decode()


MISSED = ("the source was cut off", "Retrying")
"""What the worker's log says once it misses the source: while it read, or when it was about to."""


def until_missed(worker: subprocess.Popen[bytes]) -> None:
    """Until the worker has noticed that the source is gone; one that ends before fails the test."""
    assert worker.stderr is not None
    told = []
    for line in worker.stderr:
        told.append(line.decode())
        if any(words in told[-1] for words in MISSED):
            return
    raise AssertionError(f"the worker ended and missed no source:\n{''.join(told)}")


def test_a_source_that_comes_back_is_read_on(job: Job) -> None:
    worker = job.start()
    job.wait_for(100, worker)
    job.killable.kill()
    until_missed(worker)
    assert worker.poll() is None, "it waits"
    # One of the servers has nothing at first, and is not to be asked before it has what it had.
    worker.send_signal(signal.SIGSTOP)
    job.killable.start()
    worker.send_signal(signal.SIGCONT)
    code, said = ended(worker)
    assert code == ExitCode.DONE, said
    assert job.wrong() == []


def test_a_source_that_stays_away_ends_the_pod_and_the_next_one_goes_on(job: Job) -> None:
    worker = job.start(patience=2)
    job.wait_for(100, worker)
    job.killable.kill()
    code, said = ended(worker)
    assert code not in (ExitCode.DONE, ExitCode.BAD_INPUT, ExitCode.FENCED), said
    assert "ada." not in said.lower()
    code, said = ended(job.start(patience=2))
    assert code not in (ExitCode.DONE, ExitCode.BAD_INPUT, ExitCode.FENCED), "and it is tried again and again"
    job.killable.start()
    code, said = ended(job.start())
    assert code == ExitCode.DONE, said
    assert job.wrong() == []
