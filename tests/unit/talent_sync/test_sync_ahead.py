"""Runs that read ahead of what they write, on a real PostgreSQL: each record judged once, and an end when it ends."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from looma_core.db.migrate import migrate
from looma_engines.talent_sync.syncing import deciding, worker
from looma_engines.talent_sync.syncing.judging import judge
from looma_engines.talent_sync.syncing.reading_ahead import READY
from looma_engines.talent_sync.syncing.sources.files import FileRecords
from looma_engines.talent_sync.syncing.staging import Staging
from support.database import DatabaseUrls, drop_database, make_database
from support.sync_runs import Runs, person

pytestmark = pytest.mark.database
BATCH = 3


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of the rows that were read of files, as they are read."""
    found: list[int] = []
    rows = FileRecords.rows

    def noted(self: FileRecords, **asked: Any) -> Any:
        for row in rows(self, **asked):
            found.append(row.position)
            yield row

    monkeypatch.setattr(FileRecords, "rows", noted)
    return found


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many rows were judged, ahead and in their batch."""
    found: Counter[str] = Counter()

    def counted(place: str) -> Any:
        def count(*args: Any, **asked: Any) -> Any:
            found[place] += 1
            return judge(*args, **asked)

        return count

    monkeypatch.setattr(worker, "judge", counted("ahead"))
    monkeypatch.setattr(deciding, "judge", counted("in its batch"))
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many rows were made to be copied, by the thread that reads and by the one that writes."""
    found: Counter[str] = Counter()
    row = Staging.row

    def counted(self: Staging, *args: Any, **asked: Any) -> Any:
        found["ahead" if threading.current_thread() in reading() else "in its batch"] += 1
        return row(self, *args, **asked)

    monkeypatch.setattr(Staging, "row", counted)
    return found


def reading() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_a_record_is_judged_once_and_what_did_not_change_not_at_all(runs: Runs, judged: Counter[str]) -> None:
    people = [person(number) for number in range(30)]
    assert runs.one(people, batch=BATCH).created == 30
    assert judged == {"ahead": 30}
    judged.clear()
    assert runs.one(batch=BATCH).unchanged == 30
    assert judged == {}
    changed = [{**one, "headline": "Analyst"} for one in people]
    assert runs.one(changed, batch=BATCH).updated == 30
    assert judged.total() == 30
    assert judged["ahead"] >= 30 - (READY + 2) * BATCH, "once it is seen that all of it changed"


def test_a_source_that_changes_little_is_not_judged_ahead_for_long(runs: Runs, judged: Counter[str]) -> None:
    people = [person(number) for number in range(30)]
    runs.one(people, batch=BATCH)
    runs.uid, runs.epoch = "uid-2", 0
    judged.clear()
    assert runs.one(batch=BATCH).unchanged == 30
    assert judged["ahead"] <= (READY + 2) * BATCH
    assert judged["in its batch"] == 0


def test_a_new_record_is_made_while_the_batch_before_is_written(runs: Runs, made: Counter[str]) -> None:
    people = [person(number) for number in range(30)]
    assert runs.one(people, batch=BATCH).created == 30
    assert made == {"ahead": 30}


def test_of_a_record_that_is_known_nothing_new_is_made_ahead_for_long(runs: Runs, made: Counter[str]) -> None:
    people = [person(number) for number in range(30)]
    runs.one(people, batch=BATCH)
    runs.uid, runs.epoch = "uid-2", 0
    made.clear()
    changed = [{**one, "headline": "Analyst"} for one in people]
    assert runs.one(changed, batch=BATCH).updated == 30
    assert made["in its batch"] == 30
    assert made["ahead"] <= (READY + 2) * BATCH


def test_a_run_whose_database_is_gone_ends_and_reads_no_further(
    postgres_admin: str, tmp_path: Path, tenant: str, read: list[int]
) -> None:
    urls = make_database(postgres_admin)
    migrate(urls.owner)
    runs = Runs(urls, tenant, tmp_path)
    runs.write([person(number) for number in range(300)])
    given = runs.inputs(batch=BATCH, epoch=1)
    one = runs.worker(given, patience=0.3)
    one.resume(given, None)
    batches = one.batches(given, "")
    one.write(given, next(iter(batches)))
    drop_database(postgres_admin, urls.name)
    with pytest.raises(psycopg.OperationalError):
        one.write(given, next(iter(batches)))
    one.close()
    assert not reading()
    # Two were taken, and what is ready or being made is all that is held beside them.
    assert len(read) <= (2 + READY + 1) * BATCH


def test_a_run_that_lost_its_fence_leaves_nobody_reading(runs: Runs) -> None:
    runs.write([person(number) for number in range(300)])
    runs.epoch = runs.server.epoch = 7
    given = runs.inputs(batch=BATCH)
    old = runs.worker(given)
    old.resume(given, None)
    batches = old.batches(given, "")
    batch = next(iter(batches))
    runs.one([person(1)])
    with pytest.raises(worker.FencedError):
        old.write(given, batch)
    old.close()
    assert not reading()
