"""`fields=`: answers with some fields of a record alone; before a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from looma_core.api.company import Company
from looma_core.api.job import Job
from looma_core.api.talent import Talent

if TYPE_CHECKING:
    import msgspec

API = "/api/v1"
KINDS: list[tuple[str, str, type[msgspec.Struct]]] = [
    ("talents", "full_name", Talent),
    ("companies", "name", Company),
    ("jobs", "title", Job),
]


@pytest.mark.parametrize(("kind", "title", "record"), KINDS)
def test_answers_have_the_fields_that_were_asked_for(client, auth, kind, title, record) -> None:
    made = client.post(f"{API}/{kind}", headers=auth, json={title: "Harbour"}).json()
    wanted = {name: made[name] for name in ("id", "version", title, "location")}
    for path in (f"{API}/{kind}", f"{API}/{kind}/{made['id']}"):
        answer = client.get(path, headers=auth, params={"fields": f"location, {title},"})
        body: dict[str, Any] = answer.json()
        assert (body["items"][0] if "items" in body else body) == wanted
    alone = client.get(f"{API}/{kind}/{made['id']}", headers=auth, params={"fields": ""})
    assert alone.json() == {"id": made["id"], "version": 1}
    assert alone.headers["etag"] == '"1"'
    everything = client.get(
        f"{API}/{kind}/{made['id']}", headers=auth, params={"fields": ",".join(record.__struct_fields__)}
    )
    assert everything.json() == made


@pytest.mark.parametrize(("kind", "title", "record"), KINDS)
def test_a_field_that_is_not_there_is_named(client, auth, kind, title, record) -> None:
    made = client.post(f"{API}/{kind}", headers=auth, json={title: "Harbour"}).json()
    for path in (f"{API}/{kind}", f"{API}/{kind}/{made['id']}", f"{API}/{kind}?source=demo"):
        answer = client.get(
            path,
            headers=auth,
            params={"fields": f"{title},tenant"} | ({"source": "demo"} if "?" in path else {}),
        )
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == "fields"
        assert "tenant" in error["message"]
        assert title in error["message"].split(";")[1]


def test_pages_go_on_with_the_same_fields(client, auth) -> None:
    for name in ("A", "B", "C"):
        client.post(f"{API}/companies", headers=auth, json={"name": name})
    params = {"fields": "name", "sort": "name", "limit": 2}
    first = client.get(f"{API}/companies", headers=auth, params=params).json()
    rest = client.get(
        f"{API}/companies", headers=auth, params=params | {"cursor": first["next_cursor"]}
    ).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["A", "B", "C"]
    assert set(rest["items"][0]) == {"id", "version", "name"}


@pytest.mark.parametrize(("kind", "title", "record"), KINDS)
def test_the_document_says_what_may_be_missing(client, kind, title, record) -> None:
    document = client.get("/openapi.json").json()
    for path in (f"{API}/{kind}", f"{API}/{kind}/{{record_id}}"):
        operation = document["paths"][path]["get"]
        assert "fields" in {item["name"] for item in operation["parameters"]}
    schemas = document["components"]["schemas"]
    whole, part = schemas[record.__name__], schemas[f"Sparse{record.__name__}"]
    assert set(part["required"]) == {"id", "version"}
    assert title in whole["required"]
    assert set(part["properties"]) == set(whole["properties"])
    assert part["properties"][title]["maxLength"] == whole["properties"][title]["maxLength"]
    named = str(document["paths"][f"{API}/{kind}"]["get"]["responses"]["200"])
    assert f"Sparse{record.__name__}" in named
