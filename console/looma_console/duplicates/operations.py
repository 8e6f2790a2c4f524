"""The work behind the pages about duplicates: asking the engine, settling with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.duplicates.messages import FIELDS, LISTS
from looma_console.engines import Caller, EngineClient
from looma_core.api.duplicates import Merge


def merge(
    db: Database, engines: EngineClient, caller: Caller, *, pair_id: UUID, form: Mapping[str, str]
) -> Merge:
    """Make one of two, as the form says. Raises EngineError; the audit names fields, never their values."""
    merged = engines.merge_people(caller, pair_id, asked_of(form))
    detail = {"kept": str(merged.kept), "other": str(merged.other), "fields": merged.changed}
    _note(db, caller, "merge-people", f"merge/{merged.id}", detail)
    return merged


def dismiss(db: Database, engines: EngineClient, caller: Caller, *, pair_id: UUID) -> None:
    """Say that they are two. Raises EngineError."""
    engines.dismiss_duplicate(caller, pair_id)
    _note(db, caller, "dismiss-duplicate", f"duplicate/{pair_id}", {})


def undo(db: Database, engines: EngineClient, caller: Caller, *, merge_id: UUID, force: bool) -> Merge:
    """Make two of one again. Raises EngineError."""
    undone = engines.undo_merge(caller, merge_id, force=force)
    detail = {"kept": str(undone.kept), "other": str(undone.other), "force": force}
    _note(db, caller, "undo-merge", f"merge/{merge_id}", detail)
    return undone


def asked_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The body of a merge. The form names for each field which record's value to take, or both.

    Its choices are `first` and `second`, as the page shows them; the API knows the one who stays and the other.
    """
    keep = "second" if form.get("keep") == "second" else "first"
    other = "first" if keep == "second" else "second"
    fields = {}
    for name in FIELDS:
        chosen = form.get(f"take-{name}")
        if chosen in ("first", "second"):
            fields[name] = "keep" if chosen == keep else "other"
        elif chosen == "both" and name in LISTS:
            fields[name] = "both"
    return {
        "keep": form.get(f"{keep}-id", ""),
        "keep_version": _number(form.get(f"{keep}-version")),
        "other_version": _number(form.get(f"{other}-version")),
        "fields": fields,
    }


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _note(db: Database, caller: Caller, action: str, what: str, detail: dict[str, Any]) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=action,
            object=what,
            detail=detail,
            request_id=caller.request_id,
        )
