"""The section about relations on the pages of people, companies and jobs, before a fake engine over real HTTP."""

from __future__ import annotations

import json
import re
import typing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.relations.forms import at_fields, line_of, new_document, other_end
from looma_console.relations.words import COMPANIES, ENDS, JOBS, OF_OTHER, OF_PERSON, PEOPLE
from looma_console.web.permissions import Role
from looma_core.api.relation import OBJECTS, RelationDraft, RelationKind
from looma_core.problems import FieldError

ADA = "019a0000-0000-7000-8000-000000000001"
BEN = "019a0000-0000-7000-8000-000000000002"
FIRM = "019a0000-0000-7000-8000-000000000003"
POST = "019a0000-0000-7000-8000-000000000004"
RELATION = "019a0000-0000-7000-8000-000000000005"
NOW = "2026-11-20T10:00:00Z"
META = {"version": 3, "source": {"type": "manual", "ref": None}, "created_at": NOW, "updated_at": NOW}
PERSON = {"id": ADA, "full_name": "Ada Example", "language": "en", **META}
COMPANY = {"id": FIRM, "name": "Harbour <Ltd>", "aliases": [], "language": "en", **META}
JOB = {"id": POST, "title": "Data Engineer", "status": "open", "skills": [], "language": "en", **META}
HTMX = {"HX-Request": "true"}


def relation(kind: str = "works_at", **changes: Any) -> dict[str, Any]:
    ends = dict.fromkeys(("company_id", "job_id", "other_talent_id"))
    names = dict.fromkeys(("company_name", "job_title", "other_talent_name"))
    ends[OBJECTS[kind]] = {"company_id": FIRM, "job_id": POST, "other_talent_id": BEN}[OBJECTS[kind]]
    names |= {"company_name": "Harbour <Ltd>", "job_title": "Data Engineer", "other_talent_name": "Ben"}
    plain = {"title": None, "starts_on": "2020-03-01", "ends_on": None, "note": None}
    return {"id": RELATION, "kind": kind, "talent_id": ADA, "talent_name": "Ada Example"} | (
        ends | names | plain | META | changes
    )


def listed(engine, *relations: dict[str, Any]) -> None:
    engine.on("GET", "/api/v1/relations", {"items": list(relations), "next_cursor": None})


@pytest.fixture
def recruiter(signed_in, engine):
    for kind, document in (("talents", PERSON), ("companies", COMPANY), ("jobs", JOB)):
        engine.on("GET", f"/api/v1/{kind}", {"items": [document], "next_cursor": None})
        engine.on("GET", f"/api/v1/{kind}/{document['id']}", document)
    engine.on("GET", "/api/v1/resumes", {"items": [], "next_cursor": None})
    listed(engine, relation(title="Engineer", note="By phone"))
    return signed_in(Role.RECRUITER)


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def section(page: str) -> str:
    found = re.search(r'<section class="card relations".*?</section>', page, flags=re.DOTALL)
    return found[0] if found else ""


def sent(engine, method: str) -> tuple[Any, Any]:
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def test_each_kind_has_words_from_both_ends_and_can_be_added_from_them() -> None:
    kinds = set(typing.get_args(RelationKind))
    assert set(OF_PERSON) == set(OF_OTHER) == set(OBJECTS) == kinds
    assert set(PEOPLE.adds) == kinds
    for end in (COMPANIES, JOBS):
        assert set(end.adds) == {kind for kind, field in OBJECTS.items() if field == end.field}


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_form_is_a_whole_draft_from_each_of_its_pages(kind) -> None:
    chosen = {"kind": kind, "object": BEN, "starts_on": "2020-01-01", "ends_on": "", "note": "a\r\nb"}
    document = new_document(PEOPLE, UUID(ADA), chosen)
    assert document == {
        "kind": kind,
        "talent_id": ADA,
        OBJECTS[kind]: BEN,
        "starts_on": "2020-01-01",
        "note": "a\nb",
    }
    assert set(document) <= set(RelationDraft.__struct_fields__)
    end = other_end(PEOPLE, kind)
    if end is not PEOPLE:
        assert new_document(end, UUID(FIRM), {"kind": kind, "object": ADA}) == {
            "kind": kind,
            end.field: FIRM,
            "talent_id": ADA,
        }
        assert other_end(end, kind) is PEOPLE


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_relation_reads_from_both_ends(kind) -> None:
    found = relation(kind)
    line = line_of(found, seen_from=UUID(ADA))
    assert (line.word, line.other_id) == (OF_PERSON[kind], found[OBJECTS[kind]])
    assert line.end is other_end(PEOPLE, kind)
    back = line_of(found, seen_from=UUID(found[OBJECTS[kind]]))
    assert (back.word, back.other_id, back.other_name) == (OF_OTHER[kind], ADA, "Ada Example")
    assert back.end is PEOPLE


