"""What a person puts right, or takes from a source, is asked what the API asks: beside other records too."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from support.database import DatabaseUrls
from support.sync_runs import Runs
from support.synced_relations import ORIGIN, conflict, known, made, refused

pytestmark = pytest.mark.database
Client = TestClient[Any]
Auth = dict[str, str]
NOBODY = str(uuid.UUID(int=7))


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


def people(client: Client, auth: Auth, *names: str) -> list[str]:
    return [made(client, auth, "talents", full_name=name) for name in names]


def deleted(client: Client, auth: Auth, path: str) -> None:
    answer = client.delete(f"/api/v1/{path}", headers={**auth, "If-Match": "*"})
    assert answer.status_code == 204, answer.text


def replayed(client: Client, auth: Auth, entry: str, **draft: Any) -> Any:
    headers = {**auth, "If-Match": "*"}
    return client.post(f"/api/v1/quarantine/{entry}/replay", json={"draft": draft}, headers=headers)


def settled(client: Client, auth: Auth, number: str) -> Any:
    return client.post(f"/api/v1/sync-conflicts/{number}/settle", json={"take": "source"}, headers=auth)


def wrong(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["field"], error["message"]) for error in answer.json()["errors"]]


def test_a_relation_is_put_right_and_known_by_its_key(client: Client, auth: Auth, runs: Runs) -> None:
    ada, bob = people(client, auth, "Ada", "Bob")
    entry = refused(runs, {"kind": "knows", "talent_id": "p-1", "other_talent_id": "p-9"}, key="r-1")
    (item,) = client.get("/api/v1/quarantine?entity=relation&state=open", headers=auth).json()["items"]
    assert (item["id"], item["entity"]) == (entry, "relation")
    assert client.get("/api/v1/quarantine?entity=talent", headers=auth).json()["items"] == []
    read = client.get(f"/api/v1/quarantine/{entry}", headers=auth).json()
    assert read["draft"] == {"kind": "knows", "talent_id": "p-1", "other_talent_id": "p-9"}
    done = replayed(client, auth, entry, kind="knows", talent_id=ada, other_talent_id=bob)
    assert done.status_code == 200, done.text
    relation = client.get(f"/api/v1/relations/{done.json()['record_id']}", headers=auth).json()
    assert relation["source"] == {"type": "sync", "ref": f"{ORIGIN}:r-1"}
    (state,) = runs.rows("SELECT record_id::text, base, put_right FROM talent_sync.sync_states")
    assert (state["record_id"], state["base"]["other_talent_id"]) == (relation["id"], bob)
    assert state["put_right"] == ["other_talent_id", "talent_id"]


def test_a_relation_that_names_what_is_not_there_is_not_put_right(
    client: Client, auth: Auth, runs: Runs
) -> None:
    (ada,) = people(client, auth, "Ada")
    entry = refused(runs, {}, key="r-1")
    missing = [("draft.company_id", "there is none with this id")]
    assert wrong(replayed(client, auth, entry, kind="works_at", talent_id=ada, company_id=NOBODY)) == missing
    company = made(client, auth, "companies", name="Harbour")
    deleted(client, auth, f"companies/{company}")
    assert wrong(replayed(client, auth, entry, kind="works_at", talent_id=ada, company_id=company)) == missing
    nobody = replayed(client, auth, entry, kind="knows", talent_id=NOBODY, other_talent_id=NOBODY[:-1] + "8")
    assert [field for field, _ in wrong(nobody)] == ["draft.talent_id", "draft.other_talent_id"]
    assert runs.rows("SELECT 1 FROM talent_sync.relations") == []
    assert client.get(f"/api/v1/quarantine/{entry}", headers=auth).json()["state"] == "open"


def test_a_relation_that_closes_a_circle_is_not_put_right(client: Client, auth: Auth, runs: Runs) -> None:
    ada, bob, eve = people(client, auth, "Ada", "Bob", "Eve")
    for one, other in ((ada, bob), (bob, eve)):
        made(client, auth, "relations", kind="reports_to", talent_id=one, other_talent_id=other)
    entry = refused(runs, {}, key="r-1")
    ((field, message),) = wrong(
        replayed(client, auth, entry, kind="reports_to", talent_id=eve, other_talent_id=ada)
    )
    assert field == "draft.other_talent_id"
    assert all(name in message for name in ("Ada", "Bob", "Eve"))


def test_work_at_two_times_at_once_is_not_put_right(client: Client, auth: Auth, runs: Runs) -> None:
    (ada,) = people(client, auth, "Ada")
    works = {
        "kind": "works_at",
        "talent_id": ada,
        "company_id": made(client, auth, "companies", name="Harbour"),
    }
    made(client, auth, "relations", **works, starts_on="2020-01-01")
    entry = refused(runs, {}, key="r-1")
    assert [field for field, _ in wrong(replayed(client, auth, entry, **works, starts_on="2021-01-01"))] == [
        "draft.starts_on"
    ]


def test_a_relation_that_is_there_is_not_put_right_a_second_time(
    client: Client, auth: Auth, runs: Runs
) -> None:
    ada, bob = people(client, auth, "Ada", "Bob")
    there = made(client, auth, "relations", kind="knows", talent_id=ada, other_talent_id=bob)
    first, second = refused(runs, {}, key="r-1"), refused(runs, {}, key="r-2")
    for one, other in ((ada, bob), (bob, ada)):
        answer = replayed(client, auth, first, kind="knows", talent_id=one, other_talent_id=other)
        assert answer.status_code == 409, answer.text
        assert there in answer.json()["detail"]
    dated = {"kind": "knows", "talent_id": ada, "other_talent_id": bob, "starts_on": "2020-01-01"}
    done = replayed(client, auth, first, **dated)
    assert done.status_code == 200, done.text
    assert replayed(client, auth, second, **dated).status_code == 409
    # A later row of the same key, put right, is that relation's next version and no double of itself.
    again = replayed(client, auth, refused(runs, {"title": 1}, key="r-1"), **dated, note="since school")
    assert (again.status_code, again.json()["record_id"]) == (200, done.json()["record_id"]), again.text


def test_a_job_of_a_company_that_is_not_there_is_not_put_right(
    client: Client, auth: Auth, runs: Runs
) -> None:
    entry = refused(runs, {"title": "Clerk"}, key="j-1", entity="job")
    answer = replayed(client, auth, entry, title="Clerk", company_id=NOBODY)
    assert wrong(answer) == [("draft.company_id", "there is none with this id")]
    company = made(client, auth, "companies", name="Harbour")
    done = replayed(client, auth, entry, title="Clerk", company_id=company)
    assert done.status_code == 200, done.text


def test_a_source_does_not_make_a_relation_wrong_by_its_side_of_a_conflict(
    client: Client, auth: Auth, runs: Runs
) -> None:
    ada, bob, eve = people(client, auth, "Ada", "Bob", "Eve")
    leads = {"kind": "reports_to", "talent_id": ada, "other_talent_id": bob}
    relation = made(client, auth, "relations", **leads)
    known(runs, relation, key="r-1", base=leads)
    nobody = conflict(runs, relation, key="r-1", field="other_talent_id", source=NOBODY)
    assert wrong(settled(client, auth, nobody)) == [("other_talent_id", "there is none with this id")]
    made(client, auth, "relations", kind="reports_to", talent_id=eve, other_talent_id=ada)
    circle = conflict(runs, relation, key="r-1", field="other_talent_id", source=eve)
    assert [field for field, _ in wrong(settled(client, auth, circle))] == ["other_talent_id"]
    made(client, auth, "relations", **leads, starts_on="2020-01-01", ends_on="2020-02-01")
    twice = conflict(runs, relation, key="r-1", field="starts_on", source="2020-01-01")
    assert settled(client, auth, twice).status_code == 409
    titled = conflict(runs, relation, key="r-1", field="note", source="Theirs")
    listed = client.get("/api/v1/sync-conflicts?entity=relation&resolution=open", headers=auth).json()
    assert {item["id"] for item in listed["items"]} == {nobody, circle, twice, titled}
    assert client.get("/api/v1/sync-conflicts?entity=talent", headers=auth).json()["items"] == []
    assert settled(client, auth, titled).status_code == 200
    stored = client.get(f"/api/v1/relations/{relation}", headers=auth).json()
    assert (stored["note"], stored["other_talent_id"], stored["starts_on"]) == ("Theirs", bob, None)


def test_a_deleted_relation_comes_back_only_where_it_still_fits(
    client: Client, auth: Auth, runs: Runs
) -> None:
    ada, bob = people(client, auth, "Ada", "Bob")
    knows = {"kind": "knows", "talent_id": ada, "other_talent_id": bob}
    relation = made(client, auth, "relations", **knows)
    known(runs, relation, key="r-1", base=knows)
    deleted(client, auth, f"relations/{relation}")
    back = conflict(runs, relation, key="r-1", field="deleted", source=False)
    again = made(client, auth, "relations", **knows)
    assert settled(client, auth, back).status_code == 409
    deleted(client, auth, f"relations/{again}")
    deleted(client, auth, f"talents/{bob}")
    assert wrong(settled(client, auth, back)) == [("other_talent_id", "there is none with this id")]
    restored = client.post(f"/api/v1/talents/{bob}/restore", headers={**auth, "If-Match": "*"})
    assert restored.status_code == 200, restored.text
    assert settled(client, auth, back).status_code == 200
    assert client.get(f"/api/v1/relations/{relation}", headers=auth).status_code == 200


def test_a_run_of_relations_is_told_as_one(client: Client, auth: Auth, runs: Runs) -> None:
    runs.change(
        """INSERT INTO talent_sync.sync_shards (id, job, epoch, generation, origin, entity, uid, shard, shards, run)
        VALUES (gen_random_uuid(), 'looma/relations', 1, %(number)s, 'crm', 'relation', 'u', 0, 1, 'r')""",
        number=uuid.uuid4().int >> 66,
    )
    (run,) = client.get("/api/v1/sync-runs?job=looma/relations", headers=auth).json()["items"]
    assert run["entity"] == "relation"
    assert client.get(f"/api/v1/sync-runs/{run['id']}", headers=auth).json()["entity"] == "relation"
    assert client.get("/api/v1/sync-writes?entity=relation", headers=auth).json()["items"] == []
    document = client.get("/openapi.json").json()
    schema = str(document["paths"]["/api/v1/quarantine"]["get"]["parameters"])
    assert "'relation'" in schema
