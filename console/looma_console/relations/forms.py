"""From a form to a document, and from the engine's answer to a line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask_babel import LazyString

from looma_console.relations.words import BY_FIELD, OF_OTHER, OF_PERSON, PEOPLE, End
from looma_core.api.relation import OBJECTS
from looma_core.problems import FieldError

Document = dict[str, Any]
CHOSEN = "object"
"""The form's field for the end that the page is not about."""
PLAIN = ("title", "starts_on", "ends_on", "note")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One relation as it reads from a page: `word` and the other end, which is a record of `end`."""

    id: str
    version: int
    word: LazyString | str
    end: End
    other_id: str
    other_name: str
    title: str | None
    starts_on: str | None
    ends_on: str | None
    note: str | None


def line_of(relation: Mapping[str, Any], *, seen_from: UUID) -> Line:
    """A relation as it reads from one of its ends."""
    kind, field = relation["kind"], OBJECTS[relation["kind"]]
    from_person = relation["talent_id"] == str(seen_from)
    end = BY_FIELD[field] if from_person else PEOPLE
    other_id = relation[field] if from_person else relation["talent_id"]
    name = relation.get(end.name if from_person else "talent_name")
    words = OF_PERSON if from_person else OF_OTHER
    return Line(
        id=relation["id"],
        version=relation["version"],
        word=words.get(kind, kind),
        end=end,
        other_id=other_id,
        other_name=name or other_id,
        **{plain: relation.get(plain) for plain in PLAIN},
    )


def other_end(end: End, kind: str) -> End:
    """Of which kind the records are that a relation of `kind`, added on a page of `end`, can be chosen from."""
    return BY_FIELD[OBJECTS[kind]] if end is PEOPLE else PEOPLE


def new_document(end: End, record_id: UUID, form: Mapping[str, str]) -> Document:
    """The draft that a form means on the page of a record."""
    kind, chosen = form.get("kind", ""), form.get(CHOSEN, "").strip()
    document: Document = {"kind": kind}
    here, there = ("talent_id", OBJECTS.get(kind, "")) if end is PEOPLE else (end.field, "talent_id")
    document[here] = str(record_id)
    if there and chosen:
        document[there] = chosen
    for name in PLAIN:
        if text := form.get(name, "").replace("\r\n", "\n").strip():
            document[name] = text
    return document


def at_fields(end: End, kind: str, errors: Iterable[FieldError]) -> dict[str, str]:
    """What is wrong, by the form's fields: the end that was chosen is called otherwise there."""
    chosen = OBJECTS.get(kind) if end is PEOPLE else "talent_id"
    return {CHOSEN if error.field == chosen else error.field: error.message for error in errors}
