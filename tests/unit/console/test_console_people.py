"""The pages about people and the upload, before a fake engine over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import re
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.wrappers import Request, Response

from looma_console.db.models import AuditEntry
from looma_console.people import messages
from looma_console.people.operations import changes
from looma_console.web.permissions import Role
from looma_core.api.quality import Severity
from looma_core.api.talent import Source, Talent
from looma_engines.talent_sync.quality.talents import RULES
from support.tokens import verifier

ID = "019a0000-0000-7000-8000-000000000001"
TEXT = "Ada 😀 Example\nEngineer at Northwind <b>Ltd</b>\nada@example.org\nPython"
NOW = "2026-11-20T10:00:00Z"


def talent(**changes: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "version": 3,
        "full_name": "Ada Example",
        "email": "ada@example.org",
        "phone": None,
        "location": "Leeds",
        "headline": "Engineer",
        "language": "en",
        "skills": ["Python"],
        "experience": [
            {"title": "Engineer", "company": "Northwind"},
            {"title": "Clerk", "company": "Bluebird"},
        ],
        "education": [],
        "source": {"type": "resume", "ref": ID},
        "created_at": NOW,
        "updated_at": NOW,
        **changes,
    }


def span(word: str, label: str) -> dict[str, Any]:
    start = TEXT.index(word)
    return {"start": start, "end": start + len(word), "label": label, "text": word, "score": 1.0}


def record() -> dict[str, Any]:
    start = TEXT.index("Python")
    skill = {"name": "Python", "id": "python", "category": "language", "start": start, "end": start + 6}
    parsed = {
        "language": "en",
        "text": TEXT,
        "contact": {"full_name": "Ada Example", "email": "ada@example.org"},
        "skills": [skill],
        "experience": talent()["experience"],
        "entities": [span("Northwind", "ORG"), span("ada@example.org", "EMAIL"), span("Engineer", "TITLE")],
        "pages": 2,
        "warnings": [],
    }
    return {**summary(), "parsed": parsed}


def summary() -> dict[str, Any]:
    return {
        "id": ID,
        "talent_id": ID,
        "file_name": "ada.pdf",
        "media_type": "application/pdf",
        "size": 1400,
        "sha256": "ab" * 32,
        "source": "resume",
        "created_at": NOW,
    }


@pytest.fixture
def recruiter(signed_in, engine):
    engine.on("GET", "/api/v1/talents", {"items": [talent()], "next_cursor": "next-page"})
    engine.on("GET", f"/api/v1/talents/{ID}", talent())
    engine.on("GET", "/api/v1/resumes", {"items": [summary()], "next_cursor": None})
    engine.on("GET", f"/api/v1/resumes/{ID}", record())
    return signed_in(Role.RECRUITER)


def test_a_person_shows_the_quality_of_the_record(recruiter, engine) -> None:
    assert 'id="quality-score"' not in recruiter.get(f"/people/{ID}").get_data(as_text=True), (
        "an engine of an earlier release does not tell it"
    )
    losses = [
        {"rule": "talent.contact.both", "points": 2.0, "of": 2},
        {"rule": "talent.experience.dates", "points": 1.5, "of": 3},
        {"rule": "talent.of.tomorrow", "points": 1.0, "of": 1},
    ]
    found = {"score": 96, "accepted": True, "findings": [], "losses": losses}
    engine.on("GET", f"/api/v1/talents/{ID}/quality", found)
    page = recruiter.get(f"/people/{ID}").get_data(as_text=True)
    assert 'id="quality-score">96<' in page
    assert 'Address or phone is missing <span class="muted">−2<' in page
    assert 'A job lacks its beginning <span class="muted">−1.5<' in page
    assert "talent.of.tomorrow" in page, "a rule of a later release is shown by its name"
    engine.on("GET", f"/api/v1/talents/{ID}/quality", {**found, "score": 100, "losses": []})
    assert "nothing looks odd" in recruiter.get(f"/people/{ID}").get_data(as_text=True)


def test_each_rule_that_costs_points_has_words() -> None:
    assert set(messages.QUALITY) == {rule.id for rule in RULES if rule.severity is Severity.WARNING}


def test_calls_carry_a_short_token_for_the_person(recruiter, engine, parts) -> None:
    recruiter.get("/people", headers={"X-Request-Id": "0123456789abcdef"})
    request, _ = engine.seen[-1]
    scheme, token = request.headers["Authorization"].split(" ")
    principal = asyncio.run(verifier().verify(token))
    assert scheme == "Bearer"
    assert principal.subject == "the-recruiter"
    assert principal.roles == frozenset({"recruiter"})
    assert principal.tenant == parts.settings.tenant
    assert request.headers["X-Request-Id"] == "0123456789abcdef"
    assert "Cookie" not in request.headers


def test_the_list_asks_and_shows(recruiter, engine) -> None:
    page = recruiter.get("/people?q=ada&source=resume").get_data(as_text=True)
    request, _ = engine.seen[-1]
    assert dict(request.args) == {"q": "ada", "source": "resume", "limit": "20"}
    assert "<html" in page
    assert f'href="/people/{ID}"' in page
    assert "Ada Example" in page
    assert "cursor=next-page" in page


def test_htmx_gets_the_results_alone_and_the_next_rows_alone(recruiter, engine) -> None:
    answer = recruiter.get("/people?q=a", headers={"HX-Request": "true"})
    assert "<html" not in answer.get_data(as_text=True)
    assert '<ul class="people">' in answer.get_data(as_text=True)
    assert "HX-Request" in answer.headers["Vary"]
    answer = recruiter.get("/people?cursor=next-page", headers={"HX-Request": "true"})
    assert engine.seen[-1][0].args["cursor"] == "next-page"
    assert '<ul class="people">' not in answer.get_data(as_text=True)
    # History comes back as a whole page, or the back button would show a fragment.
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in recruiter.get("/people", headers=headers).get_data(as_text=True)


def test_names_are_text_and_never_markup(recruiter, engine) -> None:
    engine.on(
        "GET", "/api/v1/talents", {"items": [talent(full_name="<script>x</script>")], "next_cursor": None}
    )
    page = recruiter.get("/people").get_data(as_text=True)
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_the_person_stands_beside_the_marked_text(recruiter) -> None:
    page = recruiter.get(f"/people/{ID}").get_data(as_text=True)
    at = TEXT.index("Northwind")
    assert f'<mark id="at-{at}" class="kind-job" title="Organisation">Northwind</mark> &lt;b&gt;Ltd' in page
    assert f'href="#at-{at}"' in page
    assert 'class="kind-skill" title="Skill: Python">Python</mark>' in page
    assert "2 pages" in page
    assert page.count("<li><h3>") == 2


def test_a_person_is_shown_while_the_resume_engine_is_away(recruiter, engine) -> None:
    engine.problem("GET", "/api/v1/resumes", "not-ready", 503)
    page = recruiter.get(f"/people/{ID}")
    assert page.status_code == 200
    assert "Ada Example" in page.get_data(as_text=True)
    assert "The service is not ready." in page.get_data(as_text=True)


def test_somebody_who_is_not_there(recruiter, engine) -> None:
    engine.problem("GET", f"/api/v1/talents/{ID}", "not-found", 404)
    answer = recruiter.get(f"/people/{ID}")
    assert answer.status_code == 404
    assert "That is not there" in answer.get_data(as_text=True)


def test_an_unknown_problem_is_told_in_the_engines_words(recruiter, engine) -> None:
    engine.problem("GET", "/api/v1/talents", "new-kind", 422, detail="Write fewer than 200 letters.")
    assert "Write fewer than 200 letters." in recruiter.get("/people").get_data(as_text=True)


def test_an_answer_that_makes_no_sense_is_a_problem_not_a_crash(recruiter, engine) -> None:
    engine.on("GET", "/api/v1/talents", lambda _request: Response("<html>", content_type="text/html"))
    answer = recruiter.get("/people")
    assert answer.status_code == 200
    assert "The service broke off." in answer.get_data(as_text=True)


def fields(**values: Any) -> Talent:
    import datetime as dt
    from uuid import UUID

    now = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    return Talent(id=UUID(ID), version=1, source=Source(), created_at=now, updated_at=now, **values)


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        ({"full_name": "Ada", "email": "a@b.example"}, {}),
        ({"full_name": " Ada L. "}, {"full_name": "Ada L."}),
        ({"email": ""}, {"email": None}),
        ({"email": "  ", "location": "Leeds"}, {"email": None, "location": "Leeds"}),
        ({"version": "9", "skills": "x"}, {}),
    ],
    ids=["nothing new", "trimmed", "emptied", "two", "not editable"],
)
def test_changes(form: dict[str, str], patch: dict[str, Any]) -> None:
    assert changes(fields(full_name="Ada", email="a@b.example"), form) == patch


def test_editing_names_the_version_and_is_audited_without_values(recruiter, engine, parts) -> None:
    engine.on("PATCH", f"/api/v1/talents/{ID}", talent(version=4, location="York"))
    form = {"version": "3", "full_name": "Ada Example", "location": "York"}
    answer = recruiter.post(f"/people/{ID}", form)
    assert (answer.status_code, answer.location) == (303, f"/people/{ID}")
    request, body = engine.seen[-1]
    assert request.headers["If-Match"] == '"3"'
    assert request.content_type == "application/merge-patch+json"
    assert json.loads(body) == {"location": "York"}
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "change-person")).one()
    assert entry.detail == {"fields": ["location"], "version": 4}
    assert "York" not in str(entry.detail)


def test_a_change_in_between_is_told_and_the_form_kept(recruiter, engine) -> None:
    engine.problem("PATCH", f"/api/v1/talents/{ID}", "precondition-failed", 412)
    answer = recruiter.post(f"/people/{ID}", {"version": "2", "location": "York"})
    text = answer.get_data(as_text=True)
    assert answer.status_code == 412
    assert "Somebody else changed this in the meantime" in text
    assert 'value="York"' in text


def test_what_is_wrong_with_a_field_stands_at_the_field(recruiter, engine) -> None:
    errors = [{"field": "email", "message": "is not an address"}]
    engine.problem("PATCH", f"/api/v1/talents/{ID}", "validation", 422, errors=errors)
    text = recruiter.post(f"/people/{ID}", {"version": "3", "email": "x"}).get_data(as_text=True)
    assert 'aria-describedby="edit-email-errors"' in text
    assert "is not an address" in text


def pdf(name: str = "ada.pdf") -> tuple[io.BytesIO, str]:
    return io.BytesIO(b"%PDF-1.7 content"), name


def test_uploading_several_at_once_tells_of_each(recruiter, engine) -> None:
    def parse(request: Request) -> Response:
        name = request.files["file"].filename or ""
        if name.startswith("locked"):
            body, status = {"type": "urn:looma:problem:encrypted-document", "title": "x", "status": 422}, 422
        else:
            body, status = record(), 200 if name.startswith("again") else 201
        return Response(json.dumps(body), status=status, content_type="application/json")

    engine.on("POST", "/api/v1/resumes", parse)
    form = {"file": [pdf(), pdf("locked.pdf"), pdf("again.pdf")]}
    text = recruiter.post("/resumes/upload", form, content_type="multipart/form-data").get_data(as_text=True)
    assert text.count('class="upload done"') == 2
    assert text.count('class="upload failed"') == 1
    assert "protected by a password" in text
    assert "This file was here already" in text
    assert "2 jobs" in text


def test_the_script_gets_the_outcome_alone(recruiter, engine, parts) -> None:
    engine.on("POST", "/api/v1/resumes", record(), 201)
    answer = recruiter.post(
        "/resumes/upload", {"file": pdf()}, content_type="multipart/form-data", headers={"HX-Request": "true"}
    )
    text = answer.get_data(as_text=True)
    assert text.strip().startswith('<li class="upload done">')
    assert engine.seen[-1][1].count(b"%PDF-1.7 content") == 1
    with parts.db.transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "upload-resume")).one()
    assert entry.object == f"resume/{ID}"
    # A file's name often is a person's.
    assert "ada.pdf" not in str(entry.detail)


def form_key(recruiter) -> str:
    found = re.search(r'name="form_key" value="([0-9a-f]{32})"', recruiter.get("/resumes/upload").text)
    assert found
    return found[1]


def test_a_form_that_is_sent_twice_is_one_upload_of_each_file(recruiter, engine) -> None:
    engine.on("POST", "/api/v1/resumes", record(), 201)
    one, other = form_key(recruiter), form_key(recruiter)
    assert one != other
    for key in (one, one, other):
        form = {"file": [pdf(), pdf("two.pdf")], "form_key": key}
        recruiter.post("/resumes/upload", form, content_type="multipart/form-data")
    keys = [request.headers["Idempotency-Key"] for request, _ in engine.seen]
    assert keys[0:2] == keys[2:4]
    assert len(set(keys)) == 4
    assert engine.seen[0][1].count(b"%PDF-1.7 content") == 1, (
        "reading the file for its key left it at its end"
    )


def test_forms_without_a_key_are_uploads_of_their_own(recruiter, engine) -> None:
    engine.on("POST", "/api/v1/resumes", record(), 201)
    for _ in range(2):
        recruiter.post("/resumes/upload", {"file": pdf()}, content_type="multipart/form-data")
    assert len({request.headers["Idempotency-Key"] for request, _ in engine.seen}) == 2


def test_the_second_click_gets_the_answer_of_the_first(recruiter, engine, monkeypatch) -> None:
    monkeypatch.setattr("looma_console.resumes.operations.RETRY_AFTER_SECONDS", 0)
    under_way = [409, 409, 201]

    def parse(request: Request) -> Response:
        assert request.files["file"].read() == b"%PDF-1.7 content"
        status = under_way.pop(0)
        problem = {"type": "urn:looma:problem:idempotency-key-under-way", "title": "x", "status": 409}
        return Response(json.dumps(record() if status == 201 else problem), status=status)

    engine.on("POST", "/api/v1/resumes", parse)
    text = recruiter.post("/resumes/upload", {"file": pdf()}, content_type="multipart/form-data").text
    assert 'class="upload done"' in text
    assert under_way == []


def test_nothing_chosen_is_said(recruiter) -> None:
    text = recruiter.post("/resumes/upload", {}).get_data(as_text=True)
    assert "No file was chosen." in text


def test_more_than_the_limit_is_said(recruiter, app) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    form = {"file": (io.BytesIO(b"x" * 5000), "big.pdf")}
    answer = recruiter.post("/resumes/upload", form, content_type="multipart/form-data")
    assert answer.status_code == 413
    assert "more than one upload may hold" in answer.get_data(as_text=True)


def test_a_file_comes_as_a_download_that_cannot_run(recruiter, engine, parts) -> None:
    engine.on(
        "GET",
        f"/api/v1/resumes/{ID}/file",
        lambda _request: Response(b"<h1>x</h1>", content_type="text/html"),
    )
    answer = recruiter.get(f"/resumes/{ID}/file")
    assert answer.data == b"<h1>x</h1>"
    assert answer.headers["Content-Disposition"] == "attachment; filename=ada.pdf"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    with parts.db.transaction() as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "download-resume")).one()


def test_every_problem_of_the_resume_engine_has_words_here() -> None:
    from looma_console.resumes.messages import PROBLEMS
    from looma_engines.resume.documents.problems import CODES

    assert set(CODES) <= set(PROBLEMS)
