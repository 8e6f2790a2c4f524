"""What people do with what runs left, over HTTP: put right, throw away, settle, read a report."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from support.database import DatabaseUrls
from support.sync_runs import Runs, person

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


def entries(client: Client, auth: Auth, **asked: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/quarantine", params=asked, headers=auth)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def settle(client: Client, auth: Auth, entry: dict[str, Any], action: str, body: Any = None) -> Any:
    headers = {**auth, "If-Match": f'"{entry["version"]}"'}
    return client.post(f"/api/v1/quarantine/{entry['id']}/{action}", json=body, headers=headers)


def test_a_record_is_put_right_and_stays_so(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(1, email="nobody"), person(2)])
    (item,) = entries(client, auth, state="open")
    assert (item["key"], item["entity"], item["job"], item["position"]) == (
        "p-1",
        "talent",
        "looma/people",
        1,
    )
    assert "raw" not in item
    read = client.get(f"/api/v1/quarantine/{item['id']}", headers=auth)
    entry = read.json()
    assert read.headers["ETag"] == '"1"'
    assert entry["whole"]
    assert entry["draft"]["email"] == "nobody"
    refused = settle(client, auth, entry, "replay", {"draft": {"full_name": "Ada", "email": "nobody"}})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["draft.email"]
    done = settle(client, auth, entry, "replay", {"draft": {"full_name": "Ada", "email": "ada@mail.example"}})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["version"]) == ("replayed", 2)
    record = client.get(f"/api/v1/talents/{done.json()['record_id']}", headers=auth).json()
    assert record["source"] == {"type": "sync", "ref": "people:p-1"}
    again = runs.one()
    assert (again.unchanged, again.quarantined, again.verified) == (2, 0, 2)
    better = runs.one([person(1, full_name="Ada Lovelace"), person(2)])
    assert (better.updated, better.quarantined) == (1, 0)


def test_a_new_version_that_is_wrong_is_put_right_on_the_record_that_is_there(
    client: Client, auth: Auth, runs: Runs
) -> None:
    runs.one([person(1)])
    runs.one([person(1, email="nobody", headline="Analyst")])
    (item,) = entries(client, auth, state="open")
    done = settle(client, auth, item, "replay", {"draft": {"full_name": "Ada", "headline": "Analyst"}})
    assert done.json()["record_id"] == str(runs.talents()["p-1"]["id"])
    assert (runs.talents()["p-1"]["headline"], runs.talents()["p-1"]["version"]) == ("Analyst", 2)
    assert runs.one().unchanged == 1


def test_what_is_thrown_away_is_not_asked_about_again(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(1, email="nobody")])
    (item,) = entries(client, auth, state="open")
    assert settle(client, auth, item, "discard").json()["state"] == "discarded"
    runs.one()
    assert entries(client, auth, state="open") == []
    (still,) = entries(client, auth)
    assert (still["state"], still["times"]) == ("discarded", 2)
    runs.one([person(1, email="somebody")])
    assert len(entries(client, auth, state="open")) == 1, "that is another row"


def test_an_entry_is_settled_once_and_by_who_saw_it(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(1, email="nobody")])
    (item,) = entries(client, auth)
    url = f"/api/v1/quarantine/{item['id']}/discard"
    assert client.post(url, headers=auth).status_code == 428
    assert client.post(url, headers={**auth, "If-Match": '"7"'}).status_code == 412
    assert settle(client, auth, item, "discard").status_code == 200
    again = settle(client, auth, {**item, "version": 2}, "discard")
    assert again.status_code == 409
    assert "it was discarded" in again.json()["detail"]
    source = {"draft": {"full_name": "Ada", "source": {"type": "manual"}}}
    assert settle(client, auth, {**item, "version": 2}, "replay", source).status_code == 409


def test_a_row_without_a_key_becomes_a_record_of_its_own(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one(['{"full_name": "Ada"}', "[1]"])
    first, second = sorted(entries(client, auth), key=lambda item: item["position"])
    assert client.get(f"/api/v1/quarantine/{second['id']}", headers=auth).json()["draft"] is None
    done = settle(client, auth, first, "replay", {"draft": {"full_name": "Ada"}})
    assert done.status_code == 200, done.text
    runs.one()
    assert [item["state"] for item in entries(client, auth)].count("open") == 1


def test_pages_of_the_quarantine(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(number, email="nobody") for number in range(7)])
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/v1/quarantine", params=params, headers=auth).json()
        seen += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == [f"p-{number}" for number in range(7)]
    assert entries(client, auth, entity="job") == []
    wrong = client.get("/api/v1/quarantine", params={"cursor": "x"}, headers=auth)
    assert wrong.status_code == 422


@pytest.mark.parametrize(("take", "headline"), [("source", "Theirs"), ("target", "Ours")])
def test_a_conflict_is_settled_by_a_person(
    client: Client, auth: Auth, runs: Runs, take: str, headline: str
) -> None:
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one([person(1, headline="Before")])
    runs.change("UPDATE talent_sync.talents SET headline = 'Ours', version = version + 1")
    runs.one([person(1, headline="Theirs")])
    (conflict,) = client.get("/api/v1/sync-conflicts?resolution=open", headers=auth).json()["items"]
    assert (conflict["field"], conflict["source"], conflict["target"]) == ("headline", "Theirs", "Ours")
    url = f"/api/v1/sync-conflicts/{conflict['id']}/settle"
    assert client.post(url, json={"take": "both"}, headers=auth).status_code == 422
    done = client.post(url, json={"take": take}, headers=auth)
    assert done.status_code == 200, done.text
    assert (done.json()["resolution"], done.json()["settled_by"] is not None) == (take, True)
    assert runs.talents()["p-1"]["headline"] == headline
    assert client.post(url, json={"take": take}, headers=auth).status_code == 409
    assert runs.one().unchanged == 1


def test_a_deleted_record_is_brought_back_by_a_person(client: Client, auth: Auth, runs: Runs) -> None:
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one([person(1)])
    runs.change("UPDATE talent_sync.talents SET deleted_at = now(), version = 2")
    runs.one([person(1, headline="New")])
    (conflict,) = client.get("/api/v1/sync-conflicts?resolution=open", headers=auth).json()["items"]
    assert conflict["field"] == "deleted"
    url = f"/api/v1/sync-conflicts/{conflict['id']}/settle"
    assert client.post(url, json={"take": "source"}, headers=auth).status_code == 200
    assert runs.talents()["p-1"]["headline"] == "New"


def test_the_report_of_a_run(client: Client, auth: Auth, runs: Runs) -> None:
    runs.target = {"conflictPolicy": {"default": "source"}}
    runs.run([person(number) for number in range(20)], shards=2)
    runs.change("UPDATE talent_sync.talents SET headline = 'Ours', version = version + 1")
    rows = [person(number, headline="Theirs", email="no" if number > 16 else None) for number in range(20)]
    runs.run(rows, shards=2)
    listed = client.get("/api/v1/sync-runs", headers=auth).json()["items"]
    assert [run["epoch"] for run in listed] == [2, 1]
    assert (listed[1]["counts"]["created"], listed[1]["ended"]) == (20, 2)
    first = client.get("/api/v1/sync-runs?limit=1", headers=auth).json()
    rest = client.get(f"/api/v1/sync-runs?limit=1&cursor={first['next_cursor']}", headers=auth).json()
    assert [run["epoch"] for run in (*first["items"], *rest["items"])] == [2, 1]
    report = client.get(f"/api/v1/sync-runs/{listed[0]['id']}", headers=auth).json()
    assert (report["counts"]["updated"], report["counts"]["quarantined"]) == (17, 3)
    assert (report["looked"], report["held"], report["ended_at"] is not None) == (20, 20, True)
    assert report["faults"] == [{"name": "email", "number": 3}]
    assert report["resolutions"] == [{"name": "source", "number": 17}]
    assert report["conflict_fields"] == [{"name": "headline", "number": 17}]
    assert 0 < report["quality"] <= 100
    assert client.get("/api/v1/sync-runs/999999999", headers=auth).status_code == 404
    assert client.get("/api/v1/sync-runs?cursor=x", headers=auth).status_code == 422


def test_what_a_run_put_right_is_listed_by_record_and_field(client: Client, auth: Auth, runs: Runs) -> None:
    rows = [person(number) for number in range(5)]
    runs.one(rows)
    runs.change("UPDATE talent_sync.talents SET headline = 'Altered' WHERE source_ref <> 'people:p-4'")
    runs.one(rows)
    runs.change("UPDATE talent_sync.talents SET full_name = 'Altered' WHERE source_ref = 'people:p-4'")
    runs.one(rows)
    runs.one(rows)
    ids = {key: str(row["id"]) for key, row in runs.talents().items()}
    numbers = [run["id"] for run in client.get("/api/v1/sync-runs", headers=auth).json()["items"]]
    pages: list[list[dict[str, Any]]] = []
    for number in reversed(numbers):
        pages.append([])
        cursor = ""
        while True:
            url = f"/api/v1/sync-runs/{number}/repairs?limit=3" + (f"&cursor={cursor}" if cursor else "")
            answer = client.get(url, headers=auth).json()
            assert len(answer["items"]) <= 3
            pages[-1] += answer["items"]
            if (cursor := answer["next_cursor"]) is None:
                break
    assert [len(page) for page in pages] == [0, 4, 1, 0]
    assert {item["record_id"] for item in pages[1]} == {ids[f"p-{number}"] for number in range(4)}
    assert all((item["action"], item["fields"]) == ("update", ["headline"]) for item in pages[1])
    assert [(item["record_id"], item["fields"]) for item in pages[2]] == [(ids["p-4"], ["full_name"])]
    reports = [client.get(f"/api/v1/sync-runs/{number}", headers=auth).json() for number in reversed(numbers)]
    assert [report["counts"]["repaired"] for report in reports] == [0, 4, 1, 0]
    for report in reports:
        (part,) = report["partitions"]
        assert (part["shard"], part["looked"], part["held"]) == (0, 5, 5)
        assert part["source_checksum"] == part["stored_checksum"]
    assert client.get("/api/v1/sync-runs/999999999/repairs", headers=auth).status_code == 404
    assert client.get(f"/api/v1/sync-runs/{numbers[0]}/repairs?cursor=x", headers=auth).status_code == 422


def test_another_tenant_sees_nothing(client: Client, auth: Auth, other_tenant: Auth, runs: Runs) -> None:
    runs.target = {"conflictPolicy": {"default": "manual"}}
    runs.one([person(1, headline="Before"), person(2, email="nobody")])
    runs.change("UPDATE talent_sync.talents SET headline = 'Ours', version = version + 1")
    runs.one([person(1, headline="Theirs"), person(2, email="nobody")])
    (item,) = entries(client, auth)
    (run, _) = client.get("/api/v1/sync-runs", headers=auth).json()["items"]
    (conflict,) = client.get("/api/v1/sync-conflicts", headers=auth).json()["items"]
    for path in ("quarantine", "sync-conflicts", "sync-runs"):
        assert client.get(f"/api/v1/{path}", headers=other_tenant).json()["items"] == []
    assert client.get(f"/api/v1/quarantine/{item['id']}", headers=other_tenant).status_code == 404
    assert settle(client, other_tenant, item, "discard").status_code == 404
    assert client.get(f"/api/v1/sync-runs/{run['id']}", headers=other_tenant).status_code == 404
    assert client.get(f"/api/v1/sync-runs/{run['id']}/repairs", headers=other_tenant).status_code == 404
    url = f"/api/v1/sync-conflicts/{conflict['id']}/settle"
    assert client.post(url, json={"take": "source"}, headers=other_tenant).status_code == 404


def test_clients_cannot_pass_for_a_sync_job(client: Client, auth: Auth) -> None:
    draft = {"full_name": "Ada", "source": {"type": "sync", "ref": f"people:{uuid.uuid4()}"}}
    answer = client.post("/api/v1/talents", json=draft, headers=auth)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "source.type"


@pytest.mark.parametrize("path", ["quarantine", "sync-conflicts", "sync-writes", "sync-runs"])
def test_a_job_of_signs_that_no_name_has_is_a_wrong_question(client: Client, auth: Auth, path: str) -> None:
    answer = client.get(f"/api/v1/{path}", params={"job": "people\x00"}, headers=auth)
    assert answer.status_code in (400, 422), answer.text
    assert "job" in answer.text
