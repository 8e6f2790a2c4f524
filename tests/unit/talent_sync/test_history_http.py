"""The history of a record over HTTP, before a real database."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from support.tokens import bearer

if TYPE_CHECKING:
    from litestar.testing import TestClient

    from support.database import DatabaseUrls

API = "/api/v1"
KINDS = [
    ("talents", {"full_name": "Ada Byron", "skills": ["SQL"]}, "full_name"),
    ("companies", {"name": "Harbour Ltd"}, "name"),
    ("jobs", {"title": "Engineer"}, "title"),
]


def made(client: TestClient[Any], auth: dict[str, str], kind: str, body: dict[str, Any]) -> str:
    answer = client.post(f"{API}/{kind}", headers=auth, json=body)
    assert answer.status_code == 201, answer.text
    return f"{API}/{kind}/{answer.json()['id']}"


def changed(client: TestClient[Any], auth: dict[str, str], url: str, version: int, **fields: Any) -> None:
    answer = client.patch(url, headers=auth | {"If-Match": f'"{version}"'}, json=fields)
    assert answer.status_code == 200, answer.text


def history(client: TestClient[Any], auth: dict[str, str], url: str, **params: Any) -> dict[str, Any]:
    answer = client.get(f"{url}/history", headers=auth, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(("kind", "body", "name"), KINDS)
def test_what_was_done_is_told_the_newest_first(client, tenant, kind, body, name) -> None:
    auth, eve = bearer(tenant=tenant), bearer(tenant=tenant, subject="eve")
    url = made(client, auth, kind, {**body, "source": {"type": "demo", "ref": "one"}})
    changed(client, eve, url, 1, **{name: "Another", "location": "Leeds"})
    assert client.delete(url, headers=auth | {"If-Match": '"2"'}).status_code == 204
    assert client.get(url, headers=auth).status_code == 404
    found = history(client, auth, url)
    assert found["next_cursor"] is None
    deleted, updated, created = found["items"]
    assert [item["at"] for item in found["items"]] == sorted(
        (item["at"] for item in found["items"]), reverse=True
    )
    assert (deleted["action"], deleted["version"], deleted["changes"]) == ("delete", 3, [])
    assert (updated["action"], updated["version"], updated["actor"]) == ("update", 2, "eve")
    assert updated["changes"] == [
        {"field": name, "before": body[name], "after": "Another"},
        {"field": "location", "before": None, "after": "Leeds"},
    ]
    assert (created["action"], created["version"], created["origin"]) == ("create", 1, "api")
    told = {change["field"]: (change["before"], change["after"]) for change in created["changes"]}
    assert {field: told[field] for field in (*body, "source.type", "source.ref")} == {
        **{field: (None, value) for field, value in body.items()},
        "source.type": (None, "demo"),
        "source.ref": (None, "one"),
    }
    assert created["changes"][0]["field"] == name, "in the order of the fields"
    assert "phone" not in told


def test_who_is_the_tokens_subject(client, tenant) -> None:
    url = made(client, bearer(tenant=tenant, subject="ada@example.org"), "companies", {"name": "Harbour"})
    assert history(client, bearer(tenant=tenant), url)["items"][0]["actor"] == "ada@example.org"


def test_a_request_that_is_sent_again_by_its_key_leaves_one_entry(client, tenant) -> None:
    auth = bearer(tenant=tenant, subject="ada") | {"Idempotency-Key": "once"}
    first = made(client, auth, "companies", {"name": "Harbour"})
    assert made(client, auth, "companies", {"name": "Harbour"}) == first
    assert [(item["action"], item["actor"]) for item in history(client, auth, first)["items"]] == [
        ("create", "ada")
    ]


def test_a_refused_change_is_no_history(client, auth) -> None:
    url = made(client, auth, "jobs", {"title": "Engineer"})
    assert client.patch(url, headers=auth | {"If-Match": '"7"'}, json={"title": "x"}).status_code == 412
    assert client.patch(url, headers=auth | {"If-Match": '"1"'}, json={"title": "--"}).status_code == 422
    changed(client, auth, url, 1, title="Engineer")
    assert len(history(client, auth, url)["items"]) == 1


def test_pages_go_on_where_the_one_before_ended(client, auth) -> None:
    url = made(client, auth, "jobs", {"title": "Engineer 1"})
    for version in range(1, 7):
        changed(client, auth, url, version, title=f"Engineer {version + 1}")
    seen: list[int] = []
    cursor: str | None = None
    pages = 0
    while cursor is not None or not pages:
        page = history(client, auth, url, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [item["version"] for item in page["items"]]
        cursor = page["next_cursor"]
        pages += 1
        if pages == 1:
            # What happens in between comes before the pages that were read.
            changed(client, auth, url, 7, title="Engineer 8")
    assert (seen, pages) == ([7, 6, 5, 4, 3, 2, 1], 3)


def packed(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        packed('["-created_at","2026-11-20T10:00:00Z","019a0000-0000-7000-8000-000000000001"]'),
        packed('["2026-11-20T10:00:00",1]'),
        packed('["2026-11-20T10:00:00Z",99999999999999999999]'),
        packed('["2026-11-20T10:00:00Z",9223372036854775808]'),
    ],
)
def test_a_cursor_that_was_not_given_out_is_named(client, auth, cursor) -> None:
    url = made(client, auth, "jobs", {"title": "Engineer"})
    answer = client.get(f"{url}/history", headers=auth, params={"cursor": cursor})
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]
    assert client.get(f"{url}/history", headers=auth, params={"limit": 0}).status_code == 422


def test_a_span_of_time_narrows_it_on_all_pages(client, auth) -> None:
    url = made(client, auth, "talents", {"full_name": "Ada"})
    for version, name in enumerate(("Bea", "Cai", "Dee", "Eve"), 1):
        changed(client, auth, url, version, full_name=name)
    whole = history(client, auth, url)["items"]
    newest, middle, oldest = whole[0], whole[1:4], whole[4]
    span = {"since": middle[-1]["at"], "before": newest["at"]}
    assert history(client, auth, url, **span) == {"items": middle, "next_cursor": None}
    first = history(client, auth, url, **span, limit=2)
    rest = history(client, auth, url, **span, limit=2, cursor=first["next_cursor"])
    assert [*first["items"], *rest["items"]] == middle
    assert rest["next_cursor"] is None
    assert history(client, auth, url, before=middle[-1]["at"])["items"] == [oldest]
    assert history(client, auth, url, since=newest["at"])["items"] == [newest]
    assert history(client, auth, url, since="2999-01-01T00:00:00+08:00")["items"] == []


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"since": "2026-02-30T00:00:00Z"}, "since"),
        ({"before": "2026-02-03T25:00:00Z"}, "before"),
        ({"since": "1700000000"}, "since"),
        ({"since": "2026-02-03T00:00:00"}, "since"),
        ({"since": "2026-02-03T00:00:00Z", "before": "2026-02-03T00:00:00Z"}, "before"),
    ],
    ids=["no day", "no hour", "a number", "without a zone", "nothing between"],
)
def test_a_span_that_is_none_is_named(client, auth, tenant, asked, field) -> None:
    admin = bearer(tenant=tenant, roles=["admin"])
    url = made(client, auth, "talents", {"full_name": "Ada"})
    for answer in (
        client.get(f"{url}/history", headers=auth, params=asked),
        client.get(f"{API}/audit-events", headers=admin, params=asked),
    ):
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(("kind", "body", "name"), KINDS)
def test_what_is_not_there_has_no_history(  # noqa: PLR0917 - drawn by name
    client, auth, other_tenant, kind, body, name
) -> None:
    url = made(client, auth, kind, body)
    strange = [(url, other_tenant), (f"{API}/{kind}/{uuid.uuid4()}", auth)]
    strange += [(url.replace(f"/{kind}/", f"/{other}/"), auth) for other, _, _ in KINDS if other != kind]
    for address, who in strange:
        answer = client.get(f"{address}/history", headers=who)
        assert answer.status_code == 404, address
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"{url}/history").status_code == 401


def test_who_may_not_read_records_reads_no_history(client, auth, tenant) -> None:
    url = made(client, auth, "jobs", {"title": "Engineer"})
    assert client.get(f"{url}/history", headers=bearer(roles=("operator",), tenant=tenant)).status_code == 403


def test_a_record_whose_history_is_past_its_time_has_an_empty_one(
    client, auth, tenant, database_urls: DatabaseUrls
) -> None:
    url = made(client, auth, "jobs", {"title": "Engineer"})
    with psycopg.connect(database_urls.admin) as admin:
        admin.execute("DELETE FROM talent_sync.record_history WHERE tenant = %s", [tenant])
    assert history(client, auth, url) == {"items": [], "next_cursor": None}


def test_the_document_describes_it(client) -> None:
    document = client.get("/openapi.json").json()
    for kind, _, _ in KINDS:
        asked = document["paths"][f"{API}/{kind}/{{record_id}}/history"]["get"]
        assert {parameter["name"] for parameter in asked["parameters"]} >= {"record_id", "limit", "cursor"}
    entry = next(
        schema for name, schema in document["components"]["schemas"].items() if name.endswith("HistoryEntry")
    )
    assert set(entry["properties"]) == {"version", "action", "at", "actor", "origin", "changes"}
