"""Runs whose source is asked over HTTP, on a real PostgreSQL: all lands, nothing is deleted that is not gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from looma_core.api.syncjob import ExitCode, ShardReport
from looma_engines.sync_worker.frame import FAILED, run
from looma_engines.sync_worker.inputs import Inputs
from looma_engines.talent_sync.syncing.worker import RecordsWorker
from support.database import DatabaseUrls
from support.key_ring import KEYS
from support.remote_sources import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    S3Server,
    SourceServer,
    s3_server,
    source_server,
)
from support.source_server import STATIC_TOKEN
from support.sync_checker import differences, expected
from support.sync_runs import Runs, person
from support.sync_server import seen_by

# Where nothing is compiled yet, the store itself takes minutes.
pytestmark = [pytest.mark.database, pytest.mark.timeout(1800)]
LIST = "/api/v1/talents"
PATIENCE = 1.0
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    with source_server(tmp_path_factory.mktemp("elsewhere")) as found:
        yield found


@dataclass
class RemoteRuns(Runs):
    """A SyncJob whose source is elsewhere; `people` is what the source has."""

    elsewhere: SourceServer | None = None
    store: S3Server | None = None

    @property
    def there(self) -> SourceServer:
        """The source's server."""
        assert self.elsewhere is not None
        return self.elsewhere

    def inputs(self, **changes: Any) -> Inputs:
        """What a worker is told, with a Secret."""
        given = super().inputs(**changes)
        given.credentials.mkdir(exist_ok=True)
        (given.credentials / "token").write_text(STATIC_TOKEN)
        (given.credentials / "access_key_id").write_text(ACCESS_KEY)
        (given.credentials / "secret_access_key").write_text(SECRET_KEY)
        return given

    def worker(self, given: Inputs, **changes: Any) -> RecordsWorker:
        """A worker that loses its patience soon."""
        return super().worker(given, **{"patience": PATIENCE, **changes})

    def has(self, people: list[Json]) -> None:
        """What the source has from now on: the platform's list, the web server's file, and the store's object."""
        self.there.put("talents", people)
        self.write(people)
        if self.store is not None:
            self.store.put("people.jsonl", (self.folder / "people.jsonl").read_bytes())
        (self.folder / "people.jsonl").replace(self.there.file("people.jsonl"))

    def differences(self) -> list[str]:
        """What an independent checker finds that is not as the source has it."""
        return differences(self.urls.app_libpq, self.tenant, expected(self.there.file("people.jsonl")), KEYS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def runs(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, server: SourceServer
) -> Iterator[RemoteRuns]:
    server.faults()
    server.forget()
    found = RemoteRuns(database_urls, tenant, tmp_path, elsewhere=server)
    yield found
    server.start()


def from_zervigo(runs: RemoteRuns) -> None:
    runs.source = {
        "type": "zervigo",
        "url": runs.there.url,
        "pageSize": 7,
        "requestsPerSecond": 1000,
    }


def from_the_web(runs: RemoteRuns) -> None:
    runs.source = {"type": "http", "url": f"{runs.there.url}/files/people.jsonl", "format": "jsonl"}


def from_a_store(runs: RemoteRuns) -> None:
    assert runs.store is not None
    runs.source = {
        "type": "s3",
        "url": f"s3://{BUCKET}/people.jsonl",
        "format": "jsonl",
        "endpoint": runs.store.url,
    }


BOTH = pytest.mark.parametrize("begin", [from_zervigo, from_the_web])


def failed(runs: RemoteRuns) -> ShardReport:
    """A run that does not come to its end, and that another pod is to try again."""
    (report,) = runs.run()
    assert runs.codes == [FAILED]
    return report


def lands_and_changes_and_goes(runs: RemoteRuns, begin: Any, shards: int) -> None:
    begin(runs)
    runs.target = {"onMissing": "delete", "conflictPolicy": {"default": "source"}}
    people = [person(number) for number in range(100, 140)]
    runs.has(people)
    reports = runs.run(shards=shards)
    assert runs.codes == [ExitCode.DONE] * shards, reports
    assert (sum(report.created for report in reports), runs.differences()) == (40, [])
    people = [{**someone, "headline": "Analyst"} for someone in people[:30]] + [person(200)]
    runs.has(people)
    reports = runs.run(shards=shards)
    counts = [sum(getattr(report, name) for report in reports) for name in ("created", "updated", "deleted")]
    assert (counts, runs.differences()) == ([1, 30, 10], [])
    assert sum(report.verified or 0 for report in reports) == 31
    reports = runs.run(shards=shards)
    assert sum(report.unchanged for report in reports) == 31


@BOTH
@pytest.mark.parametrize("shards", [1, 3])
def test_all_lands_and_changes_and_goes(runs: RemoteRuns, begin: Any, shards: int) -> None:
    lands_and_changes_and_goes(runs, begin, shards)


@pytest.mark.parametrize("shards", [1, 3])
def test_all_of_a_store_lands_and_changes_and_goes(runs: RemoteRuns, store: S3Server, shards: int) -> None:
    runs.store = store
    lands_and_changes_and_goes(runs, from_a_store, shards)


@BOTH
def test_what_breaks_off_is_never_the_end_and_nothing_is_deleted(runs: RemoteRuns, begin: Any) -> None:
    begin(runs)
    runs.target = {"onMissing": "delete"}
    runs.has([person(number) for number in range(100, 130)])
    runs.one()
    for kind in ("cut", "garbage"):
        runs.there.faults({"kind": kind, "bytes": 0, "times": 10_000})
        report = failed(runs)
        assert report.deleted == 0
        assert len(runs.talents()) == 30
    runs.there.faults({"kind": "cut", "bytes": 700, "times": 2})
    assert runs.one().unchanged == 30


def test_a_file_whose_end_nobody_can_see_ends_the_run(runs: RemoteRuns) -> None:
    from_the_web(runs)
    runs.target = {"onMissing": "delete"}
    runs.has([person(number) for number in range(100, 130)])
    runs.one()
    runs.there.faults({"kind": "open", "bytes": 700, "times": 10_000})
    (report,) = runs.run()
    assert runs.codes == [ExitCode.BAD_INPUT]
    assert "nobody could tell a file that was cut short" in report.message
    assert len(runs.talents()) == 30


def test_a_list_that_does_not_say_that_it_ends_deletes_nothing(runs: RemoteRuns) -> None:
    from_zervigo(runs)
    runs.target = {"onMissing": "delete"}
    runs.has([person(number) for number in range(100, 130)])
    runs.one()
    runs.there.faults({"kind": "open", "bytes": 500, "after": 2, "times": 10_000, "where": LIST})
    failed(runs)
    assert len(runs.talents()) == 30


@BOTH
def test_a_source_that_is_down_is_tried_again_and_others_do_not_know(
    runs: RemoteRuns, begin: Any, client: TestClient[Any], auth: dict[str, str]
) -> None:
    runs.has([person(number) for number in range(100, 130)])
    runs.there.kill()
    begin(runs)
    report = failed(runs)
    assert report.message == "SourceAwayError, see the pod's log"
    # Nor do people, who go on with what is here.
    made = client.post("/api/v1/talents", json={"full_name": "Ada Meanwhile"}, headers=auth)
    assert made.status_code == 201, made.text
    listed = client.get("/api/v1/talents", headers=auth)
    assert [item["full_name"] for item in listed.json()["items"]] == ["Ada Meanwhile"]
    away = runs.source
    # A run of another SyncJob, of a file, beside it.
    runs.source = {}
    assert runs.one([person(1)]).created == 1
    runs.source = away
    runs.there.start()
    assert runs.one().created == 30


@BOTH
def test_a_pod_that_takes_over_goes_on_where_the_last_one_was(runs: RemoteRuns, begin: Any) -> None:
    begin(runs)
    runs.has([person(number) for number in range(100, 130)])
    runs.epoch = runs.server.epoch = 1
    given = runs.inputs(batch=4)
    first = runs.worker(given)
    first.resume(given, None)
    batches = first.batches(given, "")
    for _ in range(3):
        first.write(given, next(batches))
    first.close()
    assert len(runs.talents()) == 12
    runs.there.forget()
    second = runs.worker(given)
    assert run(second, given, seen_by(runs.server, given)) == ExitCode.DONE
    second.close()
    (report,) = runs.server.shards.values()
    assert (report["created"], report["read"], report["verified"]) == (30, 30, 30)
    assert report["sourceRequests"].keys() == {"200"}
    assert runs.differences() == []


def test_a_file_that_changed_between_two_pods_of_a_run_ends_it(runs: RemoteRuns) -> None:
    from_the_web(runs)
    runs.target = {"onMissing": "delete"}
    runs.has([person(number) for number in range(100, 130)])
    runs.epoch = runs.server.epoch = 1
    given = runs.inputs(batch=4)
    first = runs.worker(given)
    first.resume(given, None)
    first.write(given, next(first.batches(given, "")))
    first.close()
    runs.has([person(number) for number in range(200, 230)])
    second = runs.worker(given)
    assert run(second, given, seen_by(runs.server, given)) == ExitCode.BAD_INPUT
    second.close()
    assert "has changed since this run began" in runs.server.shards[0]["message"]
    assert runs.one().deleted == 4, "a new run reads the new file"
    assert runs.differences() == []


def test_later_runs_ask_only_for_what_changed_and_full_ones_alone_delete(runs: RemoteRuns) -> None:
    from_zervigo(runs)
    runs.source["incremental"] = {"overlap": "1m", "fullEvery": 3}
    runs.target = {"onMissing": "delete", "conflictPolicy": {"default": "source"}}
    runs.has([person(number) for number in range(100, 130)])
    assert (runs.one().created, len(runs.talents())) == (30, 30)
    later = [person(101, headline="Analyst", updated_at="2026-05-01T13:00:00Z")]
    runs.has([*(person(number) for number in range(102, 120)), *later])
    report = runs.one()
    # Within the overlap are all of the first run.
    assert (report.read, report.updated, report.deleted) == (19, 1, 0)
    later = [person(101, updated_at="2026-05-01T14:00:00Z"), person(200, updated_at="2026-05-01T14:00:00Z")]
    runs.has([*(person(number) for number in range(102, 120)), *later])
    report = runs.one()
    assert (report.read, report.created, report.updated, report.deleted) == (2, 1, 1, 0)
    report = runs.one()
    assert (report.read, report.unchanged, report.deleted) == (20, 20, 11), "each third run is a full one"
    assert runs.differences() == []


def test_what_is_no_record_waits_and_the_rest_lands(runs: RemoteRuns) -> None:
    from_zervigo(runs)
    runs.has([person(1)])
    page = [person(100), 7, {"full_name": "No Key"}, person(101, full_name=["two", "names"]), person(102)]
    runs.there.faults({"kind": "items", "items": page, "times": 10_000, "where": LIST})
    report = runs.one()
    assert (report.created, report.quarantined, report.verified) == (2, 3, 5)
    runs.there.faults()
    assert runs.one().created == 1
    assert runs.rows("SELECT id FROM talent_sync.quarantine WHERE state = 'open'") == []


def test_a_record_that_comes_twice_is_there_once(runs: RemoteRuns) -> None:
    from_zervigo(runs)
    runs.has([person(number) for number in range(100, 110)])
    runs.there.faults({"kind": "repeat", "after": 2, "times": 1, "where": LIST})
    report = runs.one()
    assert (report.created, report.quarantined) == (10, 1)
    assert len(runs.talents()) == 10


def test_csv_comes_by_http_too(runs: RemoteRuns) -> None:
    runs.source = {"type": "http", "url": f"{runs.there.url}/files/people.csv", "format": "csv"}
    runs.there.file("people.csv").write_text("id,full_name,skills\n7,Ada Lovelace,Python; SQL\n")
    assert runs.one().created == 1
    assert runs.talents()["7"]["skills"] == ["Python", "SQL"]


def test_neither_token_nor_address_is_in_a_report_or_a_log(
    runs: RemoteRuns, caplog: pytest.LogCaptureFixture
) -> None:
    runs.has([person(100)])
    for begin in (from_zervigo, from_the_web):
        begin(runs)
        runs.source["url"] += "?signature=not-for-logs"
        runs.there.faults({"kind": "status", "status": 500, "times": 1}, {"kind": "status", "status": 403})
        runs.run()
        assert runs.codes == [ExitCode.BAD_INPUT]
        last = runs.server.reports[-1]
        assert (last["sourceRequests"], last["sourceRetries"]) == ({"500": 1, "403": 1}, 1)
    said = caplog.text + json.dumps(runs.server.reports)
    assert "403" in said
    assert STATIC_TOKEN not in said
    assert "not-for-logs" not in said