def test_what_is_wrong_with_the_chosen_end_stands_at_its_field() -> None:
    errors = [FieldError("company_id", "a"), FieldError("talent_id", "b"), FieldError("starts_on", "c")]
    assert at_fields(PEOPLE, "works_at", errors) == {"object": "a", "talent_id": "b", "starts_on": "c"}
    assert at_fields(COMPANIES, "works_at", errors) == {"company_id": "a", "object": "b", "starts_on": "c"}


def test_a_person_shows_relations_of_both_ends(recruiter, engine) -> None:
    page = section(text(recruiter.get(f"/people/{ADA}")))
    asked = [dict(request.args) for request, _ in engine.seen if request.path == "/api/v1/relations"]
    assert [set(args) - {"sort", "limit"} for args in asked] == [{"talent_id"}, {"other_talent_id"}]
    assert f'<a href="/companies/{FIRM}">Harbour &lt;Ltd&gt;</a> · Engineer' in page
    assert "2020-03-01 – …" in page
    assert "By phone" in page
    assert 'name="version" value="3"' in page


@pytest.mark.parametrize(("kind", "word"), [("works_at", "Works here"), ("hired_for", "Hired")])
def test_a_company_and_a_job_show_their_people(recruiter, engine, kind, word) -> None:
    end = other_end(PEOPLE, kind)
    record_id = FIRM if end is COMPANIES else POST
    listed(engine, relation(kind))
    page = section(text(recruiter.get(f"/{end.page}/{record_id}")))
    request = next(item for item, _ in reversed(engine.seen) if item.path == "/api/v1/relations")
    assert request.args[end.field] == record_id
    assert word in page
    assert f'<a href="/people/{ADA}">Ada Example</a>' in page


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_a_sync_brought_is_shown_at_both_ends_and_can_be_ended(recruiter, engine, kind) -> None:
    brought = relation(kind, source={"type": "sync", "ref": "crm-relations:r-<1>"})
    listed(engine, brought)
    engine.on("PATCH", f"/api/v1/relations/{RELATION}", {**brought, "version": 4})
    ends = {"company_id": f"/companies/{FIRM}", "job_id": f"/jobs/{POST}"}
    for here in (f"/people/{ADA}", ends.get(OBJECTS[kind], f"/people/{ADA}")):
        answer = recruiter.get(here)
        assert answer.status_code == 200
        assert f'action="{here}/relations/{RELATION}"' in section(text(answer))
        done = recruiter.post(f"{here}/relations/{RELATION}", {"version": "3", "ends_on": "2024-01-31"})
        assert (done.status_code, done.headers["Location"]) == (303, f"{here}#relations")


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_relation_leads_to_the_person_whom_it_is_about(recruiter, engine, kind) -> None:
    engine.on("GET", f"/api/v1/relations/{RELATION}", relation(kind))
    answer = recruiter.get(f"/relations/{RELATION}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/people/{ADA}#relations")


@pytest.mark.parametrize(
    ("problem", "status", "words"),
    [("not-found", 404, "That is not there, or not any more."), ("not-ready", 503, "is not ready")],
)
def test_a_relation_that_is_not_found_leads_nowhere_and_says_why(
    recruiter, engine, problem, status, words
) -> None:
    engine.problem("GET", f"/api/v1/relations/{RELATION}", problem, status)
    answer = recruiter.get(f"/relations/{RELATION}")
    assert answer.status_code == status
    assert words in text(answer)


