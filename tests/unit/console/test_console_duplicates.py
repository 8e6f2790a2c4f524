"""The pages about people who may be there twice, before a fake engine over real HTTP."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.duplicates.messages import FIELDS, REASONS
from looma_console.duplicates.operations import asked_of
from looma_console.web.permissions import Role
from looma_engines.talent_sync.duplicates.review import SAYS

PAIR = "019a0000-0000-7000-8000-000000000001"
ONE = "019a0000-0000-7000-8000-000000000002"
OTHER = "019a0000-0000-7000-8000-000000000003"
MERGE = "019a0000-0000-7000-8000-000000000004"
NOW = "2026-11-20T10:00:00Z"
ITEM: dict[str, Any] = {
    "id": PAIR,
    "verdict": "certain",
    "weight": 14.5,
    "status": "open",
    "people": [
        {"id": ONE, "full_name": "Ada <b>", "headline": "Analyst", "location": None},
        {"id": OTHER, "full_name": "Ada L.", "headline": None, "location": "London"},
    ],
    "created_at": NOW,
    "updated_at": NOW,
}


def talent(number: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "version": version,
        "full_name": "Ada <b>",
        "source": {"type": "manual", "ref": None},
        "created_at": NOW,
        "updated_at": NOW,
        **more,
    }


DETAIL = {
    **ITEM,
    "records": [
        talent(ONE, 3, email="ada@mail.example", skills=["Go"]),
        talent(OTHER, 5, experience=[{"company": "Harbour", "title": "Engineer"}]),
    ],
    "reasons": [
        {"field": "email", "outcome": "same", "weight": 12.3, "says": "The address of mail is the same."},
        {"field": "location", "outcome": "unheard", "weight": -1.3, "says": "Something new."},
    ],
}
MERGED = {
    "id": MERGE,
    "duplicate_id": PAIR,
    "kept": ONE,
    "other": OTHER,
    "changed": ["skills"],
    "relations": [{"id": OTHER, "fate": "doubled"}],
    "merged_at": NOW,
    "merged_by": "ada",
}


@pytest.fixture
def recruiter(signed_in, engine):
    engine.on("GET", "/api/v1/duplicates", {"items": [ITEM], "next_cursor": "next-page"})
    engine.on("GET", f"/api/v1/duplicates/{PAIR}", DETAIL)
    return signed_in(Role.RECRUITER)


def sent(engine, method: str) -> tuple[Any, Any]:
    """The last request of that method, and its body."""
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def noted(parts, action: str) -> AuditEntry:
    with parts.db.transaction() as session:
        return session.scalars(select(AuditEntry).where(AuditEntry.action == action)).one()


def test_every_reason_of_the_engine_has_its_words() -> None:
    told = {f"{'full_name' if field == 'name' else field}.{outcome}" for field, outcome in SAYS}
    assert told == set(REASONS)


def test_what_waits_is_listed_first(recruiter, engine) -> None:
    answer = recruiter.get("/people/duplicates")
    page = text(answer)
    assert answer.status_code == 200
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"status": "open", "limit": "20"}
    assert "Ada &lt;b&gt;" in page
    assert "status=open&amp;verdict=&amp;cursor=next-page" in page
    recruiter.get("/people/duplicates?status=all&verdict=likely")
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"verdict": "likely", "limit": "20"}


def test_two_are_shown_side_by_side_with_the_reasons(recruiter) -> None:
    page = text(recruiter.get(f"/people/duplicates/{PAIR}"))
    assert "The address is the same." in page
    assert "Something new." in page, "a reason that the console does not know is told in the engine's words"
    assert "Engineer · Harbour" in page
    assert "ada@mail.example" in page
    for name in FIELDS:
        assert f'name="take-{name}"' in page
    labels = set(re.findall(r'name="(first|second)-version" value="(\d)"', page))
    assert labels == {("first", "3"), ("second", "5")}


def test_a_choice_becomes_a_merge(recruiter, engine, parts) -> None:
    engine.on("POST", f"/api/v1/duplicates/{PAIR}/merge", MERGED)
    form = {
        "keep": "second",
        "first-id": ONE,
        "first-version": "3",
        "second-id": OTHER,
        "second-version": "5",
        "take-email": "first",
        "take-headline": "second",
        "take-skills": "both",
        "take-phone": "both",
        "take-summary": "",
    }
    answer = recruiter.post(f"/people/duplicates/{PAIR}/merge", form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/people/duplicates/{PAIR}")
    _, body = sent(engine, "POST")
    assert body == {
        "keep": OTHER,
        "keep_version": 5,
        "other_version": 3,
        "fields": {"email": "other", "headline": "keep", "skills": "both"},
    }
    entry = noted(parts, "merge-people")
    assert (entry.object, entry.detail) == (
        f"merge/{MERGE}",
        {"kept": ONE, "other": OTHER, "fields": ["skills"]},
    )


def test_a_form_without_numbers_is_refused_by_the_engine_and_not_here() -> None:
    assert asked_of({}) == {"keep": "", "keep_version": 0, "other_version": 0, "fields": {}}


def test_a_refused_merge_says_why(recruiter, engine) -> None:
    errors = [{"field": "fields.email", "message": "is no list"}]
    engine.problem("POST", f"/api/v1/duplicates/{PAIR}/merge", "validation", 422, errors=errors)
    answer = recruiter.post(f"/people/duplicates/{PAIR}/merge", {})
    assert answer.status_code == 422
    assert "<strong>Email</strong> is no list" in text(answer)


def test_two_people_stay_two(recruiter, engine, parts) -> None:
    engine.on("POST", f"/api/v1/duplicates/{PAIR}/dismiss", {**ITEM, "status": "dismissed"})
    assert recruiter.post(f"/people/duplicates/{PAIR}/dismiss").status_code == 303
    assert noted(parts, "dismiss-duplicate").object == f"duplicate/{PAIR}"


def test_a_merge_is_shown_and_undone(recruiter, engine, parts) -> None:
    gone = {**DETAIL, "status": "merged", "merge_id": MERGE, "records": DETAIL["records"][:1], "reasons": []}
    engine.on("GET", f"/api/v1/duplicates/{PAIR}", gone)
    engine.on("GET", f"/api/v1/merges/{MERGE}", MERGED)
    page = text(recruiter.get(f"/people/duplicates/{PAIR}"))
    assert "was there already" in page
    assert 'name="force"' not in page
    errors = [{"field": "location", "message": "was changed since the merge"}]
    engine.problem("POST", f"/api/v1/merges/{MERGE}/undo", "conflict", 409, errors=errors)
    refused = recruiter.post(f"/people/duplicates/{PAIR}/undo/{MERGE}")
    assert refused.status_code == 409
    assert 'name="force"' in text(refused)
    engine.on("POST", f"/api/v1/merges/{MERGE}/undo", {**MERGED, "undone_at": NOW})
    assert recruiter.post(f"/people/duplicates/{PAIR}/undo/{MERGE}", {"force": "yes"}).status_code == 303
    _, body = sent(engine, "POST")
    assert body == {"force": True}
    assert noted(parts, "undo-merge").detail == {"kept": ONE, "other": OTHER, "force": True}


@pytest.mark.parametrize(
    ("items", "where"),
    [
        ([], f"/people/{ONE}"),
        ([{**ITEM, "status": "dismissed"}], f"/people/{ONE}"),
        ([ITEM], f"/people/duplicates/{PAIR}"),
        ([ITEM, ITEM], "/people/duplicates"),
    ],
)
def test_one_person_is_looked_for_at_once(recruiter, engine, items: list[Any], where: str) -> None:
    engine.on("POST", "/api/v1/duplicates/look", {"items": items, "next_cursor": None})
    answer = recruiter.post(f"/people/{ONE}/duplicates")
    assert (answer.status_code, answer.headers["Location"]) == (303, where)
    _, body = sent(engine, "POST")
    assert body == {"talent_id": ONE}


def test_what_is_not_there(recruiter, engine) -> None:
    engine.problem("GET", f"/api/v1/duplicates/{ONE}", "not-found", 404)
    assert recruiter.get(f"/people/duplicates/{ONE}").status_code == 404
    engine.problem("POST", "/api/v1/duplicates/look", "validation", 422)
    assert recruiter.post(f"/people/{ONE}/duplicates").status_code == 422


def test_only_who_recruits_sees_them(signed_in) -> None:
    assert signed_in(Role.OPERATOR).get("/people/duplicates").status_code == 403
