"""From a form to a document and to a merge patch, and back. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from looma_console.records.kinds import Field, Kind

Document = dict[str, Any]
_BETWEEN = re.compile(r"[,，、;；\n]+")


def with_times(document: Document) -> Document:
    """The document with its times as times, for the pages."""
    times = {name: dt.datetime.fromisoformat(document[name]) for name in ("created_at", "updated_at")}
    return document | times


def value_of(document: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    """What stands at a dotted name; None where nothing does."""
    found: Any = document
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def shown(document: Mapping[str, Any], field: Field) -> str:
    """What a form's field holds for a document."""
    value = value_of(document, field.name)
    if value is None:
        return ""
    return ", ".join(value) if field.shape == "list" else str(value)


def read_field(field: Field, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value that a form's text means; None for an empty one, an empty list for no entries.

    What should be a number and is none stays a text: the engine says what is wrong with it.
    """
    text = text.replace("\r\n", "\n").strip()
    if field.shape == "list":
        return [entry.strip() for entry in _BETWEEN.split(text) if entry.strip()]
    if not text:
        return None
    if field.shape == "number":
        digits = text.replace(" ", "").replace(",", "")
        return int(digits) if digits.isascii() and digits.isdigit() else text
    return text


def _given(kind: Kind, form: Mapping[str, str]) -> Iterator[tuple[Field, Any]]:
    for field in kind.fields:
        if field.name in form:
            yield field, read_field(field, form[field.name])


def _put(document: Document, name: str, value: Any) -> None:  # noqa: ANN401
    *path, last = name.split(".")
    for part in path:
        document = document.setdefault(part, {})
    document[last] = value


def new_document(kind: Kind, form: Mapping[str, str]) -> Document:
    """The draft that a form means. A salary of which no figure is given is none."""
    document: Document = {}
    for field, value in _given(kind, form):
        if value not in (None, []):
            _put(document, field.name, value)
    return _without_empty_salary(document)


def patch_of(kind: Kind, before: Mapping[str, Any], form: Mapping[str, str]) -> Document:
    """The merge patch that a form means: only what differs; what was emptied is taken away."""
    patch: Document = {}
    for field, value in _given(kind, form):
        current = value_of(before, field.name)
        if value != (current if current is not None or field.shape != "list" else []):
            _put(patch, field.name, value)
    if "salary" in patch:
        after = {**(before.get("salary") or {}), **patch["salary"]}
        if after.get("min") is None and after.get("max") is None:
            patch["salary"] = None
            if before.get("salary") is None:
                del patch["salary"]
    return patch


def _without_empty_salary(document: Document) -> Document:
    salary = document.get("salary")
    if salary is not None and "min" not in salary and "max" not in salary:
        del document["salary"]
    return document


def field_names(document: Mapping[str, Any], before: str = "") -> list[str]:
    """Dotted names of what a patch touches, for the audit: names, never values."""
    names: list[str] = []
    for name, value in document.items():
        here = f"{before}{name}"
        names += field_names(value, f"{here}.") if isinstance(value, Mapping) and value else [here]
    return sorted(names)
