"""`Idempotency-Key` at the résumé engine, which works in steps: a real database, a stand-in for talent-sync."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings
from looma_engines.resume.app import create
from looma_engines.resume.talents import TalentClient
from support.resume_files import ADA, LIN, pdf_pages
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.database import DatabaseUrls

PATH = "/api/v1/resumes"
KEY = {"Idempotency-Key": "upload-1"}


class TalentSync:
    """Creates a talent for each source once; `away` refuses instead."""

    def __init__(self) -> None:
        self.away = False
        self.talents: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            return httpx.Response(400)
        ref = msgspec.json.decode(request.content)["source"]["ref"]
        return httpx.Response(200, json={"id": self.talents.setdefault(ref, str(uuid.uuid4()))})


@pytest.fixture(scope="module")
def talent_sync() -> TalentSync:
    return TalentSync()


@pytest.fixture(scope="module")
def client(database_urls: DatabaseUrls, talent_sync: TalentSync) -> Iterator[TestClient[Any]]:
    settings = EngineSettings(
        database_url=database_urls.app,
        file_keys=new_key(),
        config='{"workers": 1, "waitSeconds": 60}',
        schema_wait_seconds=5,
    )
    talents = TalentClient("http://looma.test", transport=httpx.MockTransport(talent_sync), pause=0.001)
    app = create(settings, verifier=verifier(), talents=talents)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _present(talent_sync: TalentSync) -> Iterator[None]:
    yield
    talent_sync.away = False


@pytest.fixture
def auth(tenant: str) -> dict[str, str]:
    return bearer(tenant=tenant) | KEY


def upload(client: TestClient[Any], auth: dict[str, str], data: bytes, name: str = "ada.pdf") -> Any:
    return client.post(PATH, headers=auth, files={"file": (name, data, "application/pdf")})


def stored(client: TestClient[Any], auth: dict[str, str]) -> list[str]:
    return [item["id"] for item in client.get(PATH, headers=auth).json()["items"]]


def test_a_form_sent_again_gets_the_first_answer_though_its_boundary_is_new(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    data = pdf_pages(ADA, 2)
    first, again = (upload(client, auth, data) for _ in range(2))
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["x-looma-cost"] == "2"
    assert "x-looma-cost" not in again.headers, "a repetition costs nothing"
    assert stored(client, auth) == [first.json()["id"]]


def test_an_answer_is_given_again_after_its_resume_was_erased(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    data = pdf_pages(ADA, 1)
    first = upload(client, auth, data)
    assert client.delete(first.headers["location"], headers=auth).status_code == 204
    assert upload(client, auth, data).content == first.content
    assert stored(client, auth) == []


def test_another_file_with_the_key_is_refused(client: TestClient[Any], auth: dict[str, str]) -> None:
    upload(client, auth, pdf_pages(ADA, 1))
    answer = upload(client, auth, pdf_pages(LIN, 1))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:looma:problem:idempotency-key-reused")
    assert len(stored(client, auth)) == 1


def test_a_file_that_was_refused_leaves_the_key_free(client: TestClient[Any], auth: dict[str, str]) -> None:
    assert upload(client, auth, b"\x89PNG\r\n\x1a\n").status_code == 415
    assert upload(client, auth, pdf_pages(ADA, 1)).status_code == 201


def test_a_resume_without_its_talent_goes_on_with_the_same_key(
    client: TestClient[Any], auth: dict[str, str], talent_sync: TalentSync
) -> None:
    data = pdf_pages(ADA, 1)
    talent_sync.away = True
    pending = [upload(client, auth, data) for _ in range(2)]
    assert [answer.status_code for answer in pending] == [202, 202]
    refused = upload(client, auth, pdf_pages(LIN, 1))
    assert refused.status_code == 422, "the key belongs to the file although nothing is finished"
    talent_sync.away = False
    done, again = (upload(client, auth, data) for _ in range(2))
    assert (done.status_code, done.json()["talent_id"] is not None) == (200, True)
    assert (again.content, again.headers["idempotent-replayed"]) == (done.content, "true")
    assert stored(client, auth) == [done.json()["id"]]


def test_a_batch_is_answered_again_once_nothing_is_left_to_do(
    client: TestClient[Any], auth: dict[str, str], talent_sync: TalentSync
) -> None:
    files = [("files", ("ada.pdf", pdf_pages(ADA, 1))), ("files", ("bad.png", b"\x89PNG\r\n\x1a\n"))]
    talent_sync.away = True
    first = client.post(f"{PATH}/batch", headers=auth, files=files)
    assert [item["status"] for item in first.json()["items"]] == [202, 415]
    talent_sync.away = False
    second, third = (client.post(f"{PATH}/batch", headers=auth, files=files) for _ in range(2))
    assert [item["status"] for item in second.json()["items"]] == [200, 415]
    assert (third.content, third.headers["idempotent-replayed"]) == (second.content, "true")
    assert len(stored(client, auth)) == 1


def test_a_step_that_was_taken_by_a_process_that_ended_is_not_taken_twice(
    client: TestClient[Any], auth: dict[str, str], database_urls: DatabaseUrls, tenant: str
) -> None:
    data = pdf_pages(ADA, 1)
    first = upload(client, auth, data)
    with psycopg.connect(database_urls.admin) as connection:
        # As a process leaves it that was killed between the step that stored the file and its answer.
        connection.execute("UPDATE resume.idempotency_keys SET answer = NULL WHERE tenant = %s", [tenant])
        connection.execute("UPDATE resume.resumes SET talent_id = NULL WHERE tenant = %s", [tenant])
    assert upload(client, auth, pdf_pages(LIN, 1)).status_code == 422
    again = upload(client, auth, data)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.json()["talent_id"] == first.json()["talent_id"]


def test_the_step_that_stores_takes_the_key_along_or_is_taken_back(
    client: TestClient[Any], auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from looma_core.db.idempotency import AnswerStore

    async def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(AnswerStore, "keep", broken)
        assert upload(client, auth, pdf_pages(ADA, 1)).status_code == 500
    assert stored(client, auth) == []
    assert upload(client, auth, pdf_pages(ADA, 1)).status_code == 201


def test_what_stores_nothing_has_no_use_for_a_key(client: TestClient[Any], auth: dict[str, str]) -> None:
    for text in ("Java", "Python"):
        answer = client.post(f"{PATH}/parse", headers=auth, json={"text": text})
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)
    document = client.get("/openapi.json").json()["paths"]
    assert "parameters" not in document[f"{PATH}/parse"]["post"]
    assert document[PATH]["post"]["parameters"][0]["name"] == "Idempotency-Key"
