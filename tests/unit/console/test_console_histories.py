"""The pages of histories, before a fake engine over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.histories.told import ACTIONS, TOLD, Line, lines, shown
from looma_console.web.permissions import Role
from looma_core.api.company import CompanyFields
from looma_core.api.history import Action, FieldChange
from looma_core.api.job import JobFields
from looma_core.api.talent import TalentFields

ID = "019a0000-0000-7000-8000-000000000001"
NAMES = {
    "people": ("talents", "full_name", "Ada <Byron>"),
    "jobs": ("jobs", "title", "Data <Engineer>"),
    "companies": ("companies", "name", "Harbour <Ltd>"),
}
CREATED = {
    "version": 1,
    "action": "create",
    "at": "2026-11-20T10:00:00Z",
    "actor": None,
    "origin": "migration",
    "changes": [],
}
UPDATED = {
    "version": 2,
    "action": "update",
    "at": "2026-11-21T10:00:00Z",
    "actor": "eve<script>",
    "origin": "api",
    "changes": [{"field": "location", "before": "York", "after": "Leeds & London"}],
}


@pytest.fixture
def recruiter(signed_in, engine):
    for api, title, name in NAMES.values():
        engine.on("GET", f"/api/v1/{api}/{ID}", {"id": ID, title: name})
        page = {"items": [UPDATED, CREATED], "next_cursor": "next-page"}
        engine.on("GET", f"/api/v1/{api}/{ID}/history", page)
    return signed_in(Role.RECRUITER)


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def told(field: str, before: object, after: object, *, name: str = "jobs") -> list[tuple[str, Any, Any]]:
    change = FieldChange(field=field, before=before, after=after)
    return [(str(line.label), line.gone, line.new) for line in lines(TOLD[name], change)]


@pytest.mark.parametrize(
    ("field", "before", "after", "said"),
    [
        ("title", "a", "b", [("Job title", ("a",), ("b",))]),
        ("title", None, "b", [("Job title", (), ("b",))]),
        ("title", "a", None, [("Job title", ("a",), ())]),
        ("openings", 0, 2, [("Openings", ("0",), ("2",))]),
        ("status", "open", "closed", [("Status", ("Open",), ("Closed",))]),
        ("status", "open", "unheard-of", [("Status", ("Open",), ("unheard-of",))]),
        ("skills", ["a", "b"], ["b", "c"], [("Skills", ("a",), ("c",))]),
        ("skills", ["a", "b"], ["b", "a"], [("Skills", ("a, b",), ("b, a",))]),
        ("skills", None, ["a", "b"], [("Skills", (), ("a", "b"))]),
        ("salary", {"min": 1, "max": 3}, {"min": 2, "max": 3}, [("Salary from", ("1",), ("2",))]),
        ("salary", None, {"min": 2, "per": "year"}, [("Salary from", (), ("2",)), ("Paid", (), ("a year",))]),
        ("salary", {"min": 1}, None, [("Salary from", ("1",), ())]),
        ("source.type", None, "manual", [("Source", (), ("By hand",))]),
        ("colour", "red", "blue", [("colour", ("red",), ("blue",))]),
    ],
)
def test_a_change_is_what_is_gone_and_what_is_new(app, field, before, after, said) -> None:
    with app.test_request_context():
        assert told(field, before, after) == said


def test_of_a_life_the_entries_that_differ_are_told(app) -> None:
    first = {"title": "Analyst", "company": "Mill", "start": "2015-01", "end": None, "description": ""}
    later = {"title": "Engineer", "company": "Harbour", "start": "2019-04"}
    with app.test_request_context():
        assert told("experience", [first], [first, later], name="people") == [
            ("Jobs", (), ("Engineer · Harbour · 2019-04",))
        ]
    assert shown(first) == "Analyst · Mill · 2015-01"
    assert shown([[1, None], {"a": {"b": "c"}}]) == "1, , c"


@pytest.mark.parametrize(
    ("name", "struct"), [("people", TalentFields), ("jobs", JobFields), ("companies", CompanyFields)]
)
def test_every_field_has_a_name(name, struct) -> None:
    labels = set(TOLD[name].labels)
    named = {label.split(".")[0] for label in labels}
    assert named == {*struct.__struct_fields__, "source"}


def test_every_action_has_a_name() -> None:
    assert set(ACTIONS) == set(Action.__args__)


def test_a_line_of_nothing_is_no_text() -> None:
    (line,) = lines(TOLD["jobs"], FieldChange(field="title"))
    assert (line.gone, line.new) == ((), ())
    assert isinstance(line, Line)


@pytest.mark.parametrize("name", ["jobs", "companies"])
def test_a_records_page_leads_to_its_history(recruiter, engine, name) -> None:
    times = {"created_at": CREATED["at"], "updated_at": UPDATED["at"]}
    engine.on("GET", f"/api/v1/{name}/{ID}", {"id": ID, NAMES[name][1]: "One", "version": 2, **times})
    assert f'href="/{name}/{ID}/history"' in text(recruiter.get(f"/{name}/{ID}"))


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_who_changed_what(recruiter, engine, name) -> None:
    api, _, title = NAMES[name]
    page = text(recruiter.get(f"/{name}/{ID}/history"))
    asked = next(item for item, _ in engine.seen if item.path == f"/api/v1/{api}/{ID}/history")
    assert dict(asked.args) == {"limit": "20"}
    assert title.replace("<", "&lt;").replace(">", "&gt;") in page
    assert f'href="/{name}/{ID}"' in page
    assert "eve&lt;script&gt;" in page
    assert "<del>York</del>" in page
    assert "<ins>Leeds &amp; London</ins>" in page
    assert "by an upgrade" in page
    assert "version 2" in page
    assert f'hx-get="/{name}/{ID}/history?cursor=next-page"' in page


def test_the_page_says_what_a_sync_did(recruiter, engine) -> None:
    by_sync = {**UPDATED, "actor": "sync:looma/people", "origin": "sync"}
    engine.on("GET", f"/api/v1/talents/{ID}/history", {"items": [by_sync, CREATED], "next_cursor": None})
    page = text(recruiter.get(f"/people/{ID}/history"))
    assert 'sync:looma/people <span class="muted">by a sync</span>' in page


def test_the_next_rows_come_alone(recruiter, engine) -> None:
    engine.on("GET", f"/api/v1/jobs/{ID}/history", {"items": [CREATED], "next_cursor": None})
    rows = text(recruiter.get(f"/jobs/{ID}/history?cursor=next-page", headers={"HX-Request": "true"}))
    asked = next(item for item, _ in reversed(engine.seen) if item.path.endswith("/history"))
    assert asked.args["cursor"] == "next-page"
    assert "<table" not in rows
    assert "Created" in rows
    assert "Show more" not in rows
    whole = text(recruiter.get(f"/jobs/{ID}/history?cursor=next-page"))
    assert "<table" in whole, "without a script the link leads to a page"


def test_a_record_that_was_deleted_still_has_its_history(recruiter, engine) -> None:
    engine.problem("GET", f"/api/v1/companies/{ID}", "not-found", 404)
    deleted = UPDATED | {"version": 3, "action": "delete", "changes": []}
    engine.on("GET", f"/api/v1/companies/{ID}/history", {"items": [deleted, CREATED], "next_cursor": None})
    answer = recruiter.get(f"/companies/{ID}/history")
    assert answer.status_code == 200
    assert '<span class="badge bad">Deleted</span>' in text(answer)
    assert f'href="/companies/{ID}"' not in text(answer), "there is no page to go back to"


DELETED = UPDATED | {"version": 3, "action": "delete", "changes": []}


@pytest.fixture
def gone(recruiter, engine):
    for api, title, name in NAMES.values():
        engine.problem("GET", f"/api/v1/{api}/{ID}", "not-found", 404)
        engine.on("GET", f"/api/v1/{api}/{ID}/history", {"items": [DELETED, CREATED], "next_cursor": "more"})
        engine.on("POST", f"/api/v1/{api}/{ID}/restore", {"id": ID, "version": 4, title: name})
    return recruiter


@pytest.mark.parametrize(("name", "noted"), [("people", "talent"), ("jobs", "job"), ("companies", "company")])
def test_a_deleted_record_is_restored_where_its_history_is(gone, engine, parts, name, noted) -> None:
    here = f"/{name}/{ID}/history"
    assert f'href="{here}"' in text(gone.get(f"/{name}/{ID}")), "the page that is missing leads there"
    page = text(gone.get(here))
    assert f'action="/{name}/{ID}/restore"' in page
    assert 'name="version" value="3"' in page
    assert "/restore" not in text(gone.get(f"{here}?cursor=more")), "an older page does not say how it is now"
    form = {"version": "3", "key": "k"}
    refused = gone.post(f"/{name}/{ID}/restore", form, page=here)
    assert refused.status_code == 422
    assert "Nothing was restored." in text(refused)
    assert all(request.method == "GET" for request, _ in engine.seen)
    done = gone.post(f"/{name}/{ID}/restore", {**form, "confirmed": "yes"}, page=here)
    assert (done.status_code, done.location) == (303, f"/{name}/{ID}")
    request, body = next(item for item in reversed(engine.seen) if item[0].method == "POST")
    assert (request.headers["If-Match"], request.headers["Idempotency-Key"]) == ('"3"', "k")
    assert not body
    with parts.db.transaction() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("restore-")))
        assert (entry.object, entry.detail) == (f"{noted}/{ID}", {"version": 4})


def test_a_record_that_cannot_be_restored_stays_and_says_why(gone, engine) -> None:
    engine.problem("POST", f"/api/v1/jobs/{ID}/restore", "conflict", 409)
    form = {"version": "3", "confirmed": "yes"}
    answer = gone.post(f"/jobs/{ID}/restore", form, page=f"/jobs/{ID}/history")
    assert answer.status_code == 409
    assert 'role="alert"' in text(answer)
    assert f'action="/jobs/{ID}/restore"' in text(answer)


def test_what_is_there_is_not_restored(recruiter, signed_in, engine) -> None:
    assert "/restore" not in text(recruiter.get(f"/jobs/{ID}/history"))
    answer = signed_in(Role.ADMIN).post(f"/jobs/{ID}/restore", {"version": "3", "confirmed": "yes"})
    assert answer.status_code == 403
    assert all(request.method == "GET" for request, _ in engine.seen)


def test_an_empty_history_and_none_at_all(recruiter, engine) -> None:
    engine.on("GET", f"/api/v1/jobs/{ID}/history", {"items": [], "next_cursor": None})
    assert "No change is known any more" in text(recruiter.get(f"/jobs/{ID}/history"))
    engine.problem("GET", f"/api/v1/jobs/{ID}/history", "not-found", 404)
    missing = recruiter.get(f"/jobs/{ID}/history")
    assert missing.status_code == 404
    assert "That is not there" in text(missing)


def test_the_page_speaks_chinese(recruiter) -> None:
    page = text(recruiter.get(f"/people/{ID}/history", headers={"Accept-Language": "zh-CN,zh"}))
    for said in ("变更历史", "已创建", "版本 2", "由系统升级"):
        assert said in page


def test_who_may_not_read_people_reads_no_history(signed_in, visitor) -> None:
    operator = signed_in(Role.OPERATOR)
    assert {operator.get(f"/{name}/{ID}/history").status_code for name in NAMES} == {403}
    assert visitor.get(f"/people/{ID}/history").status_code == 302


def test_other_kinds_have_no_page(recruiter) -> None:
    assert recruiter.get(f"/resumes/{ID}/history").status_code == 404
