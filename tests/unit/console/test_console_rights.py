"""The pages about people's rights, before a fake engine over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from looma_console.db.models import AuditEntry
from looma_console.rights.operations import is_confirmed, moment_of
from looma_console.web.permissions import Role
from support.console_parts import Response

ID = "019a0000-0000-7000-8000-000000000001"
OTHER = "019a0000-0000-7000-8000-000000000002"
NOW = "2026-11-20T10:00:00Z"
TALENT: dict[str, Any] = {
    "id": ID,
    "version": 3,
    "full_name": "Ada <b>",
    "language": "en",
    "source": {"type": "manual", "ref": None},
    "created_at": NOW,
    "updated_at": NOW,
}
CONSENT: dict[str, Any] = {
    "id": OTHER,
    "talent_id": ID,
    "version": 1,
    "purpose": "matching",
    "basis": "consent",
    "given_at": NOW,
    "expires_at": None,
    "withdrawn_at": None,
    "withdrawn_by": None,
    "source": "form",
    "evidence": "form <12>",
    "recorded_by": "ada",
    "created_at": NOW,
    "standing": "given",
}
ENDED = {**CONSENT, "standing": "withdrawn", "withdrawn_at": NOW, "withdrawn_by": "ada", "purpose": "contact"}
FOUND = {"store": "talent_sync.talents", "kind": "email", "rows": 1, "ids": [ID], "why": None}
ERASURE: dict[str, Any] = {
    "id": OTHER,
    "entity": "talent",
    "reason": "request",
    "reference": "DSR-7",
    "requested_at": NOW,
    "erased_at": NOW,
    "erased_by": "officer",
    "origin": "api",
    "counts": {"talent_sync.talents": 1, "talent_sync.relations": 2},
    "complete": False,
    "proof": {
        "searched_at": NOW,
        "stores": {"talent_sync.talents": 9},
        "looked_for": {"email": 2},
        "left": [FOUND],
        "kept": [{**FOUND, "store": "talent_sync.audit_events", "kind": "id", "why": "cannot be changed"}],
        "namesakes": [],
    },
    "lift": None,
}
EVENT: dict[str, Any] = {
    "id": OTHER,
    "at": NOW,
    "action": "erase",
    "entity": "erasure",
    "record_id": OTHER,
    "actor": "officer",
    "reason": "request",
    "request_id": "r",
    "detail": {"rows": 3},
}


@pytest.fixture
def ready(engine):
    engine.on("GET", f"/api/v1/talents/{ID}", TALENT)
    engine.on(
        "GET",
        f"/api/v1/talents/{ID}/consents",
        {"items": [CONSENT, ENDED], "allowed": ["matching"], "barred": ["contact"]},
    )
    engine.on("POST", f"/api/v1/talents/{ID}/consents", CONSENT, 201)
    engine.on("POST", f"/api/v1/talents/{ID}/consents/{OTHER}/withdraw", ENDED)
    engine.on("POST", f"/api/v1/talents/{ID}/erasure", ERASURE, 201)
    engine.on("GET", "/api/v1/erasures", {"items": [{**ERASURE, "proof": None}], "next_cursor": "next-page"})
    engine.on("GET", f"/api/v1/erasures/{OTHER}", ERASURE)
    engine.on("GET", "/api/v1/audit-events", {"items": [EVENT], "next_cursor": None})
    return engine


@pytest.fixture
def recruiter(signed_in, ready):
    return signed_in(Role.RECRUITER)


@pytest.fixture
def officer(signed_in, ready):
    return signed_in(Role.ADMIN)


def sent(engine, method: str) -> tuple[Any, Any]:
    """The last request of that method, and its body."""
    request, body = next(item for item in reversed(engine.seen) if item[0].method == method)
    return request, json.loads(body) if body else None


def noted(parts) -> list[tuple[str, str]]:
    with parts.db.transaction() as session:
        return [
            (entry.action, entry.object)
            for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
            if entry.action in {"give-consent", "withdraw-consent", "erase-person", "lift-erasure"}
        ]


@pytest.mark.parametrize(
    ("typed", "name", "holds"),
    [
        ("Ada Byron", "Ada Byron", True),
        (" Ada Byron ", "Ada Byron", True),
        ("ada byron", "Ada Byron", False),
        ("", "Ada Byron", False),
        ("", None, False),
        (ID, None, True),
        (ID, "Ada Byron", False),
    ],
)
def test_who_is_erased_is_written_out(typed: str, name: str | None, holds: bool) -> None:
    from uuid import UUID

    assert is_confirmed(typed, talent_id=UUID(ID), name=name) is holds


def test_consents_are_shown_with_what_they_bar(recruiter) -> None:
    page = recruiter.client.get(f"/people/{ID}/consents")
    assert page.status_code == 200
    assert "form &lt;12&gt;" in page.text
    assert "Ada &lt;b&gt;" in page.text
    assert "No basis is in force any more for:" in page.text
    assert page.text.count(f"/consents/{OTHER}/withdraw") == 1, "what is over cannot be withdrawn"


def test_a_consent_is_noted_and_withdrawn(recruiter, engine, parts) -> None:
    given = {"purpose": "matching", "basis": "consent", "source": "form", "evidence": "12"}
    form = {**given, "expires_at": "2027-01-31", "key": "k"}
    done = recruiter.post(f"/people/{ID}/consents", form, page=f"/people/{ID}/consents")
    assert done.status_code == 303
    request, body = sent(engine, "POST")
    assert body == {**given, "expires_at": "2027-01-31T23:59:59Z"}
    assert request.headers["Idempotency-Key"] == "k"
    done = recruiter.post(f"/people/{ID}/consents/{OTHER}/withdraw", page=f"/people/{ID}/consents")
    assert done.status_code == 303
    assert noted(parts) == [("give-consent", f"talent/{ID}"), ("withdraw-consent", f"talent/{ID}")]


def test_a_consent_that_is_refused_keeps_its_form(recruiter, engine, parts) -> None:
    wrong = [{"field": "evidence", "message": "say how it can be shown"}]
    engine.problem("POST", f"/api/v1/talents/{ID}/consents", "validation", 422, errors=wrong)
    form = {"purpose": "research", "basis": "consent"}
    page = recruiter.post(f"/people/{ID}/consents", form, page=f"/people/{ID}/consents")
    assert page.status_code == 422
    assert "say how it can be shown" in page.text
    assert '<option value="research" selected>' in page.text
    assert noted(parts) == []


def test_an_officer_erases_who_is_written_out(officer, engine, parts) -> None:
    here = f"/people/{ID}/rights"
    assert "Ada &lt;b&gt;" in officer.client.get(here).text
    form = {"reason": "request", "reference": "DSR-7", "key": "k", "confirmed": "Ada"}
    refused = officer.post(f"{here}/erase", form, page=here)
    assert refused.status_code == 422
    assert "Nothing was erased." in refused.text
    assert all(request.method == "GET" for request, _ in engine.seen)
    done = officer.post(f"{here}/erase", {**form, "confirmed": "Ada <b>"}, page=here)
    assert (done.status_code, done.location) == (303, f"/privacy/erasures/{OTHER}")
    request, body = sent(engine, "POST")
    assert (body, request.headers["Idempotency-Key"]) == ({"reason": "request", "reference": "DSR-7"}, "k")
    assert noted(parts) == [("erase-person", f"erasure/{OTHER}")]
    proof = officer.client.get(f"/privacy/erasures/{OTHER}").text
    assert "Something is left" in proof
    assert "talent_sync.relations" in proof
    assert "cannot be changed" in proof


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        ("2026-05-01", "2026-05-01T23:59:59Z"),
        ("2026-05-03", "2026-05-03T10:00:00Z"),
        ("2026-05-09", "2026-05-09T23:59:59Z"),
        ("", "2026-05-03T10:00:00Z"),
    ],
)
def test_the_moment_of_a_day(day: str, moment: str) -> None:
    assert moment_of(day, now=datetime(2026, 5, 3, 10, tzinfo=UTC)) == moment


LIFT = {
    "lifted_at": NOW,
    "lifted_by": "officer <2>",
    "basis": "contract",
    "purposes": ["storage"],
    "given_at": NOW,
    "reference": None,
}


def test_an_officer_lifts_an_erasure_on_a_new_basis(officer, engine, parts) -> None:
    here = f"/privacy/erasures/{OTHER}"
    engine.on("POST", f"/api/v1/erasures/{OTHER}/lift", {**ERASURE, "lift": LIFT})
    form = {"basis": "contract", "purposes": ["storage", "contact"], "given_at": "2026-11-19", "key": "k"}
    refused = officer.post(f"{here}/lift", form, page=here)
    assert refused.status_code == 422
    assert "Nothing was lifted." in refused.text
    assert '<option value="contract" selected>' in refused.text
    assert refused.text.count(" checked") == 2, "what was chosen stays chosen"
    assert all(request.method == "GET" for request, _ in engine.seen)
    assert noted(parts) == []
    done = officer.post(f"{here}/lift", {**form, "reference": "DSR-8", "confirmed": "yes"}, page=here)
    assert (done.status_code, done.location) == (303, here)
    request, body = sent(engine, "POST")
    assert request.headers["Idempotency-Key"] == "k"
    assert body == {
        "basis": "contract",
        "purposes": ["storage", "contact"],
        "given_at": "2026-11-19T23:59:59Z",
        "reference": "DSR-8",
    }
    assert noted(parts) == [("lift-erasure", f"erasure/{OTHER}")]
    engine.on("GET", f"/api/v1/erasures/{OTHER}", {**ERASURE, "lift": LIFT})
    lifted = officer.client.get(here).text
    assert "officer &lt;2&gt;" in lifted
    assert f"{here}/lift" not in lifted, "it is lifted once"


def test_a_lift_that_is_refused_says_why(officer, engine, parts) -> None:
    here = f"/privacy/erasures/{OTHER}"
    wrong = [{"field": "given_at", "message": "must lie after the erasure"}]
    engine.problem("POST", f"/api/v1/erasures/{OTHER}/lift", "validation", 422, errors=wrong)
    page = officer.post(f"{here}/lift", {"given_at": "2020-01-01", "confirmed": "yes"}, page=here)
    assert page.status_code == 422
    assert "must lie after the erasure" in page.text
    assert 'value="2020-01-01"' in page.text
    assert noted(parts) == []


def test_who_may_not_lifts_nothing(recruiter, engine) -> None:
    answer = recruiter.post(f"/privacy/erasures/{OTHER}/lift", {"confirmed": "yes"})
    assert answer.status_code == 403
    assert all(request.method == "GET" for request, _ in engine.seen)


def test_the_ledger_and_the_audit_are_read(officer) -> None:
    ledger = officer.client.get("/privacy")
    assert ledger.status_code == 200
    assert "DSR-7" in ledger.text
    assert "cursor=next-page" in ledger.text
    audit = officer.client.get("/privacy/audit?action=erase")
    assert audit.status_code == 200
    assert f"/privacy/erasures/{OTHER}" in audit.text


def test_a_person_is_found_by_the_id(officer) -> None:
    assert officer.client.get(f"/privacy/person?id={ID}").location == f"/people/{ID}/rights"
    assert officer.client.get("/privacy/person?id=ada").location == "/privacy"


def test_an_export_is_a_file(officer, engine) -> None:
    def answer(_request: Any) -> Response:
        return Response("<html>", content_type="text/html; charset=utf-8")

    engine.on("GET", f"/api/v1/talents/{ID}/export", answer)
    file = officer.client.get(f"/people/{ID}/rights/export?format=html")
    assert file.status_code == 200
    assert "attachment" in file.headers["Content-Disposition"]
    assert "no-store" in file.headers["Cache-Control"]
    for asked, wanted in (("zip", "zip"), ("json", "json"), ("exe", "json"), ("", "json")):
        file = officer.client.get(f"/people/{ID}/rights/export?format={asked}")
        assert f'filename="person-{ID}.{wanted}"' in file.headers["Content-Disposition"]
        request, _ = sent(engine, "GET")
        assert request.args["format"] == wanted
    engine.problem("GET", f"/api/v1/talents/{ID}/export", "not-found", 404)
    assert officer.client.get(f"/people/{ID}/rights/export").status_code == 404


def test_who_may_not_sees_none_of_it(recruiter, signed_in) -> None:
    for path in (f"/people/{ID}/rights", "/privacy", "/privacy/audit", f"/privacy/erasures/{OTHER}"):
        assert recruiter.client.get(path).status_code == 403, path
    assert signed_in(Role.OPERATOR).client.get("/privacy").status_code == 403
    assert signed_in(Role.ADMIN).client.get(f"/people/{ID}/consents").status_code == 403