def test_a_page_is_whole_where_the_engine_knows_no_relations_or_is_away(recruiter, engine) -> None:
    engine.problem("GET", "/api/v1/relations", "not-found", 404)
    page = recruiter.get(f"/people/{ADA}")
    assert (page.status_code, section(text(page))) == (200, "")
    engine.problem("GET", "/api/v1/relations", "not-ready", 503)
    page = recruiter.get(f"/people/{ADA}")
    assert page.status_code == 200
    assert "The service is not ready." in section(text(page))


def test_one_is_added_once_and_written_down(recruiter, engine, parts) -> None:
    engine.on("POST", "/api/v1/relations", relation(), 201)
    form = {
        "key": "k" * 32,
        "kind": "works_at",
        "object": FIRM,
        "title": "Engineer",
        "ends_on": "",
        "q": "har",
    }
    answer = recruiter.post(f"/people/{ADA}/relations", form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/people/{ADA}#relations")
    request, body = sent(engine, "POST")
    assert body == {"kind": "works_at", "talent_id": ADA, "company_id": FIRM, "title": "Engineer"}
    assert request.headers["Idempotency-Key"] == "k" * 32
    answer = recruiter.post(f"/jobs/{POST}/relations", {"kind": "applied_to", "object": ADA}, headers=HTMX)
    assert answer.status_code == 200
    assert text(answer).lstrip().startswith('<section class="card relations"'), "htmx gets the section alone"
    assert "Saved." in text(answer)
    assert sent(engine, "POST")[1] == {"kind": "applied_to", "talent_id": ADA, "job_id": POST}
    with parts.db.transaction() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "create-relation")).all()
    assert [(entry.object, entry.detail) for entry in entries] == [
        (f"relation/{RELATION}", {"version": 3})
    ] * 2


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_the_engine_refuses_stands_at_its_field_and_nothing_is_lost(recruiter, engine, headers) -> None:
    errors = [
        {"field": "other_talent_id", "message": "closes a circle: Ada → Ben → Ada"},
        {"field": "starts_on", "message": "write a day"},
    ]
    engine.problem(
        "POST", "/api/v1/relations", "validation", 422, errors=errors, detail="Look at the fields."
    )
    engine.on("GET", f"/api/v1/talents/{BEN}", PERSON | {"id": BEN, "full_name": "Ben"})
    form = {"key": "k", "kind": "reports_to", "object": BEN, "starts_on": "1800-01-01", "note": "Kept"}
    answer = recruiter.post(f"/people/{ADA}/relations", form, headers=headers)
    assert answer.status_code == 422
    page = section(text(answer))
    assert 'id="relation-object-errors">closes a circle: Ada → Ben → Ada<' in page
    assert 'id="relation-starts_on-errors">write a day<' in page
    assert 'aria-describedby="relation-starts_on-errors"' in page
    assert f'<option value="{BEN}" selected>Ben</option>' in page
    assert '<option value="reports_to" selected>' in page
    assert 'value="Kept"' in page
    assert 'name="key" value="k"' in page
    engine.problem(
        "POST", "/api/v1/relations", "conflict", 409, detail="This relation is there already, as x."
    )
    answer = recruiter.post(f"/people/{ADA}/relations", form, headers=headers)
    assert answer.status_code == 409
    assert "This relation is there already, as x." in section(text(answer))


