"""`Idempotency-Key` at talent-sync: one transaction holds the work and its answer; against a real database."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings, SettingsError
from looma_engines.talent_sync.app import create
from support.key_ring import ring_file
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

PATH = "/api/v1/talents"
ADA = {"full_name": "Ada Byron", "email": "ada@example.org"}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
FILE_KEYS = new_key()


def settings(urls: DatabaseUrls, **changes: Any) -> EngineSettings:
    told = {
        "database_url": urls.app,
        "key_ring_file": ring_file(),
        "service": "people",
        "file_keys": FILE_KEYS,
        "schema_wait_seconds": 5,
    }
    return EngineSettings(**{**told, **changes})


@pytest.fixture(scope="module")
def client(database_urls: DatabaseUrls) -> Iterator[TestClient[Any]]:
    with TestClient(create(settings(database_urls), verifier=verifier())) as client:
        yield client


def names(client: TestClient[Any], auth: dict[str, str]) -> list[str]:
    items = client.get(PATH, headers=auth, params={"sort": "created_at"}).json()["items"]
    return [item["full_name"] for item in items]


def counted(client: TestClient[Any], outcome: str) -> float:
    line = f'looma_idempotent_requests_total{{outcome="{outcome}",service="people"}} '
    found = [text for text in client.get("/metrics").text.splitlines() if text.startswith(line)]
    return float(found[0].removeprefix(line)) if found else 0.0


def test_the_same_request_again_gets_the_same_answer(client: TestClient[Any], auth: dict[str, str]) -> None:
    before = counted(client, "first"), counted(client, "replayed")
    first = client.post(PATH, headers=auth | KEY, json=ADA)
    again = client.post(PATH, headers=auth | KEY, json=ADA)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for header in ("content-type", "location", "etag", "content-length"):
        assert again.headers[header] == first.headers[header]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"], "the ids are this request's own"
    assert names(client, auth) == ["Ada Byron"]
    assert (counted(client, "first"), counted(client, "replayed")) == (before[0] + 1, before[1] + 1)


def test_quotation_marks_make_no_other_key(client: TestClient[Any], auth: dict[str, str]) -> None:
    client.post(PATH, headers=auth | KEY, json=ADA)
    quoted = {"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'}
    assert client.post(PATH, headers=auth | quoted, json=ADA).headers["idempotent-replayed"] == "true"


def test_without_a_key_and_with_another_it_is_another_request(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    for headers in ({}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}):
        answer = client.post(PATH, headers=auth | headers, json=ADA)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert len(names(client, auth)) == 4


def test_a_key_with_another_body_or_query_is_refused(client: TestClient[Any], auth: dict[str, str]) -> None:
    client.post(PATH, headers=auth | KEY, json=ADA)
    before = counted(client, "mismatch")
    for changed in ({"json": {**ADA, "full_name": "Eve"}}, {"json": ADA, "params": {"x": "1"}}):
        answer = client.post(PATH, headers=auth | KEY, **changed)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:looma:problem:idempotency-key-reused"
        assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert names(client, auth) == ["Ada Byron"]
    assert counted(client, "mismatch") == before + 2


def test_a_key_that_was_taken_for_one_record_is_refused_for_the_next(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    one, two = (client.post(PATH, headers=auth, json=ADA).json()["id"] for _ in range(2))
    headers = auth | KEY | {"If-Match": "*"}
    assert client.patch(f"{PATH}/{one}", headers=headers, json={"headline": "x"}).status_code == 200
    assert client.patch(f"{PATH}/{two}", headers=headers, json={"headline": "x"}).status_code == 422
    assert client.post(PATH, headers=auth | KEY, json=ADA).status_code == 201, (
        "another route's key is another"
    )


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, '"open'])
def test_a_key_that_cannot_be_read_is_refused(
    client: TestClient[Any], auth: dict[str, str], key: str
) -> None:
    answer = client.post(PATH, headers=auth | {"Idempotency-Key": key}, json=ADA)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:looma:problem:bad-request")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert names(client, auth) == []


def test_a_change_is_made_once_and_answered_again_although_its_version_is_past(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    made = client.post(PATH, headers=auth, json=ADA).json()
    headers = auth | KEY | {"If-Match": '"1"'}
    answers = [
        client.patch(f"{PATH}/{made['id']}", headers=headers, json={"headline": "x"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers["etag"] for answer in answers] == ['"2"', '"2"']
    stale = client.patch(f"{PATH}/{made['id']}", headers=auth | {"If-Match": '"1"'}, json={"headline": "y"})
    assert stale.status_code == 412


def test_a_refusal_is_decided_anew(client: TestClient[Any], auth: dict[str, str]) -> None:
    assert client.post(PATH, headers=auth | KEY, json={"full_name": ""}).status_code == 422
    json = {"Content-Type": "application/json"}
    assert client.post(PATH, headers=auth | KEY, content=b"{}").status_code == 415
    assert client.post(PATH, headers=auth | KEY | json, content=b"{").status_code == 400
    corrected = client.post(PATH, headers=auth | KEY, json=ADA)
    assert (corrected.status_code, "idempotent-replayed" in corrected.headers) == (201, False)


def test_what_was_done_before_a_failure_is_taken_back(
    client: TestClient[Any], auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from looma_engines.talent_sync.records import routes

    def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        # The talent is written by then, and its answer is not made yet.
        patched.setattr(routes, "tagged", broken)
        with TestClient(client.app, raise_server_exceptions=False) as careful:
            assert careful.post(PATH, headers=auth | KEY, json=ADA).status_code == 500
    assert names(client, auth) == []
    assert client.post(PATH, headers=auth | KEY, json=ADA).status_code == 201
    assert names(client, auth) == ["Ada Byron"]


def test_people_and_tenants_have_keys_of_their_own(client: TestClient[Any], tenant: str) -> None:
    callers = [
        bearer(tenant=tenant, subject="ada"),
        bearer(tenant=tenant, subject="eve"),
        bearer(tenant=f"{tenant}-other", subject="ada"),
    ]
    for caller in callers:
        answer = client.post(PATH, headers=caller | KEY, json=ADA)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)


def test_a_strangers_key_is_no_question_to_the_database(
    client: TestClient[Any], auth: dict[str, str], tenant: str
) -> None:
    client.post(PATH, headers=auth | KEY, json=ADA)
    assert client.post(PATH, headers=KEY, json=ADA).status_code == 401
    nobody = bearer(tenant=tenant, roles=["operator"])
    assert client.post(PATH, headers=nobody | KEY, json=ADA).status_code == 403


def rows(urls: DatabaseUrls) -> list[tuple[Any, ...]]:
    with psycopg.connect(urls.admin) as connection:
        return connection.execute(
            "SELECT tenant, identity, fingerprint, answer, expires_at - now() < interval '24 hours'"
            " FROM talent_sync.idempotency_keys"
        ).fetchall()


def expire(urls: DatabaseUrls, tenant: str) -> None:
    with psycopg.connect(urls.admin) as connection:
        connection.execute(
            "UPDATE talent_sync.idempotency_keys SET expires_at = now() - interval '1 second' WHERE tenant = %s",
            [tenant],
        )


def test_neither_keys_nor_answers_can_be_read_in_the_database_or_the_log(
    client: TestClient[Any], tenant: str, database_urls: DatabaseUrls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for body in (ADA, ADA, {**ADA, "full_name": "Eve Byron"}):
        client.post(PATH, headers=bearer(tenant=tenant) | KEY, json=body)
    stored = [row for row in rows(database_urls) if row[0] == tenant]
    assert len(stored) == 1
    text = b"".join(bytes(part) for part in stored[0][1:4]) + caplog.text.encode()
    for hidden in (KEY["Idempotency-Key"].encode(), b"Byron", b"ada@example.org"):
        assert hidden not in text
    assert stored[0][4], "it is kept for longer than the setting says"


def test_an_answer_past_its_time_is_none_and_is_taken_away(
    client: TestClient[Any], auth: dict[str, str], tenant: str, database_urls: DatabaseUrls
) -> None:
    for number in range(3):
        client.post(PATH, headers=auth | {"Idempotency-Key": f"key-{number}"}, json=ADA)
    expire(database_urls, tenant)
    answer = client.post(PATH, headers=auth | {"Idempotency-Key": "key-0"}, json={**ADA, "full_name": "Eve"})
    assert (answer.status_code, answer.json()["full_name"]) == (201, "Eve")
    assert len([row for row in rows(database_urls) if row[0] == tenant]) == 1


def test_no_more_rows_go_at_once_than_are_said(
    client: TestClient[Any], tenant: str, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    from looma_core.db import idempotency

    auth = bearer(tenant=tenant)
    for number in range(5):
        client.post(PATH, headers=auth | {"Idempotency-Key": f"key-{number}"}, json=ADA)
    expire(database_urls, tenant)
    monkeypatch.setattr(idempotency, "SWEPT_AT_ONCE", 2)
    client.post(PATH, headers=auth | KEY, json=ADA)
    assert len([row for row in rows(database_urls) if row[0] == tenant]) == 4


def test_an_answer_whose_file_key_is_gone_is_not_carried_out_again(
    client: TestClient[Any], auth: dict[str, str], database_urls: DatabaseUrls
) -> None:
    client.post(PATH, headers=auth | KEY, json=ADA)
    rotated = settings(database_urls, file_keys=f"{new_key()},{FILE_KEYS}")
    with TestClient(create(rotated, verifier=verifier())) as other:
        assert other.post(PATH, headers=auth | KEY, json=ADA).headers["idempotent-replayed"] == "true"
    forgotten = create(settings(database_urls, file_keys=new_key()), verifier=verifier())
    with TestClient(forgotten, raise_server_exceptions=False) as other:
        assert other.post(PATH, headers=auth | KEY, json=ADA).status_code == 500
    assert names(client, auth) == ["Ada Byron"]


def test_without_a_file_key_it_does_not_start() -> None:
    with pytest.raises(SettingsError, match="LOOMA_FILE_KEYS has no key"):
        create(EngineSettings(database_url="postgresql+psycopg://x@/x"))


def test_the_document_tells_of_the_header_and_its_refusals(client: TestClient[Any]) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for operation in (paths[PATH]["post"], paths[PATH + "/{record_id}"]["patch"]):
        (header,) = [item for item in operation["parameters"] if item["name"] == "Idempotency-Key"]
        assert (header["in"], header["required"], header["schema"]["maxLength"]) == ("header", False, 255)
        assert {"409", "422"} <= set(operation["responses"])
        assert "Retry-After" in operation["responses"]["409"]["headers"]
        done = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
        assert "Idempotent-Replayed" in done["headers"]
    assert "Idempotency-Key" not in json.dumps(paths[PATH]["get"])
