"""Importing and exporting files of records, before a fake engine over real HTTP."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.wrappers import Response

from looma_console.db.models import AuditEntry
from looma_console.exchange.kinds import FILES, STATUSES
from looma_console.exchange.routes import SHOWN
from looma_console.web.permissions import Role
from looma_core.api.exchange import RowCounts
from looma_engines.talent_sync.exchange.routes import CompanyExchange, JobExchange, TalentExchange

ID = "019a0000-0000-7000-8000-000000000001"
ROWS = [
    {"line": 2, "status": "created", "id": ID},
    {"line": 3, "status": "refused", "errors": [{"field": "openings", "message": "write a <whole> number"}]},
]
COUNTS = {"created": 1, "updated": 0, "unchanged": 0, "existing": 0, "refused": 1}
HTMX = {"HX-Request": "true"}


def report(*, dry_run: bool, **more: Any) -> dict[str, Any]:
    return {"dry_run": dry_run, "counts": COUNTS, "rows": ROWS, **more}


@pytest.fixture
def recruiter(signed_in):
    return signed_in(Role.RECRUITER)


def send(browser, name: str = "jobs", **form: str) -> Any:
    data = {"file": (io.BytesIO(b"title\nSmith\n"), "jobs.csv"), **form}
    return browser.post(f"/{name}/import", data, content_type="multipart/form-data", headers=HTMX)


def sent(engine) -> tuple[Any, bytes]:
    request, body = engine.seen[-1]
    return request, body


def audited(parts, action: str) -> list[AuditEntry]:
    with parts.db.transaction() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


def test_every_outcome_of_the_engine_has_words() -> None:
    assert set(STATUSES) == set(RowCounts.__struct_fields__)


def test_every_kind_with_a_list_of_its_own_has_its_pages() -> None:
    # Relations have no list of their own in the console, and files by the API alone.
    kinds = {exchange.path for exchange in (TalentExchange, CompanyExchange, JobExchange)}
    assert {f"/api/v1/{files.api}" for files in FILES.values()} == kinds


@pytest.mark.parametrize("name", FILES)
def test_a_preview_keeps_nothing(recruiter, engine, parts, name) -> None:
    page = recruiter.get(f"/{name}/import").get_data(as_text=True)
    assert f'action="/{name}/import"' in page
    engine.on("POST", f"/api/v1/{FILES[name].api}/import", report(dry_run=True))
    text = send(recruiter, name).get_data(as_text=True)
    request, body = sent(engine)
    assert b'name="dry_run"\r\n\r\ntrue' in body
    assert b"title\nSmith\n" in body
    assert b'filename="jobs.csv"' in body
    assert "Idempotency-Key" not in request.headers
    assert "What an import would do" in text
    assert ID not in text, "what was not kept has no page"
    assert "write a &lt;whole&gt; number" in text
    assert "New: 1" in text
    assert "<html" not in text
    assert audited(parts, "import-records") == []


def test_an_import_is_kept_once_and_written_down(recruiter, engine, parts) -> None:
    key = re.search(r'name="form_key" value="([0-9a-f]{32})"', recruiter.get("/jobs/import").text)
    assert key
    engine.on("POST", "/api/v1/jobs/import", report(dry_run=False))
    text = send(recruiter, keep="yes", form_key=key[1]).get_data(as_text=True)
    first, body = sent(engine)
    assert b'name="dry_run"\r\n\r\nfalse' in body
    assert f'<a href="/jobs/{ID}">2</a>' in text
    assert "What was imported" in text
    send(recruiter, keep="yes", form_key=key[1])
    assert sent(engine)[0].headers["Idempotency-Key"] == first.headers["Idempotency-Key"]
    entry = audited(parts, "import-records")[0]
    assert (entry.object, entry.outcome, entry.detail) == ("jobs/", "done", COUNTS)


def test_people_lead_to_their_own_pages(recruiter, engine) -> None:
    engine.on("POST", "/api/v1/talents/import", report(dry_run=False))
    assert f'<a href="/people/{ID}">2</a>' in send(recruiter, "people", keep="yes").get_data(as_text=True)


def test_what_was_refused_is_shown_first_and_not_everything(recruiter, engine) -> None:
    rows = [{"line": number + 2, "status": "unchanged", "id": ID} for number in range(SHOWN)]
    engine.on("POST", "/api/v1/jobs/import", report(dry_run=True, rows=[*rows, *ROWS]))
    text = send(recruiter).get_data(as_text=True)
    assert text.index("openings") < text.index("Unchanged</span>")
    assert text.count("<tr><td>") == SHOWN
    assert "2 more rows are not shown." in text


def test_a_refused_file_says_why(recruiter, engine, parts) -> None:
    errors = [{"field": "file", "message": "has two columns with the same name"}]
    engine.problem("POST", "/api/v1/jobs/import", "validation", 422, errors=errors)
    answer = send(recruiter, keep="yes")
    assert answer.status_code == 200
    assert "has two columns with the same name" in answer.get_data(as_text=True)
    assert audited(parts, "import-records")[0].outcome == "refused"


def test_no_file_is_told(recruiter) -> None:
    assert "No file was chosen." in recruiter.post("/jobs/import", {}).get_data(as_text=True)


@pytest.mark.parametrize(
    ("name", "query"), [("people", "source=manual"), ("jobs", "status=open"), ("companies", "size=1-10")]
)
def test_an_export_has_the_filters_of_the_page(recruiter, engine, parts, name, query) -> None:
    api = f"/api/v1/{FILES[name].api}"
    engine.on(
        "GET", f"{api}/export", lambda _: Response("\ufeffid\r\n", content_type="text/csv; charset=utf-8")
    )
    answer = recruiter.get(f"/{name}/export?format=csv&q=ada&colour=red&{query}")
    assert answer.get_data() == "\ufeffid\r\n".encode()
    assert answer.headers["Content-Disposition"].startswith(f"attachment; filename={name}-")
    assert answer.content_type == "text/csv; charset=utf-8"
    request, _ = sent(engine)
    assert request.query_string.decode() == f"q=ada&{query}&format=csv"
    (entry,) = audited(parts, "export-records")
    assert entry.detail == {"format": "csv", "narrowed": ["q", query.split("=")[0]]}, (
        "what was looked for may be a name"
    )


def test_lists_lead_to_their_files(recruiter, engine) -> None:
    job = {
        "id": ID,
        "title": "Smith",
        "updated_at": "2026-11-20T10:00:00Z",
        "created_at": "2026-11-20T10:00:00Z",
    }
    engine.on("GET", "/api/v1/jobs", {"items": [job], "next_cursor": None})
    page = recruiter.get("/jobs?q=smith&status=open").get_data(as_text=True)
    assert 'href="/jobs/import"' in page
    for file_format in ("csv", "jsonl"):
        link = re.search(rf'href="(/jobs/export\?[^"]*format={file_format}[^"]*)"', page)
        assert link
        assert "q=smith" in link[1]
        assert "status=open" in link[1]


def test_a_failed_export_is_a_notice(recruiter, engine) -> None:
    engine.problem("GET", "/api/v1/jobs/export", "too-many-requests", 429)
    assert recruiter.get("/jobs/export").status_code == 429


@pytest.mark.parametrize("name", FILES)
def test_who_may_not_see_people_has_no_files_of_them(signed_in, name) -> None:
    operator = signed_in(Role.OPERATOR)
    assert operator.get(f"/{name}/import").status_code == 403
    assert operator.get(f"/{name}/export").status_code == 403
    assert send(operator, name).status_code == 403
