"""Companies and jobs over HTTP, before a real database. What all kinds have in common is tried with talents too."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from litestar.testing import TestClient

    from support.database import DatabaseUrls

API = "/api/v1"
HARBOUR = {
    "name": "Harbour  Payments Ltd",
    "aliases": ["Harbour", "harbour ", "港湾支付"],
    "registration_number": "91350100m000100y43",
    "website": "https://harbour.example",
    "industry": "Payments",
    "size": "51-200",
    "location": "London",
    "description": "Settles payments.",
}
ENGINEER = {
    "title": "Data Engineer",
    "company_name": "Harbour Payments Ltd",
    "location": "London",
    "workplace": "hybrid",
    "employment": "full-time",
    "description": "Builds the pipelines that settle ten million payments a day, together with four other people.",
    "skills": ["Python", "SQL", "Kafka", "sql"],
    "experience_years": 3,
    "degree": "bachelor",
    "salary": {"min": 60000, "max": 80000, "currency": "GBP", "per": "year"},
    "openings": 2,
    "opens_on": "2026-11-01",
    "closes_on": "2099-01-31",
}
KINDS = [("companies", HARBOUR, "name"), ("jobs", ENGINEER, "title")]


def created(
    client: TestClient[Any], auth: dict[str, str], kind: str, body: dict[str, Any], **more: Any
) -> Any:
    answer = client.post(f"{API}/{kind}", headers=auth, json={**body, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def wrong(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def titles(client: TestClient[Any], auth: dict[str, str], kind: str = "jobs", **params: Any) -> list[str]:
    answer = client.get(f"{API}/{kind}", headers=auth, params={"sort": "created_at"} | params)
    assert answer.status_code == 200, answer.text
    return [item.get("title") or item["name"] for item in answer.json()["items"]]


@pytest.mark.parametrize(("kind", "body", "name"), KINDS)
def test_a_record_reads_back_changes_and_goes(client, auth, kind, body, name) -> None:
    made = created(client, auth, kind, body)
    url = f"{API}/{kind}/{made['id']}"
    assert (made["version"], made["source"]) == (1, {"type": "manual", "ref": None})
    read = client.get(url, headers=auth)
    assert (read.json(), read.headers["etag"]) == (made, '"1"')
    assert client.get(url, headers=auth | {"If-None-Match": '"1"'}).status_code == 304
    changed = client.patch(url, headers=auth | {"If-Match": '"1"'}, json={name: "Another", "location": None})
    assert (changed.json()[name], changed.json()["location"], changed.json()["version"]) == (
        "Another",
        None,
        2,
    )
    assert {field: value for field, value in changed.json().items() if value != made[field]}.keys() == {
        name,
        "location",
        "version",
        "updated_at",
    }
    assert client.patch(url, headers=auth | {"If-Match": '"1"'}, json={name: "x"}).status_code == 412
    assert client.patch(url, headers=auth, json={name: "x"}).status_code == 428
    assert client.delete(url, headers=auth | {"If-Match": '"2"'}).status_code == 204
    assert client.get(url, headers=auth).status_code == 404
    assert titles(client, auth, kind) == []


def test_a_company_is_tidied(client, auth) -> None:
    made = created(client, auth, "companies", HARBOUR)
    assert made["name"] == "Harbour Payments Ltd"
    assert made["aliases"] == ["Harbour", "港湾支付"]
    assert made["registration_number"] == "91350100M000100Y43"


def test_a_job_keeps_its_salary_and_its_days(client, auth) -> None:
    made = created(client, auth, "jobs", ENGINEER)
    assert made["salary"] == ENGINEER["salary"]
    assert (made["opens_on"], made["closes_on"], made["status"]) == ("2026-11-01", "2099-01-31", "open")
    assert made["skills"] == ["Python", "SQL", "Kafka"]
    url = f"{API}/jobs/{made['id']}"
    less = client.patch(url, headers=auth | {"If-Match": '"1"'}, json={"salary": {"min": None}}).json()
    assert less["salary"] == {"min": None, "max": 80000, "currency": "GBP", "per": "year"}
    none = client.patch(url, headers=auth | {"If-Match": '"2"'}, json={"salary": None}).json()
    assert none["salary"] is None


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("companies", {"name": "--"}, "name"),
        ("companies", {"website": "javascript:alert(1)"}, "website"),
        ("companies", {"website": "https://a:b@harbour.example"}, "website"),
        ("companies", {"website": "https://localhost"}, "website"),
        ("companies", {"registration_number": "91350100M000100Y44"}, "registration_number"),
        ("companies", {"size": "many"}, "size"),
        ("companies", {"description": "a\x00b"}, "description"),
        ("jobs", {"title": "--"}, "title"),
        ("jobs", {"salary": {"min": 3, "max": 2}}, "salary.max"),
        ("jobs", {"salary": {"min": -1}}, "salary.min"),
        ("jobs", {"salary": {"currency": "pounds"}}, "salary.currency"),
        ("jobs", {"closes_on": "2026-10-31"}, "closes_on"),
        ("jobs", {"closes_on": "soon"}, "closes_on"),
        ("jobs", {"openings": 0}, "openings"),
        ("jobs", {"status": "lost"}, "status"),
        ("jobs", {"company_id": "x"}, "company_id"),
        ("jobs", {"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(client, auth, kind, changes, field) -> None:
    body = {"companies": HARBOUR, "jobs": ENGINEER}[kind]
    answer = client.post(f"{API}/{kind}", headers=auth, json={**body, **changes})
    assert list(wrong(answer)) == [field]
    assert titles(client, auth, kind) == []


def test_a_job_is_of_a_company_that_is_there(client, auth, other_tenant) -> None:
    company = created(client, auth, "companies", HARBOUR)
    job = created(client, auth, "jobs", ENGINEER, company_id=company["id"], company_name=None)
    assert job["company_id"] == company["id"]
    for unknown in (str(uuid.uuid4()), created(client, other_tenant, "companies", HARBOUR)["id"]):
        answer = client.post(f"{API}/jobs", headers=auth, json={**ENGINEER, "company_id": unknown})
        assert wrong(answer) == {"company_id": "there is none with this id"}
    url = f"{API}/jobs/{job['id']}"
    client.patch(url, headers=auth | {"If-Match": '"1"'}, json={"status": "closed"})
    gone = client.delete(f"{API}/companies/{company['id']}", headers=auth | {"If-Match": '"1"'})
    assert gone.status_code == 204
    kept = client.patch(url, headers=auth | {"If-Match": "*"}, json={"openings": 3})
    assert (kept.status_code, kept.json()["company_id"]) == (200, company["id"]), (
        "what was so before may stay"
    )
    moved = client.post(f"{API}/jobs", headers=auth, json={**ENGINEER, "company_id": company["id"]})
    assert wrong(moved) == {"company_id": "there is none with this id"}


def test_the_database_itself_refuses_a_company_of_another_tenant(
    client, auth, tenant, other_tenant, database_urls: DatabaseUrls
) -> None:
    theirs = created(client, other_tenant, "companies", HARBOUR)
    job = created(client, auth, "jobs", ENGINEER)
    url = database_urls.app.replace("+psycopg", "")
    moved = "UPDATE talent_sync.jobs SET company_id = %s WHERE id = %s"
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('looma.tenant', %s, true)", [tenant])
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(moved, [theirs["id"], job["id"]])


def test_lists_are_filtered_searched_and_paged(client, auth, other_tenant) -> None:
    company = created(client, auth, "companies", HARBOUR)
    for number in range(5):
        created(
            client,
            auth,
            "jobs",
            ENGINEER,
            title=f"Engineer {number}",
            status="closed" if number == 1 else "open",
            workplace="remote" if number == 2 else "hybrid",
            employment="contract" if number == 3 else "full-time",
            company_id=company["id"] if number == 4 else None,
            skills=["Go"] if number == 0 else ["数据仓库", "100%_"],
        )
    created(client, other_tenant, "jobs", ENGINEER)
    assert titles(client, auth, status="closed") == ["Engineer 1"]
    assert titles(client, auth, workplace="remote") == ["Engineer 2"]
    assert titles(client, auth, employment="contract") == ["Engineer 3"]
    assert titles(client, auth, company_id=company["id"]) == ["Engineer 4"]
    assert titles(client, auth, location="London", status="open", workplace="remote") == ["Engineer 2"]
    assert titles(client, auth, q="GO") == ["Engineer 0"]
    assert len(titles(client, auth, q="数据 0%_")) == 4
    assert titles(client, auth, q="0_%") == []
    assert titles(client, auth, sort="-title", limit=2) == ["Engineer 4", "Engineer 3"]
    seen, cursor = [], None
    while True:
        params = {"sort": "title", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{API}/jobs", headers=auth, params=params).json()
        seen += [item["title"] for item in page["items"]]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    assert seen == [f"Engineer {number}" for number in range(5)]
    for name, value in (("status", "lost"), ("sort", "salary"), ("company_id", "x"), ("limit", 0)):
        assert list(wrong(client.get(f"{API}/jobs", headers=auth, params={name: value}))) == [name]
    assert titles(client, auth, "companies", size="51-200", q="港湾 payments") == ["Harbour Payments Ltd"]
    assert titles(client, auth, "companies", size="1-10") == []


@pytest.mark.parametrize(("kind", "body", "name"), KINDS)
def test_the_same_source_answers_the_record_that_is_there(client, auth, kind, body, name) -> None:
    source = {"type": "demo", "ref": "first"}
    made = created(client, auth, kind, body, source=source)
    again = client.post(f"{API}/{kind}", headers=auth, json={**body, "source": source, name: "Another"})
    assert (again.status_code, again.json()) == (200, made)


@pytest.mark.parametrize(("kind", "body", "name"), KINDS)
def test_another_tenant_sees_and_changes_nothing(  # noqa: PLR0917 - drawn by name
    client, auth, other_tenant, kind, body, name
) -> None:
    made = created(client, auth, kind, body)
    url = f"{API}/{kind}/{made['id']}"
    stale = other_tenant | {"If-Match": '"1"'}
    assert titles(client, other_tenant, kind) == []
    assert client.get(url, headers=other_tenant).status_code == 404
    assert client.get(f"{url}/quality", headers=other_tenant).status_code == 404
    assert client.patch(url, headers=stale, json={name: "Theirs"}).status_code == 404
    assert client.delete(url, headers=stale).status_code == 404
    assert client.get(url, headers=auth).json() == made


@pytest.mark.parametrize(("kind", "body", "name"), KINDS)
def test_a_record_has_a_quality_and_its_kind_has_rules(client, auth, kind, body, name) -> None:
    made = created(client, auth, kind, body)
    found = client.get(f"{API}/{kind}/{made['id']}/quality", headers=auth).json()
    assert (found["score"], found["losses"]) == (100, [])
    poor = client.post(f"{API}/{kind}/assess", headers=auth, json={name: "Poor"}).json()
    assert poor["score"] < 40
    assert poor["score"] == round(100 - sum(loss["points"] for loss in poor["losses"]))
    rules = client.get(f"{API}/{kind}/rules", headers=auth).json()
    assert {loss["rule"] for loss in poor["losses"]} <= {rule["id"] for rule in rules}
