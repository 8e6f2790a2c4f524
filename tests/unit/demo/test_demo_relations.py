"""The demonstration relations: between people, companies and jobs that there are, right, in and out through the API."""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import Any

import httpx
import msgspec
import pytest

from looma_core.api.relation import OBJECTS, RelationDraft
from looma_engines.demo.client import ApiError, DemoClient
from looma_engines.demo.documents import document_of
from looma_engines.demo.main import PEOPLE, load_relations, remove_employers
from looma_engines.demo.relations import BONDS
from looma_engines.demo.vacancies import EMPLOYERS
from looma_engines.talent_sync.kinds import tidy_relation
from looma_engines.talent_sync.quality.assessing import assess
from looma_engines.talent_sync.quality.chains import find_cycle
from looma_engines.talent_sync.relations import RELATIONS

SLUGS = {
    "other_talent_id": {person.slug for person in PEOPLE},
    "company_id": {employer.company.source.ref for employer in EMPLOYERS},
    "job_id": {job.source.ref for employer in EMPLOYERS for job in employer.jobs},
}
ONE, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.mark.parametrize("bond", BONDS, ids=lambda bond: f"{bond.person} {bond.kind} {bond.other}")
def test_each_is_right_and_leads_to_what_there_is(bond) -> None:
    assert bond.person in SLUGS["other_talent_id"]
    assert bond.other in SLUGS[OBJECTS[bond.kind]]
    draft = bond.draft(person=ONE, other=OTHER)
    assert (
        msgspec.json.decode(msgspec.json.encode(draft), type=RelationDraft) == draft == tidy_relation(draft)
    )
    found = assess(draft, today=date(2026, 11, 27), rules=RELATIONS.rules)
    assert (found.score, found.findings) == (100, [])


def test_together_they_are_of_many_kinds_and_close_no_circle() -> None:
    assert {OBJECTS[bond.kind] for bond in BONDS} == set(SLUGS)
    assert len({(bond.person, bond.kind, bond.other) for bond in BONDS}) == len(BONDS)
    edges = [(bond.person, bond.other) for bond in BONDS if bond.kind in ("referred_by", "reports_to")]
    assert all(find_cycle([other for other in edges if other != edge], edge) is None for edge in edges)


class FakeApi:
    """People with their résumés, companies, jobs and relations as far as `looma-demo` knows them."""

    def __init__(self) -> None:
        source = {"type": "demo", "ref": None}
        self.items: dict[str, list[dict[str, Any]]] = {"talents": [], "resumes": [], "relations": []}
        for number, person in enumerate(PEOPLE, start=1):
            talent = str(uuid.UUID(int=number))
            times = {"created_at": "2026-11-27T00:00:00Z", "updated_at": "2026-11-27T00:00:00Z"}
            self.items["talents"].append(
                {"id": talent, "full_name": person.name, "version": 1, "source": source, **times}
            )
            self.items["resumes"].append(
                {
                    "id": talent,
                    "talent_id": talent,
                    "file_name": document_of(person).name,
                    "media_type": "text/plain",
                    "size": 1,
                    "sha256": "0" * 64,
                    "source": "demo",
                    "created_at": times["created_at"],
                }
            )
        for kind, slugs in (("companies", SLUGS["company_id"]), ("jobs", SLUGS["job_id"])):
            self.items[kind] = [
                {"id": str(uuid.uuid5(ONE, slug)), "source": {"type": "demo", "ref": slug}} for slug in slugs
            ]
        self.kept: set[str] = set()

    def handle(self, request: httpx.Request) -> httpx.Response:
        kind, *rest = request.url.path.removeprefix("/api/v1/").split("/")
        if request.method == "GET":
            return httpx.Response(200, json={"items": self.items[kind], "next_cursor": None})
        if request.method == "DELETE":
            status = 409 if rest[0] in self.kept else 204
            if status == 204:
                self.items[kind] = [item for item in self.items[kind] if item["id"] != rest[0]]
            return httpx.Response(status, json={"type": "about:blank", "title": "Kept", "status": status})
        body = json.loads(request.content)
        for item in self.items[kind]:
            if item["source"] == body["source"]:
                return httpx.Response(200, json=item)
        made = {**body, "id": str(uuid.uuid4())}
        self.items[kind].append(made)
        return httpx.Response(201, json=made)


def client_of(api: FakeApi) -> DemoClient:
    http = httpx.Client(base_url="http://looma", transport=httpx.MockTransport(api.handle))
    return DemoClient(http, token=lambda: "t", wait_seconds=1, pause_seconds=0.01)


def test_they_come_once_with_the_ids_of_their_ends() -> None:
    api = FakeApi()
    assert load_relations(client_of(api)) == len(BONDS)
    assert load_relations(client_of(api)) == 0, "loading again adds nothing"
    ids = {person.slug: str(uuid.UUID(int=number)) for number, person in enumerate(PEOPLE, start=1)}
    ids |= {item["source"]["ref"]: item["id"] for kind in ("companies", "jobs") for item in api.items[kind]}
    sent = {item["source"]["ref"]: item for item in api.items["relations"]}
    for bond in BONDS:
        item = sent[f"{bond.person}/{bond.kind}/{bond.other}"]
        assert (item["talent_id"], item[OBJECTS[bond.kind]]) == (ids[bond.person], ids[bond.other])


def test_who_was_deleted_by_hand_has_none_and_others_have_theirs() -> None:
    api = FakeApi()
    gone = BONDS[0].person
    api.items["talents"] = [
        item for item, person in zip(api.items["talents"], PEOPLE, strict=True) if person.slug != gone
    ]
    expected = [bond for bond in BONDS if gone not in (bond.person, bond.other)]
    assert 0 < len(expected) < len(BONDS)
    assert load_relations(client_of(api)) == len(expected)


def test_a_company_that_is_still_needed_stays_and_all_else_goes() -> None:
    api = FakeApi()
    needed = api.items["companies"][0]
    api.kept = {needed["id"]}
    assert remove_employers(client_of(api)) == len(SLUGS["company_id"]) + len(SLUGS["job_id"]) - 1
    assert (api.items["companies"], api.items["jobs"]) == ([needed], [])
    api.kept = set()
    api.handle = lambda _: httpx.Response(403, json={"type": "about:blank", "title": "No", "status": 403})  # type: ignore[method-assign]
    with pytest.raises(ApiError, match="403"):
        remove_employers(client_of(api))
