"""The section about a person's files, before a fake engine over real HTTP."""

from __future__ import annotations

import io
import json
from typing import Any, get_args

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.files.messages import FIELDS, STATES, TONES
from looma_console.files.operations import differences
from looma_console.people.operations import EDITABLE
from looma_console.rights.messages import ACTIONS
from looma_console.web.permissions import Role
from looma_core.api.resume import Contact, ParsedResume
from looma_core.api.resume_file import FileState
from looma_core.api.rights import AuditAction
from looma_core.api.source import Source
from looma_core.api.talent import Talent
from support.console_parts import Request, Response

ADA = "019a0000-0000-7000-8000-000000000001"
FILE = "019a0000-0000-7000-8000-000000000002"
NOW = "2026-11-20T10:00:00Z"
TALENT: dict[str, Any] = {
    "id": ADA,
    "version": 3,
    "full_name": "Ada Example",
    "email": "ada@mail.example",
    "language": "en",
    "source": {"type": "manual", "ref": None},
    "created_at": NOW,
    "updated_at": NOW,
}
KEPT: dict[str, Any] = {
    "id": FILE,
    "version": 1,
    "talent_id": ADA,
    "number": 2,
    "file_name": "<cv> 简历.pdf",
    "media_type": "application/pdf",
    "size": 2048,
    "sha256": "a" * 64,
    "language": None,
    "state": "stored",
    "reason": None,
    "uploaded_by": "ada",
    "created_at": NOW,
    "updated_at": NOW,
}
PARSED: dict[str, Any] = {
    "language": "en",
    "text": "Ada Example",
    "contact": {"full_name": "Ada Example", "email": "ada@new.example", "phone": "+44 1"},
    "headline": "Engineer <b>",
}
HERE = f"/people/{ADA}/files"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def ready(engine):
    engine.on("GET", f"/api/v1/talents/{ADA}", TALENT)
    engine.on("GET", "/api/v1/resume-files", {"items": [KEPT], "next_cursor": None})
    engine.on("GET", f"/api/v1/resume-files/{FILE}", KEPT)
    engine.on("POST", f"/api/v1/talents/{ADA}/resume-files", KEPT, 201)
    engine.on("POST", f"/api/v1/resume-files/{FILE}/reading", {**KEPT, "version": 2, "state": "parsed"})
    engine.on("POST", "/api/v1/resumes/parse", PARSED)
    return engine


@pytest.fixture
def recruiter(signed_in, ready):
    return signed_in(Role.RECRUITER)


def uploaded(browser, data: bytes = b"%PDF-1.7 Ada", name: str = "cv.pdf", **options: Any) -> Any:
    form = {"file": (io.BytesIO(data), name), "form_key": "f" * 32}
    return browser.post(HERE, form, content_type="multipart/form-data", **options)


def asked(engine, path: str) -> tuple[Any, bytes]:
    """The last request to a path, and its body."""
    return next(item for item in reversed(engine.seen) if item[0].path == path)


def noted(parts) -> list[tuple[str, str]]:
    with parts.db.transaction() as session:
        return [
            (entry.action, f"{entry.object} {entry.detail}")
            for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
            if entry.action.endswith("-file")
        ]


def test_the_words_cover_what_the_api_knows() -> None:
    assert set(STATES) == set(TONES) == set(get_args(FileState))
    assert set(ACTIONS) == set(get_args(AuditAction))
    assert set(FIELDS) == set(EDITABLE)


def test_what_a_file_says_beside_what_is_stored() -> None:
    talent = Talent(
        id=ADA,  # type: ignore[arg-type]
        version=1,
        created_at=NOW,  # type: ignore[arg-type]
        updated_at=NOW,  # type: ignore[arg-type]
        source=Source(),
        full_name="Ada",
        email="ada@mail.example",
        location="London",
    )
    contact = Contact(full_name="Ada", email="ada@new.example", phone="")
    found = differences(talent, ParsedResume(language="en", text="", contact=contact, headline="Engineer"))
    assert [(one.name, one.stored, one.found) for one in found] == [
        ("headline", None, "Engineer"),
        ("email", "ada@mail.example", "ada@new.example"),
    ]


def test_a_persons_page_fetches_the_section(recruiter, engine) -> None:
    engine.on("GET", "/api/v1/relations", {"items": [], "next_cursor": None})
    engine.on("GET", "/api/v1/resumes", {"items": [], "next_cursor": None})
    page = recruiter.get(f"/people/{ADA}").text
    assert f'hx-get="{HERE}" hx-trigger="load"' in page
    assert f'<a href="{HERE}">' in page, "without a script"
    section = recruiter.get(HERE, headers=HTMX).text
    assert section.strip().startswith('<section class="card" id="files"')
    assert "&lt;cv&gt; 简历.pdf" in section
    assert "No. 2" in section
    whole = recruiter.get(HERE).text
    assert "<html" in whole
    assert 'id="files"' in whole


def test_a_file_is_kept_read_and_compared_with_the_person(recruiter, engine, parts) -> None:
    answer = uploaded(recruiter, headers=HTMX)
    assert answer.status_code == 200
    text = answer.text
    assert "The file is kept." in text
    request, body = asked(engine, f"/api/v1/talents/{ADA}/resume-files")
    assert request.headers["Idempotency-Key"]
    assert body.count(b"%PDF-1.7 Ada") == 1
    _, parsed = asked(engine, "/api/v1/resumes/parse")
    assert parsed.count(b"%PDF-1.7 Ada") == 1
    assert b"cv.pdf" not in parsed
    note, said = asked(engine, f"/api/v1/resume-files/{FILE}/reading")
    assert note.headers["If-Match"] == '"1"'
    assert json.loads(said) == {"state": "parsed", "reason": None, "language": "en"}
    # Only what differs can be taken over, by the form that changes the person.
    assert f'action="/people/{ADA}"' in text
    assert 'name="version" value="3"' in text
    assert 'name="email" value="ada@new.example"' in text
    assert 'name="headline" value="Engineer &lt;b&gt;"' in text
    assert 'name="full_name"' not in text
    assert noted(parts) == [("upload-file", f"resume-file/{FILE} {{'talent': '{ADA}'}}")]


