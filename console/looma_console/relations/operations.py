"""The work behind the section about relations: asking the engine, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError
from looma_console.relations.forms import CHOSEN, Document, Line, line_of, new_document, other_end
from looma_console.relations.words import PEOPLE, End

RELATIONS = "relations"
SHOWN = 50
CHOICES = 20
NOT_SERVED = frozenset({"no-route", "not-found"})
"""An engine of an earlier release beside this console knows no relations: then there is no section."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What can be chosen as the other end, each id with its name, and which is."""

    items: tuple[tuple[str, str], ...] = ()
    chosen: str = ""


@dataclass(frozen=True, kw_only=True)
class RelationsView:
    """The section of one page."""

    end: End
    record_id: UUID
    lines: tuple[Line, ...] = ()
    more: bool = False
    problem: EngineError | None = None
    choices: Choices = field(default_factory=Choices)


def view_relations(
    engines: EngineClient, caller: Caller, end: End, record_id: UUID, *, choices: Choices | None = None
) -> RelationsView | None:
    """All relations that a record is an end of, the latest first; None where the engine knows none."""
    fields = ("talent_id", end.field) if end is PEOPLE else (end.field,)
    lines: list[Line] = []
    more = False
    choices = choices or Choices()
    try:
        for name in fields:
            query = {name: str(record_id), "sort": "-starts_on", "limit": str(SHOWN)}
            page = engines.records(caller, RELATIONS, query)
            lines += [line_of(relation, seen_from=record_id) for relation in page.items]
            more = more or page.next_cursor is not None
    except EngineError as error:
        if error.name in NOT_SERVED:
            return None
        return RelationsView(end=end, record_id=record_id, problem=error, choices=choices)
    return RelationsView(end=end, record_id=record_id, lines=tuple(lines), more=more, choices=choices)


def find_choices(
    engines: EngineClient, caller: Caller, end: End, record_id: UUID, *, kind: str, q: str, chosen: str = ""
) -> Choices:
    """Records that a relation of `kind` could lead to, found by words; none where `kind` is none of the page's."""
    if kind not in end.adds:
        return Choices()
    there = other_end(end, kind)
    found: dict[str, str] = {}
    with suppress(EngineError):
        page = engines.records(caller, there.records, {"q": q, "limit": str(CHOICES)})
        found = {item["id"]: item[there.title] for item in page.items if item["id"] != str(record_id)}
    with suppress(EngineError, ValueError):
        # What was chosen stays so, whatever was looked for since.
        if chosen and chosen not in found:
            document = engines.record(caller, there.records, UUID(chosen))
            found = {document["id"]: document[there.title], **found}
    return Choices(items=tuple(found.items()), chosen=chosen)


def create_relation(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    end: End,
    record_id: UUID,
    *,
    form: Mapping[str, str],
) -> None:
    """Store the relation that a form means; the same form sent twice stores one. Raises EngineError."""
    document = new_document(end, record_id, form)
    made = engines.create_record(caller, RELATIONS, document, key=form.get("key", ""))
    _note(db, caller, "create", made["id"], {"version": made["version"]})


def change_end(
    db: Database, engines: EngineClient, caller: Caller, relation_id: UUID, *, version: int, ends_on: str
) -> None:
    """Change the last day, if the relation is still at `version`. Raises EngineError."""
    patch: Document = {"ends_on": ends_on.strip() or None}
    after = engines.change_record(caller, RELATIONS, relation_id, version=version, patch=patch)
    if after["version"] != version:
        _note(db, caller, "change", relation_id, {"fields": sorted(patch), "version": after["version"]})


def delete_relation(
    db: Database, engines: EngineClient, caller: Caller, relation_id: UUID, *, version: int
) -> None:
    """Delete a relation, if it is still at `version`. Raises EngineError."""
    engines.delete_record(caller, RELATIONS, relation_id, version=version)
    _note(db, caller, "delete", relation_id, {"version": version})


def chosen_in(form: Mapping[str, str]) -> str:
    """The other end that a form names."""
    return form.get(CHOSEN, "").strip()


def _note(
    db: Database, caller: Caller, verb: str, relation_id: UUID | str, detail: Mapping[str, Any]
) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=f"{verb}-relation",
            object=f"relation/{relation_id}",
            detail=dict(detail),
            request_id=caller.request_id,
        )
