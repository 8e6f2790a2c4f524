"""The form in which a person puts a refused record right, and what it means. Pure.

Its fields are those of the kind of record. What is neither a text, a number nor a list of texts is written as JSON: a
sync job's people know the form of their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from looma_core.api.company import CompanyFields
from looma_core.api.job import JobFields
from looma_core.api.relation import RelationFields
from looma_core.api.talent import TalentFields

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "talent": TalentFields,
    "company": CompanyFields,
    "job": JobFields,
    "relation": RelationFields,
}
LONG = {"summary", "description", "note"}
LISTS = {"skills", "aliases"}
JSON = {"experience", "education", "salary"}


@dataclass(frozen=True, kw_only=True)
class Box:
    """One field of the form: `shape` is line, text, list or json."""

    name: str
    shape: str
    value: str


def _shape(name: str) -> str:
    if name in JSON:
        return "json"
    return "list" if name in LISTS else "text" if name in LONG else "line"


def boxes(entity: str, draft: Mapping[str, Any] | None) -> list[Box]:
    """The form of what the source had; a value that does not fit its field is shown as JSON has it."""
    found = draft or {}
    return [
        Box(name=name, shape=_shape(name), value=_shown(_shape(name), found.get(name)))
        for name in STRUCTS[entity].__struct_fields__
    ]


def sent_boxes(entity: str, form: Mapping[str, str]) -> list[Box]:
    """The form as it was sent."""
    return [
        Box(name=name, shape=_shape(name), value=form.get(name, ""))
        for name in STRUCTS[entity].__struct_fields__
    ]


def _shown(shape: str, value: object) -> str:
    if value is None:
        return ""
    if shape == "list" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def left_out(entity: str, draft: Mapping[str, Any] | None) -> list[str]:
    """Names that the source has and the kind of record has not."""
    return sorted(set(draft or ()) - set(STRUCTS[entity].__struct_fields__))


def draft_of(entity: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The record that a form means. What should be JSON and is none stays a text: the engine says what is wrong."""
    draft: dict[str, Any] = {}
    for name in STRUCTS[entity].__struct_fields__:
        text = form.get(name, "").replace("\r\n", "\n").strip()
        if not text:
            continue
        shape = _shape(name)
        if shape == "list":
            draft[name] = [line.strip() for line in text.split("\n") if line.strip()]
        elif shape == "json" or name in {"openings", "experience_years"}:
            draft[name] = _json(text)
        else:
            draft[name] = text
    return draft


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
