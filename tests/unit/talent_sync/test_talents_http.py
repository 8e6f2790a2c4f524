"""The endpoints of talent-sync against a real database, through the whole frame."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings, SettingsError
from looma_engines.talent_sync.app import create
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from support.database import DatabaseUrls

PATH = "/api/v1/talents"
ADA = {
    "full_name": "Ada Byron",
    "email": "ada@Example.ORG",
    "phone": "+44 20 7946 0018",
    "headline": "Analyst",
    "skills": ["SQL", "sql", "Python"],
    "experience": [{"title": "Analyst", "company": "Engine Works", "start": "2019-04", "end": "2021-06"}],
}


def _created(client: TestClient[Any], auth: dict[str, str], **fields: object) -> dict[str, Any]:
    answer = client.post(PATH, headers=auth, json={**ADA, **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _fields(answer: Any) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return {error["field"]: error["message"] for error in answer.json().get("errors", [])}


def test_a_created_talent_is_tidied_and_reads_back(client: TestClient[Any], auth: dict[str, str]) -> None:
    answer = client.post(PATH, headers=auth, json=ADA)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"{PATH}/{body['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["x-looma-revision"] == "r4"
    assert uuid.UUID(body["id"]).version == 7
    assert (body["email"], body["skills"]) == ("ada@example.org", ["SQL", "Python"])
    assert body["source"] == {"type": "manual", "ref": None}
    again = client.get(f"{PATH}/{body['id']}", headers=auth)
    assert again.status_code == 200
    assert again.json() == body
    assert client.get(answer.headers["location"], headers={**auth, "If-None-Match": '"1"'}).status_code == 304


def test_the_same_source_answers_the_same_talent(client: TestClient[Any], auth: dict[str, str]) -> None:
    source = {"type": "resume", "ref": str(uuid.uuid4())}
    first = client.post(PATH, headers=auth, json={**ADA, "source": source})
    second = client.post(PATH, headers=auth, json={**ADA, "full_name": "Other", "source": source})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    # Deleted, it may come again.
    client.delete(f"{PATH}/{first.json()['id']}", headers={**auth, "If-Match": "*"})
    third = client.post(PATH, headers=auth, json={**ADA, "source": source})
    assert third.status_code == 201
    assert third.json()["id"] != first.json()["id"]


def test_two_without_a_ref_are_two(client: TestClient[Any], auth: dict[str, str]) -> None:
    assert _created(client, auth)["id"] != _created(client, auth)["id"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"full_name": None}, {"full_name": "Expected `str`, got `null`"}),
        ({"full_name": "  "}, {"full_name": "write the person's name"}),
        ({"full_name": "x" * 201}, {"full_name": "Expected `str` of length <= 200"}),
        ({"email": "nobody"}, {"email": "write an address such as ada@example.org"}),
        ({"phone": "call me"}, {"phone": "write a number such as +86 138 0013 8000"}),
        ({"phone": "123"}, {"phone": "write a number such as +86 138 0013 8000"}),
        (
            {"experience": [{"start": "2021-05", "end": "2020-01"}]},
            {"experience[0].end": "lies before the start, 2021-05"},
        ),
        (
            {"education": [{"start": "May 2020"}]},
            {"education[0].start": "write a month as YYYY-MM, such as 2021-03, or a year"},
        ),
        ({"education": [{"start": "0001"}]}, {"education[0].start": "write a year from 1900"}),
        ({"nmae": "x"}, {"nmae": "is not a known field"}),
        ({"headline": "a\u0000b"}, {"headline": "has a control character"}),
        (
            {"email": 7, "language": "fr", "skills": [""]},
            {
                "email": "Expected `str | null`, got `int`",
                "language": "Invalid enum value 'fr'",
                "skills[0]": "Expected `str` of length >= 1",
            },
        ),
        (
            {"email": "a", "phone": "b"},
            {
                "email": "write an address such as ada@example.org",
                "phone": "write a number such as +86 138 0013 8000",
            },
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else None,
)
def test_wrong_fields_are_all_named(
    client: TestClient[Any], auth: dict[str, str], change: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = client.post(PATH, headers=auth, json={**ADA, **change})
    assert answer.status_code == 422
    assert _fields(answer) == expected


def test_pages_by_key_show_each_talent_once(client: TestClient[Any], auth: dict[str, str]) -> None:
    names = [f"Person {number}" for number in range(7)]
    ids = [_created(client, auth, full_name=name)["id"] for name in names]
    for sort, expected in (
        ("created_at", ids),
        ("-created_at", ids[::-1]),
        ("full_name", ids),
        ("-full_name", ids[::-1]),
        ("updated_at", ids),
    ):
        seen: list[str] = []
        cursor = ""
        while True:
            query = {"limit": "3", "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = client.get(PATH, headers=auth, params=query).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"] or ""
            if not cursor:
                break
            if len(seen) == 3 and sort == "created_at":
                # A row that comes in between must not move the pages that follow.
                _created(client, bearer(tenant="another"), full_name="Elsewhere")
        assert seen == expected, sort


def test_search_takes_words_in_any_case_and_no_wildcards(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    _created(client, auth, full_name="王小明", headline="后端工程师", skills=["Kubernetes"])
    _created(
        client, auth, full_name="Grace Hopper", headline="Compiler engineer", skills=["COBOL", "100%_done"]
    )

    def found(q: str) -> list[str]:
        items = client.get(PATH, headers=auth, params={"q": q, "sort": "full_name"}).json()["items"]
        return [item["full_name"] for item in items]

    assert found("grace COMPILER") == ["Grace Hopper"]
    assert found("小明") == ["王小明"]
    assert found("kubernetes") == ["王小明"]
    assert found("100%_") == ["Grace Hopper"]
    assert found("%") == ["Grace Hopper"]
    assert found("grace 小明") == []
    assert client.get(PATH, headers=auth, params={"q": "a\x00"}).status_code == 422


def test_a_service_may_be_set_to_smaller_pages(
    database_urls: DatabaseUrls, client: TestClient[Any], auth: dict[str, str]
) -> None:
    ids = [_created(client, auth)["id"] for _ in range(3)]
    settings = EngineSettings(
        database_url=database_urls.app,
        config='{"maxPageSize": 2}',
        file_keys=new_key(),
        key_ring_file=ring_file(),
    )
    with TestClient(create(settings, verifier=verifier())) as small:
        first = small.get(PATH, headers=auth).json()
        second = small.get(PATH, headers=auth, params={"cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert (len(first["items"]), second["next_cursor"]) == (2, None)


@pytest.mark.parametrize("config", ['{"maxPageSize": 501}', '{"maxPages": 3}', "[]"])
def test_a_wrong_config_keeps_it_from_starting(config: str) -> None:
    settings = EngineSettings(database_url="postgresql+psycopg://x@/x", config=config)
    with pytest.raises(SettingsError, match=r"spec\.config"):
        create(settings)


def test_source_filters(client: TestClient[Any], auth: dict[str, str]) -> None:
    _created(client, auth)
    demo = _created(client, auth, source={"type": "demo", "ref": "1"})
    items = client.get(PATH, headers=auth, params={"source": "demo"}).json()["items"]
    assert [item["id"] for item in items] == [demo["id"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "email"}, "sort"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1000"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"source": "elsewhere"}, "source"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJmdWxsX25hbWUiLDEsMl0"}, "cursor"),
        ({"q": "x" * 201}, "q"),
    ],
)
def test_wrong_queries_are_named(
    client: TestClient[Any], auth: dict[str, str], query: dict[str, str], field: str
) -> None:
    answer = client.get(PATH, headers=auth, params=query)
    assert answer.status_code == 422
    assert list(_fields(answer)) == [field]


def test_a_cursor_belongs_to_its_order(client: TestClient[Any], auth: dict[str, str]) -> None:
    for _ in range(2):
        _created(client, auth)
    cursor = client.get(PATH, headers=auth, params={"limit": "1"}).json()["next_cursor"]
    answer = client.get(PATH, headers=auth, params={"cursor": cursor, "sort": "full_name"})
    assert answer.status_code == 422
    assert "-created_at" in _fields(answer)["cursor"]


def test_a_merge_patch_changes_and_empties(client: TestClient[Any], auth: dict[str, str]) -> None:
    talent = _created(client, auth)
    answer = client.patch(
        f"{PATH}/{talent['id']}",
        headers={**auth, "If-Match": '"1"', "Content-Type": "application/merge-patch+json"},
        content=b'{"headline": null, "location": "London", "skills": ["Ada"]}',
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["headline"], body["location"], body["skills"]) == (None, "London", ["Ada"])
    assert (body["version"], answer.headers["etag"]) == (2, '"2"')
    assert body["updated_at"] > talent["updated_at"]
    assert body["created_at"] == talent["created_at"]
    same = client.patch(
        f"{PATH}/{talent['id']}", headers={**auth, "If-Match": '"2"'}, json={"location": "London"}
    )
    assert same.json()["version"] == 2, "a patch that changes nothing is no new version"


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"full_name": None}, {"full_name": "is required"}),
        ({"id": "x"}, {"id": "cannot be changed"}),
        ({"source": {"type": "demo"}}, {"source": "cannot be changed"}),
        ({"colour": 1}, {"colour": "is not a known field"}),
        ({"email": "x"}, {"email": "write an address such as ada@example.org"}),
        ([1], {"body": "write an object with the fields to change"}),
    ],
)
def test_a_wrong_patch_changes_nothing(
    client: TestClient[Any], auth: dict[str, str], patch: Any, expected: dict[str, str]
) -> None:
    talent = _created(client, auth)
    answer = client.patch(f"{PATH}/{talent['id']}", headers={**auth, "If-Match": '"1"'}, json=patch)
    assert answer.status_code == 422
    assert _fields(answer) == expected
    assert client.get(f"{PATH}/{talent['id']}", headers=auth).json() == talent


def test_rules_are_listed_and_those_that_refuse_come_first(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    rules = client.get(f"{PATH}/rules", headers=auth).json()
    assert sum(rule["points"] for rule in rules) == 100
    assert rules[0]["severity"] == "error"
    assert {"talent.email.format", "talent.phone.callable"} <= {rule["id"] for rule in rules}
    assert client.get(f"{PATH}/rules").status_code == 401


def test_a_draft_is_assessed_and_not_kept(client: TestClient[Any], auth: dict[str, str]) -> None:
    draft = {**ADA, "email": "ada@gmial.com", "full_name": "Ada Assessed"}
    found = client.post(f"{PATH}/assess", headers=auth, json=draft).json()
    assert found["accepted"] is True
    assert {"rule": "talent.email.slip", "points": 3.0, "of": 3} in found["losses"]
    assert next(one for one in found["findings"] if one["field"] == "email")["message"] == (
        "ask whether gmail.com is meant"
    )
    assert client.get(PATH, headers=auth, params={"q": "assessed"}).json()["items"] == []
    refused = client.post(f"{PATH}/assess", headers=auth, json={**ADA, "email": "ada"}).json()
    assert (refused["accepted"], refused["score"]) == (False, 0)
    answer = client.post(f"{PATH}/assess", headers=auth, json={**ADA, "skills": 7})
    assert answer.status_code == 422
    assert set(_fields(answer)) == {"skills"}


def test_a_talent_has_a_quality(
    client: TestClient[Any], auth: dict[str, str], other_tenant: dict[str, str]
) -> None:
    talent = _created(client, auth, location=None)
    found = client.get(f"{PATH}/{talent['id']}/quality", headers=auth).json()
    assert found["score"] == round(100 - sum(loss["points"] for loss in found["losses"]))
    assert {"rule": "talent.location.required", "points": 4.0, "of": 4} in found["losses"]
    client.patch(f"{PATH}/{talent['id']}", headers={**auth, "If-Match": '"1"'}, json={"location": "London"})
    better = client.get(f"{PATH}/{talent['id']}/quality", headers=auth).json()
    assert better["score"] == found["score"] + 4
    assert client.get(f"{PATH}/{talent['id']}/quality", headers=other_tenant).status_code == 404
    assert client.get(f"{PATH}/{uuid.uuid4()}/quality", headers=auth).status_code == 404


def test_what_is_stored_of_an_identity_number_is_its_province(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    talent = _created(client, auth, summary="身份证 11010519491231002X")
    assert talent["summary"] == "身份证 11****************"
    lines = client.get("/metrics").text
    assert 'looma_record_findings_total{rule="talent.location.required"}' in lines
    assert 'looma_record_quality_score_count{entity="talent"}' in lines


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_changes_need_the_version_that_they_start_from(
    client: TestClient[Any], auth: dict[str, str], method: str
) -> None:
    talent = _created(client, auth)
    url = f"{PATH}/{talent['id']}"
    body = {"json": {"headline": "New"}} if method == "PATCH" else {}
    assert client.request(method, url, headers=auth, **body).status_code == 428
    for stale in ('"7"', 'W/"1"', "1"):
        answer = client.request(method, url, headers={**auth, "If-Match": stale}, **body)
        assert answer.status_code == 412, stale
    fresh = client.request(method, url, headers={**auth, "If-Match": '"9", "1"'}, **body)
    assert fresh.status_code == (200 if method == "PATCH" else 204)


def test_patches_of_the_wrong_kind_are_refused(client: TestClient[Any], auth: dict[str, str]) -> None:
    talent = _created(client, auth)
    headers = {**auth, "If-Match": "*", "Content-Type": "text/plain"}
    assert client.patch(f"{PATH}/{talent['id']}", headers=headers, content=b"{}").status_code == 415
    headers["Content-Type"] = "application/json"
    assert client.patch(f"{PATH}/{talent['id']}", headers=headers, content=b"{").status_code == 400


def test_a_deleted_talent_is_gone(client: TestClient[Any], auth: dict[str, str]) -> None:
    talent = _created(client, auth)
    url = f"{PATH}/{talent['id']}"
    assert client.delete(url, headers={**auth, "If-Match": '"1"'}).status_code == 204
    assert client.get(url, headers=auth).status_code == 404
    assert client.delete(url, headers={**auth, "If-Match": "*"}).status_code == 404
    assert client.get(PATH, headers=auth).json()["items"] == []


def test_another_tenant_sees_nothing(client: TestClient[Any], auth: dict[str, str]) -> None:
    talent = _created(client, auth, source={"type": "resume", "ref": "shared"})
    other = bearer(tenant="somebody-else")
    url = f"{PATH}/{talent['id']}"
    assert client.get(url, headers=other).status_code == 404
    assert client.patch(url, headers={**other, "If-Match": "*"}, json={"headline": "x"}).status_code == 404
    assert client.delete(url, headers={**other, "If-Match": "*"}).status_code == 404
    # The same source in another tenant is another person.
    theirs = client.post(PATH, headers=other, json={**ADA, "source": {"type": "resume", "ref": "shared"}})
    assert theirs.json()["id"] != talent["id"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (bearer(roles=["operator"]), 403), (bearer(roles=[]), 403), (bearer(roles=["admin"]), 200)],
    ids=["no token", "operator", "no role", "admin"],
)
def test_roles(client: TestClient[Any], headers: dict[str, str], status: int) -> None:
    assert client.get(PATH, headers=headers).status_code == status


def test_ids_that_are_none_are_not_found(client: TestClient[Any], auth: dict[str, str]) -> None:
    assert client.get(f"{PATH}/{uuid.uuid4()}", headers=auth).status_code == 404
    assert client.get(f"{PATH}/not-an-id", headers=auth).status_code == 404


def test_creations_are_counted(client: TestClient[Any], auth: dict[str, str]) -> None:
    def count() -> float:
        lines = client.get("/metrics").text.splitlines()
        wanted = 'looma_records_created_total{entity="talent",outcome="created",source="manual"}'
        return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0.0)

    before = count()
    _created(client, auth)
    assert count() == before + 1


def test_it_is_ready(client: TestClient[Any]) -> None:
    assert client.get("/readyz").status_code == 200
    assert client.get("/healthz").status_code == 200
