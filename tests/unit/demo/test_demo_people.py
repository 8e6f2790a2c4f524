"""The demonstration people: enough of them, made up, the same each time, in and out through the API."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from typing import Any

import httpx
import pytest

from looma_engines.demo.client import ApiError, DemoClient
from looma_engines.demo.documents import document_of
from looma_engines.demo.main import PEOPLE, load_people, remove_people
from looma_engines.demo.person import Person


def test_there_are_enough_people_in_both_languages_and_all_formats() -> None:
    by_language = [sum(person.language == language for person in PEOPLE) for language in ("en", "zh")]
    assert min(by_language) >= 6
    assert {person.file_format for person in PEOPLE} == {"txt", "html", "docx"}
    assert len({person.slug for person in PEOPLE}) == len({person.email for person in PEOPLE}) == len(PEOPLE)
    assert len({person.headline for person in PEOPLE}) >= 10


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.slug)
def test_nobody_can_be_reached_by_accident(person: Person) -> None:
    assert person.email.endswith(".example"), "kept for examples by RFC 2606"


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.slug)
def test_a_document_holds_the_person_and_is_the_same_each_time(person: Person) -> None:
    file = document_of(person)
    assert file == document_of.__wrapped__(person), "made anew it must be the same"
    assert file.name == f"{person.slug}.{person.file_format}"
    text = _plain(file.data, person.file_format)
    for expected in (person.name, person.email, person.phone, *(job.company for job in person.jobs)):
        assert expected in text, expected


def _plain(data: bytes, file_format: str) -> str:
    if file_format == "docx":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read("word/document.xml")
    return re.sub(r"<[^>]+>", "", data.decode()).replace("&amp;", "&")


class FakeApi:
    """The two engines as far as `looma-demo` knows them, with faults that a test switches on."""

    def __init__(self) -> None:
        self.resumes: dict[str, dict[str, Any]] = {}
        self.talents: dict[str, dict[str, Any]] = {}
        self.starting: list[int | None] = []
        self.refuse: int | None = None

    def handle(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token"
        if self.starting:
            status = self.starting.pop(0)
            if status is None:
                raise httpx.ConnectError("not there yet")
            if status != 200:
                return httpx.Response(status)
        if self.refuse:
            problem = {"type": "urn:x", "title": "No", "status": self.refuse, "detail": "Because."}
            return httpx.Response(self.refuse, json=problem)
        kind, _, found = request.url.path.removeprefix("/api/v1/").partition("/")
        if request.method == "POST":
            return self._upload(request)
        store = self.resumes if kind == "resumes" else self.talents
        if request.method == "DELETE":
            assert kind == "resumes" or request.headers["if-match"] == "*"
            return httpx.Response(204 if store.pop(found, None) else 404)
        return self._page(request, [*store.values()], demo_only=kind == "talents")

    def _upload(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        assert b'name="source"\r\n\r\ndemo\r\n' in body
        found = re.search(rb'filename="([^"]+)"', body)
        assert found is not None
        name = found[1].decode()
        for resume in self.resumes.values():
            if resume["file_name"] == name:
                return httpx.Response(200, json=resume)
        self.add(name, "demo")
        return httpx.Response(201, json={})

    def add(self, name: str, source: str) -> None:
        """Store a résumé and its talent."""
        at = "2026-01-01T00:00:00Z"
        resume, talent = str(uuid.uuid4()), str(uuid.uuid4())
        self.talents[talent] = {
            "id": talent,
            "version": 1,
            "full_name": name,
            "source": {"type": source, "ref": resume},
            "created_at": at,
            "updated_at": at,
        }
        self.resumes[resume] = {
            "id": resume,
            "talent_id": talent,
            "file_name": name,
            "media_type": "text/plain",
            "size": 1,
            "sha256": "0",
            "source": source,
            "created_at": at,
        }

    def _page(self, request: httpx.Request, rows: list[dict[str, Any]], *, demo_only: bool) -> httpx.Response:
        if demo_only and request.url.params.get("source"):
            rows = [row for row in rows if row["source"]["type"] == request.url.params["source"]]
        # Small pages, so that following the cursor is part of every test.
        start = int(request.url.params.get("cursor", "0"))
        more = str(start + 5) if len(rows) > start + 5 else None
        return httpx.Response(
            200, content=json.dumps({"items": rows[start : start + 5], "next_cursor": more})
        )


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def client(api: FakeApi) -> DemoClient:
    http = httpx.Client(base_url="http://looma.test", transport=httpx.MockTransport(api.handle))
    return DemoClient(http, token=lambda: "token", wait_seconds=5, pause_seconds=0.01)


def test_loading_twice_is_loading_once(api: FakeApi, client: DemoClient) -> None:
    assert load_people(client) == len(PEOPLE)
    assert load_people(client) == 0
    assert len(api.resumes) == len(api.talents) == len(PEOPLE)


def test_a_person_who_was_deleted_alone_is_offered_again(api: FakeApi, client: DemoClient) -> None:
    load_people(client)
    resume = next(iter(api.resumes.values()))
    del api.talents[resume["talent_id"]]
    del api.resumes[resume["id"]]
    assert load_people(client) == 1


def test_removing_takes_the_made_up_people_and_nobody_else(api: FakeApi, client: DemoClient) -> None:
    api.add("real.pdf", "resume")
    load_people(client)
    assert remove_people(client) == len(PEOPLE)
    assert [resume["file_name"] for resume in api.resumes.values()] == ["real.pdf"]
    assert [talent["full_name"] for talent in api.talents.values()] == ["real.pdf"]
    assert remove_people(client) == 0


def test_it_waits_while_the_engines_start(api: FakeApi, client: DemoClient) -> None:
    # Of the two reads that ask whether the engines are there, of the lists, and of the first upload.
    api.starting = [None, 404, 200, 503, 200, 502, 200, 200, 202, 503]
    assert load_people(client) == len(PEOPLE)
    assert api.starting == []


@pytest.mark.parametrize(("status", "said"), [(403, "403 No. Because."), (422, "422 No. Because.")])
def test_a_refusal_is_told_and_not_repeated(api: FakeApi, client: DemoClient, status: int, said: str) -> None:
    api.refuse = status
    with pytest.raises(ApiError, match=re.escape(said)):
        load_people(client)


def test_an_api_that_never_comes_ends_the_wait(api: FakeApi) -> None:
    api.starting = [503] * 1000
    http = httpx.Client(base_url="http://looma.test", transport=httpx.MockTransport(api.handle))
    with pytest.raises(ApiError, match="status 503"):
        load_people(DemoClient(http, token=lambda: "token", wait_seconds=0.2, pause_seconds=0.01))