def test_the_last_day_is_changed_and_a_stale_change_is_told(recruiter, engine, parts) -> None:
    where = f"/companies/{FIRM}/relations/{RELATION}"
    engine.on("PATCH", f"/api/v1/relations/{RELATION}", relation(version=4))
    answer = recruiter.post(where, {"version": "3", "ends_on": "2024-01-31"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/companies/{FIRM}#relations")
    request, body = sent(engine, "PATCH")
    assert (request.headers["If-Match"], body) == ('"3"', {"ends_on": "2024-01-31"})
    recruiter.post(where, {"version": "3", "ends_on": " "})
    assert sent(engine, "PATCH")[1] == {"ends_on": None}
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "change-relation")).first()
        assert entry.detail == {"fields": ["ends_on"], "version": 4}
    engine.problem("PATCH", f"/api/v1/relations/{RELATION}", "precondition-failed", 412)
    answer = recruiter.post(where, {"version": "2", "ends_on": "2024-01-31"}, headers=HTMX)
    assert answer.status_code == 412
    assert "Somebody else changed this" in text(answer)
    errors = [{"field": "ends_on", "message": "lies before 2020-03-01"}]
    engine.problem("PATCH", f"/api/v1/relations/{RELATION}", "validation", 422, errors=errors)
    page = text(recruiter.post(where, {"version": "3", "ends_on": "2019-01-01"}, headers=HTMX))
    assert f'id="ends-{RELATION}-errors">lies before 2020-03-01<' in page
    assert 'value="2019-01-01"' in page
    assert "relation-ends_on-errors" not in page, "the form for a new one has no part in it"


def test_a_deletion_names_its_version(recruiter, engine, parts) -> None:
    where = f"/people/{ADA}/relations/{RELATION}/delete"
    engine.on("DELETE", f"/api/v1/relations/{RELATION}", {}, 200)
    answer = recruiter.post(where, {"version": "3"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/people/{ADA}#relations")
    assert sent(engine, "DELETE")[0].headers["If-Match"] == '"3"'
    assert "Deleted." in text(recruiter.post(where, {"version": "3"}, headers=HTMX))
    with parts.db.transaction() as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "delete-relation")).first()
    engine.problem("DELETE", f"/api/v1/relations/{RELATION}", "precondition-failed", 412)
    assert recruiter.post(where, {"version": "2"}).status_code == 412


def test_the_other_end_is_looked_for_by_words(recruiter, engine) -> None:
    page = text(recruiter.get(f"/people/{ADA}/relations/choices?kind=works_at&q=har"))
    request, _ = sent(engine, "GET")
    assert (request.path, request.args["q"]) == ("/api/v1/companies", "har")
    assert f'<option value="{FIRM}">Harbour &lt;Ltd&gt;</option>' in page
    assert "<html" not in page
    page = text(recruiter.get(f"/people/{ADA}/relations/choices?kind=knows"))
    assert ADA not in page, "nobody knows himself"
    page = text(recruiter.get(f"/jobs/{POST}/relations/choices?kind=applied_to&q="))
    assert f'<option value="{ADA}">Ada Example</option>' in page
    page = text(recruiter.get(f"/jobs/{POST}/relations/choices?kind=works_at"))
    assert "Ada" not in page, "at a job nobody works"
    whole = text(recruiter.get(f"/people/{ADA}/relations?kind=hired_for&q=data&note=Soon"))
    assert "<html" in whole, "without scripts the same form asks for the page"
    assert f'<option value="{POST}">Data Engineer</option>' in section(whole)
    assert 'value="Soon"' in section(whole)


def test_who_may_not_read_people_reads_and_changes_no_relations(signed_in, engine) -> None:
    operator = signed_in(Role.OPERATOR)
    for path in (
        f"/people/{ADA}/relations",
        f"/jobs/{POST}/relations",
        f"/people/{ADA}/relations/choices?kind=knows",
        f"/relations/{RELATION}",
    ):
        assert operator.get(path).status_code == 403
    for path in ("", f"/{RELATION}", f"/{RELATION}/delete"):
        assert operator.post(f"/people/{ADA}/relations{path}", {"version": "1"}).status_code == 403
    assert not [request for request, _ in engine.seen if "relations" in request.path]


def test_the_section_speaks_chinese(recruiter) -> None:
    page = section(text(recruiter.get(f"/people/{ADA}", headers={"Accept-Language": "zh-CN"})))
    assert "任职于" in page
    assert "添加关系" in page
    assert set(ENDS) == {"people", "companies", "jobs"}
