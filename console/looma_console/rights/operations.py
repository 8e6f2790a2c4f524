"""The work behind the pages about people's rights: asking the engine, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError
from looma_core.api.rights import Consent, Erasure


def name_of(engines: EngineClient, caller: Caller, talent_id: UUID) -> str | None:
    """What the person is called; None for one who is deleted, or was never there."""
    with suppress(EngineError):
        return engines.talent(caller, talent_id).full_name
    return None


def is_confirmed(typed: str, *, talent_id: UUID, name: str | None) -> bool:
    """Whether somebody wrote who is to be erased: the name, or the id where there is no name."""
    return typed.strip() == (name or str(talent_id))


def give(
    db: Database, engines: EngineClient, caller: Caller, talent_id: UUID, form: Mapping[str, str]
) -> Consent:
    """Keep the basis that a form means; the same form sent twice keeps one. Raises EngineError."""
    names = ("purpose", "basis", "source", "evidence")
    document: dict[str, Any] = {name: value for name in names if (value := form.get(name, "").strip())}
    for name in ("given_at", "expires_at"):
        if day := form.get(name, "").strip():
            # A form has days; a basis ends as its last day does, in UTC.
            document[name] = f"{day}T{'23:59:59' if name == 'expires_at' else '00:00:00'}Z"
    consent = engines.give_consent(caller, talent_id, document, key=form.get("key", ""))
    _note(db, caller, "give-consent", f"talent/{talent_id}", {"purpose": consent.purpose})
    return consent


def withdraw(
    db: Database, engines: EngineClient, caller: Caller, talent_id: UUID, consent_id: UUID
) -> Consent:
    """End a basis. Raises EngineError."""
    consent = engines.withdraw_consent(caller, talent_id, consent_id)
    _note(db, caller, "withdraw-consent", f"talent/{talent_id}", {"purpose": consent.purpose})
    return consent


def erase(
    db: Database, engines: EngineClient, caller: Caller, talent_id: UUID, form: Mapping[str, str]
) -> Erasure:
    """Erase a person for good; the same form sent twice gets the same proof. Raises EngineError."""
    document = {name: value for name in ("reason", "reference") if (value := form.get(name, "").strip())}
    erasure = engines.erase(caller, talent_id, document, key=form.get("key", ""))
    # The entry names the erasure: the person's id is nowhere from now on, but where it was before.
    _note(db, caller, "erase-person", f"erasure/{erasure.id}", {"reason": erasure.reason})
    return erasure


def moment_of(day: str, *, now: datetime) -> str:
    """The moment that a form's day means: its end, in UTC, or now where it is not over.

    | day        | now              | answer               |
    | ---------- | ---------------- | -------------------- |
    | 2026-05-01 | 2026-05-03 10:00 | 2026-05-01T23:59:59Z |
    | 2026-05-03 | 2026-05-03 10:00 | 2026-05-03T10:00:00Z |
    | 2026-05-09 | 2026-05-03 10:00 | 2026-05-09T23:59:59Z |
    | (empty)    | 2026-05-03 10:00 | 2026-05-03T10:00:00Z |
    """
    now = now.astimezone(UTC)
    if day in ("", now.date().isoformat()):
        return f"{now:%Y-%m-%dT%H:%M:%S}Z"
    return f"{day}T23:59:59Z"


def lift(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    erasure_id: UUID,
    *,
    form: Mapping[str, str],
    purposes: Sequence[str],
) -> Erasure:
    """Let syncs bring an erased person in again, on the basis of a form. Raises EngineError."""
    document: dict[str, Any] = {
        name: value for name in ("basis", "reference") if (value := form.get(name, "").strip())
    }
    document["purposes"] = list(purposes)
    document["given_at"] = moment_of(form.get("given_at", "").strip(), now=datetime.now(UTC))
    erasure = engines.lift_erasure(caller, erasure_id, document, key=form.get("key", ""))
    _note(db, caller, "lift-erasure", f"erasure/{erasure_id}", {"basis": form.get("basis", "")})
    return erasure


def _note(db: Database, caller: Caller, action: str, what: str, detail: Mapping[str, Any]) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=action,
            object=what,
            detail=dict(detail),
            request_id=caller.request_id,
        )
