"""Runs of two ways with the platform: conditional patches, answers that are lost, and what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from looma_core.api.syncjob import ExitCode
from looma_engines.sync_worker.frame import run
from looma_engines.sync_worker.inputs import Inputs
from looma_engines.talent_sync.syncing.back.to_zervigo import ZervigoWriter
from looma_engines.talent_sync.syncing.back.writable import Creation, Written
from looma_engines.talent_sync.syncing.worker import RecordsWorker
from support.database import DatabaseUrls
from support.remote_sources import SourceServer, source_server
from support.source_server import STATIC_TOKEN
from support.sync_runs import Json, Runs, person
from support.sync_server import seen_by
from support.tokens import bearer
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
    (server.folder / "talents.external").unlink(missing_ok=True)
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


# ---- records that are made and deleted here ---------------------------------------------------------------------

BOTH = {"creations": True, "deletions": "delete"}
Client = TestClient[Any]
Auth = dict[str, str]


def all_there(runs: PlatformRuns) -> list[str]:
    assert runs.platform is not None
    records = json.loads((runs.platform.folder / "talents.json").read_text())
    return sorted(record["full_name"] for record in records)


def made(client: Client, auth: Auth, name: str) -> str:
    answer = client.post("/api/v1/talents", json={"full_name": name, "skills": ["COBOL"]}, headers=auth)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def deleted(client: Client, auth: Auth, record: object) -> None:
    url = f"/api/v1/talents/{record}"
    tag = client.get(url, headers=auth).headers["ETag"]
    assert client.delete(url, headers={**auth, "If-Match": tag}).status_code == 204


@pytest.mark.parametrize("fault", ["", "unheard"])
def test_a_record_that_was_made_here_is_put_there_once(
    runs: PlatformRuns, server: SourceServer, client: Client, auth: Auth, fault: str
) -> None:
    runs.target = {**runs.target, "writeBack": BOTH}
    made(client, auth, "Grace Hopper")
    if fault:
        server.faults({"kind": fault, "method": "PUT"})
    report = runs.one()
    assert (back(report), report.created) == ((1, 0, 0), 0)
    assert len(all_there(runs)) == 6
    (row,) = outbox(runs)
    assert (row["kind"], row["state"]) == ("create", "written")
    assert runs.there(row["key"])["skills"] == ["COBOL"]
    again = runs.one()
    assert (again.created, again.unchanged, back(again)) == (0, 6, (0, 0, 0))
    changed_here(runs, row["key"], headline="Admiral")
    assert (back(runs.one()), runs.there(row["key"])["headline"]) == ((1, 0, 0), "Admiral")


def test_a_worker_that_dies_before_it_notes_the_creation_makes_no_second_one(
    runs: PlatformRuns, client: Client, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.target = {**runs.target, "writeBack": BOTH}
    made(client, auth, "Grace Hopper")
    create = ZervigoWriter.create

    def dies(self: ZervigoWriter, creation: Creation) -> Written:
        create(self, creation)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ZervigoWriter, "create", dies)
        with pytest.raises(KeyboardInterrupt):
            runs.one()
    assert (len(all_there(runs)), [row["state"] for row in outbox(runs)]) == (6, ["intended"])
    report = runs.one()
    assert (report.created, len(all_there(runs)), len(runs.rows("SELECT 1 FROM talent_sync.talents"))) == (
        0,
        6,
        6,
    )
    assert [(row["state"], row["reason"]) for row in outbox(runs)] == [("written", "found at the source")]


@pytest.mark.parametrize("fault", ["", "unheard"])
def test_a_record_that_was_deleted_here_is_deleted_there(
    runs: PlatformRuns, server: SourceServer, client: Client, auth: Auth, fault: str
) -> None:
    runs.target = {**runs.target, "writeBack": BOTH}
    deleted(client, auth, runs.talents()["p-2"]["id"])
    if fault:
        server.faults({"kind": fault, "method": "DELETE"})
    assert (back(runs.one()), len(all_there(runs))) == ((1, 0, 0), 4)
    assert (back(runs.one()), [row["state"] for row in outbox(runs)]) == ((0, 0, 0), ["written"])


def test_a_record_that_changes_before_its_deletion_is_not_deleted_unheard(
    runs: PlatformRuns, server: SourceServer, client: Client, auth: Auth
) -> None:
    runs.target = {**runs.target, "writeBack": BOTH}
    deleted(client, auth, runs.talents()["p-2"]["id"])
    server.faults({"kind": "meanwhile", "method": "DELETE", "changes": {"location": "York"}})
    assert (back(runs.one()), len(all_there(runs))) == ((0, 0, 1), 5)
    assert [row["field"] for row in runs.rows("SELECT field FROM talent_sync.sync_conflicts")] == ["deleted"]


def test_a_person_who_was_erased_here_is_deleted_there(
    runs: PlatformRuns, client: Client, tenant: str
) -> None:
    runs.target = {**runs.target, "writeBack": BOTH}
    admin = bearer(tenant=tenant, roles=["admin"], subject="officer")
    talent = runs.talents()["p-2"]["id"]
    answer = client.post(f"/api/v1/talents/{talent}/erasure", json={"reason": "request"}, headers=admin)
    assert answer.status_code == 201, answer.text
    assert (back(runs.one()), len(all_there(runs)), outbox(runs)) == ((1, 0, 0), 4, [])


def test_what_the_platform_lets_nobody_delete_ends_the_run(
    runs: PlatformRuns, server: SourceServer, client: Client, auth: Auth
) -> None:
    runs.target = {**runs.target, "writeBack": BOTH}
    deleted(client, auth, runs.talents()["p-2"]["id"])
    server.faults({"kind": "status", "method": "DELETE", "status": 405})
    (report,) = runs.run()
    assert (runs.codes, len(all_there(runs))) == ([ExitCode.BAD_INPUT], 5)
    assert "the platform answers 405" in report.message
