"""The pages about jobs and companies, before a fake engine over real HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.records.forms import field_names, new_document, patch_of, read_field, shown
from looma_console.records.kinds import COMPANIES, JOBS, KINDS, QUALITY
from looma_console.web.permissions import Role
from looma_core.api.company import CompanyFields
from looma_core.api.job import JobFields, Salary
from looma_core.api.quality import Severity
from looma_engines.talent_sync import companies, jobs

ID = "019a0000-0000-7000-8000-000000000001"
COMPANY_ID = "019a0000-0000-7000-8000-000000000002"
NOW = "2026-11-20T10:00:00Z"
META = {"version": 3, "source": {"type": "manual", "ref": None}, "created_at": NOW, "updated_at": NOW}
JOB: dict[str, Any] = {
    "id": ID,
    "title": "Data <Engineer>",
    "company_id": COMPANY_ID,
    "company_name": "Harbour",
    "status": "open",
    "location": "London",
    "workplace": "hybrid",
    "employment": None,
    "description": "Builds pipelines.",
    "skills": ["Python", "SQL"],
    "experience_years": 3,
    "degree": None,
    "salary": {"min": 60000, "max": 80000, "currency": "GBP", "per": "year"},
    "openings": 2,
    "opens_on": "2026-11-01",
    "closes_on": None,
    "language": "en",
    **META,
}
COMPANY: dict[str, Any] = {
    "id": COMPANY_ID,
    "name": "Harbour Payments Ltd",
    "aliases": ["Harbour", "港湾"],
    "registration_number": None,
    "website": "https://harbour.example",
    "industry": "Payments",
    "size": "51-200",
    "location": "London",
    "description": None,
    "language": "en",
    **META,
}
LOSSES = [{"rule": "job.employment.required", "points": 5.0, "of": 5}]
QUALITY_OF_JOB = {"score": 95, "accepted": True, "findings": [], "losses": LOSSES}


@pytest.fixture
def recruiter(signed_in, engine):
    engine.on("GET", "/api/v1/jobs", {"items": [JOB], "next_cursor": "next-page"})
    engine.on("GET", f"/api/v1/jobs/{ID}", JOB)
    engine.on("GET", f"/api/v1/jobs/{ID}/quality", QUALITY_OF_JOB)
    engine.on("GET", "/api/v1/companies", {"items": [COMPANY], "next_cursor": None})
    engine.on("GET", f"/api/v1/companies/{COMPANY_ID}", COMPANY)
    return signed_in(Role.RECRUITER)


def sent(engine, method: str) -> tuple[Any, Any]:
    """The last request of that method, and its body."""
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def text(answer: Any) -> str:
    found: str = answer.get_data(as_text=True)
    return found


def test_every_field_of_the_engine_is_in_the_form() -> None:
    for kind, struct in ((JOBS, JobFields), (COMPANIES, CompanyFields)):
        asked = {field.name for field in kind.fields}
        wanted = set(struct.__struct_fields__) - {"salary"}
        wanted |= {f"salary.{name}" for name in Salary.__struct_fields__} if kind is JOBS else set()
        assert asked == wanted


def test_each_rule_that_costs_points_has_words() -> None:
    rules = (*jobs.JOBS.rules, *companies.COMPANIES.rules)
    assert set(QUALITY) == {rule.id for rule in rules if rule.severity is Severity.WARNING}


@pytest.mark.parametrize(
    ("field", "said", "value"),
    [
        ("title", "  Data Engineer ", "Data Engineer"),
        ("title", "", None),
        ("skills", "Python, SQL，数据、 ;Go", ["Python", "SQL", "数据", "Go"]),
        ("skills", " , ", []),
        ("salary.min", "60,000", 60000),
        ("salary.min", "60 000", 60000),
        ("salary.min", "much", "much"),
        ("salary.min", "٦٠", "٦٠"),
        ("openings", "", None),
        ("description", "a\r\nb\r\n", "a\nb"),
    ],
)
def test_what_a_field_means(field, said, value) -> None:
    assert read_field(JOBS.field(field), said) == value


def test_a_form_that_changes_nothing_is_an_empty_patch() -> None:
    for kind, document in ((JOBS, JOB), (COMPANIES, COMPANY)):
        form = {field.name: shown(document, field) for field in kind.fields}
        assert patch_of(kind, document, form) == {}


def test_a_patch_has_what_differs_and_a_salary_goes_whole() -> None:
    form = {field.name: shown(JOB, field) for field in JOBS.fields}
    changed = form | {"title": "Engineer", "location": "", "skills": "Go", "salary.max": "90000"}
    patch = patch_of(JOBS, JOB, changed)
    assert patch == {"title": "Engineer", "location": None, "skills": ["Go"], "salary": {"max": 90000}}
    assert field_names(patch) == ["location", "salary.max", "skills", "title"]
    assert patch_of(JOBS, JOB, form | {"salary.min": "", "salary.max": ""}) == {"salary": None}
    none = JOB | {"salary": None}
    assert patch_of(JOBS, none, form | {"salary.min": "", "salary.max": ""}) == {}
    assert new_document(JOBS, {"title": "x", "salary.currency": "CNY", "salary.per": "month"}) == {
        "title": "x"
    }


def test_the_list_asks_and_shows(recruiter, engine) -> None:
    page = text(recruiter.get("/jobs?q=data&status=open&workplace=nonsense"))
    request, _ = sent(engine, "GET")
    assert dict(request.args) == {"q": "data", "status": "open", "limit": "20"}
    assert "Data &lt;Engineer&gt;" in page
    assert f'href="/jobs/{ID}"' in page
    assert '<option value="open" selected>' in page
    assert "cursor=next-page" in page
    rows = text(recruiter.get("/jobs?cursor=next-page", headers={"HX-Request": "true"}))
    assert '<ul class="people records">' not in rows
    assert "Harbour Payments Ltd" in text(recruiter.get("/companies"))


def test_an_empty_list_says_why(recruiter, engine) -> None:
    engine.on("GET", "/api/v1/jobs", {"items": [], "next_cursor": None})
    assert "No job is here yet." in text(recruiter.get("/jobs"))
    assert "Nothing fits this search." in text(recruiter.get("/jobs?status=closed"))
    engine.problem("GET", "/api/v1/jobs", "not-ready", 503)
    assert "The service is not ready." in text(recruiter.get("/jobs"))


def test_a_job_shows_its_company_and_its_quality(recruiter) -> None:
    page = text(recruiter.get(f"/jobs/{ID}"))
    assert f'<a href="/companies/{COMPANY_ID}">Harbour Payments Ltd</a>' in page
    assert 'id="quality-score">95<' in page
    assert "The employment is missing" in page
    assert "60000" in page
    assert 'name="version" value="3"' in page


def test_a_job_is_shown_while_its_company_is_gone(recruiter, engine) -> None:
    engine.problem("GET", f"/api/v1/companies/{COMPANY_ID}", "not-found", 404)
    engine.problem("GET", f"/api/v1/jobs/{ID}/quality", "not-found", 404)
    page = recruiter.get(f"/jobs/{ID}")
    assert page.status_code == 200
    assert "Harbour" in text(page)
    assert "quality-score" not in text(page)


def test_a_company_shows_its_jobs_and_its_site(recruiter, engine) -> None:
    page = text(recruiter.get(f"/companies/{COMPANY_ID}"))
    request = next(item for item, _ in reversed(engine.seen) if item.path == "/api/v1/jobs")
    assert request.args["company_id"] == COMPANY_ID
    assert f'<a href="/jobs/{ID}">Data &lt;Engineer&gt;</a>' in page
    assert '<a href="https://harbour.example" rel="noopener noreferrer nofollow">' in page
    assert f"/jobs/new?company_id={COMPANY_ID}" in page
    engine.on("GET", f"/api/v1/companies/{COMPANY_ID}", COMPANY | {"website": "javascript:alert(1)"})
    assert 'href="javascript' not in text(recruiter.get(f"/companies/{COMPANY_ID}"))


def test_one_is_made_once_and_written_down(recruiter, engine, parts) -> None:
    form = recruiter.get(f"/jobs/new?company_id={COMPANY_ID}&company_name=Harbour")
    assert f'name="company_id" value="{COMPANY_ID}"' in text(form)
    assert 'value="Harbour"' in text(form)
    engine.on("POST", "/api/v1/jobs", JOB, 201)
    data = {
        "key": "k" * 32,
        "title": "Data Engineer",
        "company_id": COMPANY_ID,
        "skills": "Go",
        "openings": "2",
    }
    answer = recruiter.post("/jobs", data)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{ID}")
    request, body = sent(engine, "POST")
    assert body == {"title": "Data Engineer", "company_id": COMPANY_ID, "skills": ["Go"], "openings": 2}
    assert request.headers["Idempotency-Key"] == "k" * 32
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "create-job")).one()
        assert (entry.object, entry.detail) == (f"job/{ID}", {"version": 3})


def test_what_the_engine_refuses_stands_at_its_field(recruiter, engine) -> None:
    errors = [{"field": "salary.max", "message": "is less than the least, 5"}]
    engine.problem("POST", "/api/v1/jobs", "validation", 422, errors=errors, detail="Look at the fields.")
    answer = recruiter.post("/jobs", {"key": "k", "title": "Kept", "salary.min": "5", "salary.max": "4"})
    assert answer.status_code == 422
    assert 'id="field-salary.max-errors">is less than the least, 5<' in text(answer)
    assert 'value="Kept"' in text(answer)
    assert 'name="key" value="k"' in text(answer)
    engine.problem("PATCH", f"/api/v1/jobs/{ID}", "validation", 422, errors=errors)
    answer = recruiter.post(f"/jobs/{ID}", {"version": "3", "title": "Mine", "salary.max": "4"})
    assert answer.status_code == 422
    assert 'value="Mine"' in text(answer)
    assert "is less than the least, 5" in text(answer)


def test_a_change_names_its_version_and_a_stale_one_is_told(recruiter, engine, parts) -> None:
    engine.on("PATCH", f"/api/v1/jobs/{ID}", JOB | {"version": 4})
    answer = recruiter.post(f"/jobs/{ID}", {"version": "3", "status": "closed"})
    assert answer.status_code == 303
    request, body = sent(engine, "PATCH")
    assert (request.headers["If-Match"], body) == ('"3"', {"status": "closed"})
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "change-job")).one()
        assert entry.detail == {"fields": ["status"], "version": 4}
    engine.problem("PATCH", f"/api/v1/jobs/{ID}", "precondition-failed", 412)
    answer = recruiter.post(f"/jobs/{ID}", {"version": "2", "status": "draft"})
    assert answer.status_code == 412
    assert "Somebody else changed this" in text(answer)


def test_a_deletion_names_its_version(recruiter, engine) -> None:
    engine.on("DELETE", f"/api/v1/companies/{COMPANY_ID}", {}, 200)
    answer = recruiter.post(f"/companies/{COMPANY_ID}/delete", {"version": "3"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/companies")
    request, _ = sent(engine, "DELETE")
    assert request.headers["If-Match"] == '"3"'
    engine.problem("DELETE", f"/api/v1/companies/{COMPANY_ID}", "precondition-failed", 412)
    refused = recruiter.post(f"/companies/{COMPANY_ID}/delete", {"version": "2"})
    assert refused.status_code == 412
    assert 'value="Harbour Payments Ltd"' in text(refused), "the form has what is stored"


def test_one_that_is_not_there(recruiter, engine) -> None:
    engine.problem("GET", f"/api/v1/jobs/{ID}", "not-found", 404)
    answer = recruiter.get(f"/jobs/{ID}")
    assert answer.status_code == 404
    assert "That is not there" in text(answer)


def test_who_may_not_read_people_reads_no_jobs(signed_in) -> None:
    operator = signed_in(Role.OPERATOR)
    for path in ("/jobs", "/companies", f"/jobs/{ID}", "/jobs/new"):
        assert operator.get(path).status_code == 403
    assert 'href="/jobs"' not in text(operator.get("/services"))


def test_a_new_one_is_in_the_language_of_the_page(recruiter) -> None:
    for said, language in (("en-GB", "en"), ("zh-CN,zh", "zh")):
        page = text(recruiter.get("/jobs/new", headers={"Accept-Language": said}))
        assert f'<option value="{language}" selected>' in page


def test_there_are_two_kinds() -> None:
    assert set(KINDS) == {"jobs", "companies"}
    for kind in KINDS.values():
        assert kind.field(kind.title).required
        assert all(kind.field(name).choices for name in kind.filters)
