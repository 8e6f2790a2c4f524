"""Runs of two ways with the platform: conditional patches, answers that are lost, and what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from looma_core.api.syncjob import ExitCode
from looma_engines.sync_worker.frame import run
from looma_engines.sync_worker.inputs import Inputs
from looma_engines.talent_sync.syncing.worker import RecordsWorker
from support.database import DatabaseUrls
from support.remote_sources import SourceServer, source_server
from support.source_server import STATIC_TOKEN
from support.sync_runs import Json, Runs, person
from support.sync_server import seen_by
from support.two_way import back, became, changed_here, outbox

pytestmark = pytest.mark.database
PATIENCE = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    with source_server(tmp_path_factory.mktemp("platform")) as found:
        yield found


@dataclass
class PlatformRuns(Runs):
    """A SyncJob of two ways whose source is the platform."""

    platform: SourceServer | None = None

    def inputs(self, **changes: Any) -> Inputs:
        """What a worker is told, with a Secret."""
        given = super().inputs(**changes)
        given.credentials.mkdir(exist_ok=True)
        (given.credentials / "token").write_text(STATIC_TOKEN)
        return given

    def worker(self, given: Inputs, **changes: Any) -> RecordsWorker:
        """A worker that loses its patience soon."""
        return super().worker(given, **{"patience": PATIENCE, **changes})

    def there(self, key: str) -> Json:
        """A record as the platform has it."""
        assert self.platform is not None
        records = json.loads((self.platform.folder / "talents.json").read_text())
        return next(record for record in records if record["id"] == key)


@pytest.fixture
def runs(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, server: SourceServer
) -> Iterator[PlatformRuns]:
    server.faults()
    server.put("talents", [person(number) for number in range(1, 6)])
    source = {"type": "zervigo", "url": server.url, "requestsPerSecond": 1000}
    target = {"direction": "twoWay", "conflictPolicy": {"default": "manual"}}
    found = PlatformRuns(database_urls, tenant, tmp_path, source=source, target=target, platform=server)
    found.one()
    server.forget()
    yield found
    server.start()


def test_what_was_changed_here_is_patched_there(runs: PlatformRuns, server: SourceServer) -> None:
    changed_here(runs, "p-3", headline="Lead", skills=["Go"], email="new@mail.example")
    report = runs.one()
    assert (back(report), report.conflicts) == ((1, 0, 0), 0)
    record = runs.there("p-3")
    assert (record["headline"], record["skills"], record["email"]) == ("Lead", ["Go"], "new@mail.example")
    assert (record["full_name"], server.told()["methods"]["PATCH"]) == ("Ada Number 3", 1)
    assert report.source_requests is not None
    assert sum(report.source_requests.values()) == sum(server.told()["methods"].values()), "all is counted"
    again = runs.one()
    assert (again.unchanged, again.verified, back(again)) == (5, 5, (0, 0, 0))
    changed_here(runs, "p-3", headline=None)
    assert (back(runs.one()), "headline" in runs.there("p-3")) == ((1, 0, 0), False), "and taken away"


def test_a_record_that_changes_between_the_question_and_the_patch_is_not_written_over(
    runs: PlatformRuns, server: SourceServer
) -> None:
    changed_here(runs, "p-1", headline="Lead")
    server.faults({"kind": "meanwhile", "method": "PATCH", "changes": {"location": "York"}})
    assert back(runs.one()) == (1, 0, 1)
    record = runs.there("p-1")
    assert (record["headline"], record["location"]) == ("Lead", "York")
    assert runs.talents()["p-1"]["location"] == "York"
    assert [state for _, state, _ in became(runs)] == ["moved", "written"]


def test_an_answer_that_is_lost_is_no_second_write_and_no_conflict(
    runs: PlatformRuns, server: SourceServer
) -> None:
    changed_here(runs, "p-1", headline="Lead")
    server.faults({"kind": "unheard", "method": "PATCH"})
    report = runs.one()
    assert (back(report), report.conflicts) == ((1, 0, 0), 0)
    assert runs.there("p-1")["headline"] == "Lead"
    (row,) = outbox(runs)
    assert (row["state"], row["reason"]) == ("written", "found at the source")
    assert server.told()["struck"]["unheard"] == 1


def test_it_is_left_alone_for_as_long_as_it_asks(runs: PlatformRuns, server: SourceServer) -> None:
    changed_here(runs, "p-1", headline="Lead")
    server.faults({"kind": "status", "method": "PATCH", "status": 429, "retry_after": 1})
    report = runs.one()
    assert back(report) == (1, 0, 0)
    assert (report.source_throttled_seconds or 0) >= 1
    assert (report.source_requests or {}).get("429") == 1


def test_what_the_platform_does_not_take_waits_with_its_title(
    runs: PlatformRuns, server: SourceServer
) -> None:
    changed_here(runs, "p-1", headline="Lead")
    changed_here(runs, "p-2", headline="Lead")
    server.faults({"kind": "status", "method": "PATCH", "where": "p-1", "status": 422})
    assert back(runs.one()) == (1, 1, 0)
    refused = [row for row in outbox(runs) if row["state"] == "refused"]
    assert [(row["key"], row["reason"]) for row in refused] == [("p-1", "the platform answers 422: not now")]
    assert runs.there("p-2")["headline"] == "Lead"


def test_a_client_that_may_not_write_ends_the_run_without_a_word_of_the_record(
    runs: PlatformRuns, server: SourceServer
) -> None:
    changed_here(runs, "p-1", headline="Lead")
    server.faults({"kind": "status", "method": "PATCH", "status": 403})
    (report,) = runs.run()
    assert (runs.codes, report.state) == ([ExitCode.BAD_INPUT], "Failed")
    assert "it lets this client write nothing there" in report.message
    assert "p-1" not in report.message
    server.faults()
    assert (back(runs.one()), runs.there("p-1")["headline"]) == ((1, 0, 0), "Lead"), "once it may"


def test_a_platform_that_dies_in_between_is_asked_by_the_next_pod(
    runs: PlatformRuns, server: SourceServer
) -> None:
    for number in range(1, 6):
        changed_here(runs, f"p-{number}", headline=f"Lead {number}")
    server.faults({"kind": "status", "method": "PATCH", "status": 503, "after": 2, "times": 1000})
    runs.run()
    assert runs.codes == [1]
    server.faults()
    given = runs.inputs()
    worker = runs.worker(given)
    try:
        assert run(worker, given, seen_by(runs.server, given)) == ExitCode.DONE
    finally:
        worker.close()
    assert [runs.there(f"p-{number}")["headline"] for number in range(1, 6)] == [
        f"Lead {n}" for n in range(1, 6)
    ]
    assert runs.rows("SELECT 1 FROM talent_sync.sync_conflicts") == []
    states = [state for _, state, _ in became(runs)]
    assert (states.count("written"), set(states) - {"written", "dropped"}) == (5, set())
