"""The demonstration companies and jobs: both languages, whole records, in and out through the API."""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import Any

import httpx
import msgspec
import pytest

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft
from looma_engines.demo.client import ApiError, DemoClient
from looma_engines.demo.main import load_employers, remove_employers
from looma_engines.demo.vacancies import EMPLOYERS
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.quality.assessing import assess

ALL = [(COMPANIES, employer.company) for employer in EMPLOYERS] + [
    (JOBS, msgspec.structs.replace(job, company_name=employer.company.name))
    for employer in EMPLOYERS
    for job in employer.jobs
]


def test_there_are_enough_in_both_languages() -> None:
    for kind in (CompanyDraft, JobDraft):
        languages = [draft.language for _, draft in ALL if isinstance(draft, kind)]
        assert min(languages.count("en"), languages.count("zh")) >= 2
    assert len({draft.source.ref for _, draft in ALL}) == len(ALL)
    assert {draft.source.type for _, draft in ALL} == {"demo"}


@pytest.mark.parametrize(
    ("entity", "draft"), ALL, ids=lambda value: getattr(getattr(value, "source", None), "ref", "")
)
def test_each_is_a_whole_record_that_fits_its_own_types(entity: Any, draft: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(draft), type=type(draft)) == draft
    found = assess(draft, today=date(2026, 11, 27), rules=entity.rules)
    assert found.score >= 90, found
    assert not [finding for finding in found.findings if finding.severity != "warning"]
    assert entity.tidy(draft) == draft
    website = getattr(draft, "website", None)
    assert website is None or website.endswith(".example.org"), "kept for examples by RFC 2606"


class FakeApi:
    """Companies and jobs as far as `looma-demo` knows them."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, dict[str, Any]]] = {"companies": {}, "jobs": {}}
        self.missing_for = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        kind, *rest = request.url.path.removeprefix("/api/v1/").split("/")
        known = self.records.get(kind)
        if known is None:
            return httpx.Response(200, json={"items": [], "next_cursor": None})
        if self.missing_for:
            self.missing_for -= 1
            return httpx.Response(404, json={"type": "about:blank", "title": "Not found", "status": 404})
        if request.method == "POST":
            return self._create(kind, json.loads(request.content))
        if request.method == "DELETE":
            assert request.headers["If-Match"] == "*"
            return httpx.Response(204 if known.pop(rest[0], None) else 404, json={})
        mine = [
            record for record in known.values() if record["source"]["type"] == request.url.params["source"]
        ]
        return httpx.Response(200, json={"items": mine, "next_cursor": None})

    def _create(self, kind: str, body: dict[str, Any]) -> httpx.Response:
        for record in self.records[kind].values():
            if record["source"] == body["source"]:
                return httpx.Response(200, json=record)
        if kind == "jobs" and body["company_id"] not in self.records["companies"]:
            return httpx.Response(422, json={"type": "about:blank", "title": "Wrong", "status": 422})
        made = {**body, "id": str(uuid.uuid4())}
        self.records[kind][made["id"]] = made
        return httpx.Response(201, json=made)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def client_of(api: FakeApi, *, wait_seconds: float = 5) -> DemoClient:
    http = httpx.Client(base_url="http://looma", transport=httpx.MockTransport(api.handle))
    return DemoClient(http, token=lambda: "t", wait_seconds=wait_seconds, pause_seconds=0.01)


def test_they_come_once_with_their_companies_and_go(api: FakeApi) -> None:
    client = client_of(api)
    assert load_employers(client) == len(ALL)
    assert load_employers(client) == 0, "loading again adds nothing"
    assert len(api.records["companies"]) + len(api.records["jobs"]) == len(ALL)
    for job in api.records["jobs"].values():
        assert job["company_name"] == api.records["companies"][job["company_id"]]["name"]
    own = {"id": "x", "title": "Own", "source": {"type": "manual", "ref": None}}
    api.records["jobs"]["x"] = own
    assert remove_employers(client) == len(ALL)
    assert api.records == {"companies": {}, "jobs": {"x": own}}


def test_a_release_that_is_not_there_yet_is_waited_for(api: FakeApi) -> None:
    api.missing_for = 3
    assert load_employers(client_of(api)) == len(ALL)
    api.missing_for = 10_000
    with pytest.raises(ApiError, match="404"):
        load_employers(client_of(api, wait_seconds=0.1))