def test_the_same_form_twice_is_one_file(recruiter, engine) -> None:
    for _ in range(2):
        uploaded(recruiter)
    keys = {
        request.headers["Idempotency-Key"]
        for request, _ in engine.seen
        if request.path == f"/api/v1/talents/{ADA}/resume-files"
    }
    assert len(keys) == 1


def test_a_file_that_cannot_be_read_is_kept_and_says_why(recruiter, engine) -> None:
    engine.problem("POST", "/api/v1/resumes/parse", "no-text-in-document", 422)
    text = uploaded(recruiter, headers=HTMX).text
    assert "The file is kept, but not read." in text
    assert "holds pictures only" in text
    _, said = asked(engine, f"/api/v1/resume-files/{FILE}/reading")
    assert json.loads(said)["reason"] == "no-text-in-document"


def test_a_reader_that_is_away_says_nothing_of_the_file(recruiter, engine) -> None:
    engine.problem("POST", "/api/v1/resumes/parse", "not-ready", 503)
    answer = uploaded(recruiter, headers=HTMX)
    assert answer.status_code == 200
    assert "The service is not ready" in answer.text
    assert not [item for item in engine.seen if item[0].path.endswith("/reading")]


@pytest.mark.parametrize(
    "case",
    [
        ("unsupported-media", 415, "This kind of file is not kept."),
        ("payload-too-large", 413, "The file is larger than 10 MiB."),
        ("validation", 422, "The file is empty."),
    ],
    ids=lambda case: case[0],
)
def test_a_file_that_is_refused_is_told_at_its_field(
    recruiter, engine, parts, case: tuple[str, int, str]
) -> None:
    name, status, says = case
    engine.problem("POST", f"/api/v1/talents/{ADA}/resume-files", name, status)
    answer = uploaded(recruiter, headers=HTMX)
    assert answer.status_code == status
    assert f'<p class="errors" id="resume-file-errors">{says}' in answer.text
    assert 'aria-describedby="resume-file-errors"' in answer.text
    assert "&lt;cv&gt;" in answer.text, "the others are there still"
    assert noted(parts) == []


def test_a_form_without_a_file_is_told_at_its_field(recruiter) -> None:
    answer = recruiter.post(HERE, {"form_key": "x"}, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "No file was chosen." in answer.text


def test_a_file_is_handed_back_as_a_download(recruiter, engine, parts) -> None:
    def content(_request: Request) -> Response:
        return Response(b"%PDF-1.7 Ada", content_type="application/pdf")

    engine.on("GET", f"/api/v1/resume-files/{FILE}/content", content)
    answer = recruiter.get(f"{HERE}/{FILE}")
    assert answer.data == b"%PDF-1.7 Ada"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert noted(parts) == [("download-file", f"resume-file/{FILE} {{}}")]
    engine.problem("GET", f"/api/v1/resume-files/{FILE}", "not-found", 404)
    assert recruiter.get(f"{HERE}/{FILE}").status_code == 404


def test_a_file_that_is_kept_is_read_again(recruiter, engine) -> None:
    def content(_request: Request) -> Response:
        return Response(b"%PDF-1.7 Ada", content_type="application/pdf")

    engine.on("GET", f"/api/v1/resume-files/{FILE}/content", content)
    text = recruiter.post(f"{HERE}/{FILE}/read", headers=HTMX).text
    assert 'name="email" value="ada@new.example"' in text
    _, parsed = asked(engine, "/api/v1/resumes/parse")
    assert b"%PDF-1.7 Ada" in parsed


def test_a_file_is_deleted_by_its_version(recruiter, engine, parts) -> None:
    engine.on("DELETE", f"/api/v1/resume-files/{FILE}", lambda _request: Response(status=204))
    answer = recruiter.post(f"{HERE}/{FILE}/delete", {"version": "1"}, headers=HTMX)
    assert "Deleted." in answer.text
    request, _ = asked(engine, f"/api/v1/resume-files/{FILE}")
    assert (request.method, request.headers["If-Match"]) == ("DELETE", '"1"')
    assert noted(parts) == [("delete-file", f"resume-file/{FILE} {{}}")]
    engine.problem("DELETE", f"/api/v1/resume-files/{FILE}", "precondition-failed", 412)
    stale = recruiter.post(f"{HERE}/{FILE}/delete", {"version": "1"}, headers=HTMX)
    assert stale.status_code == 412
    assert "Somebody else changed this" in stale.text


def test_whoever_does_not_recruit_sees_no_file(signed_in, ready) -> None:
    for role in (Role.ADMIN, Role.OPERATOR):
        assert signed_in(role).get(HERE).status_code == 403


def test_files_while_the_service_is_away_say_so(recruiter, engine) -> None:
    engine.problem("GET", "/api/v1/resume-files", "not-ready", 503)
    answer = recruiter.get(HERE, headers=HTMX)
    assert answer.status_code == 503
    assert "The service is not ready" in answer.text
