"""The flat form of each kind of record, for files with columns. Pure.

`COLUMNS` says which column holds which field. `from_columns` makes of a row what a client would send as JSON, without
`source`; `to_columns` makes a row of a draft or a record. What the one wrote the other reads back unchanged.

| cell  | field that may be null | list of texts, JSON | field with a value of its own |
| ----- | ---------------------- | ------------------- | ----------------------------- |
| empty | null                   | no items            | is left out                   |

A column that a row lacks leaves its field out, so that a change leaves it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.exchange.cells import defused, joined, restored, split


class Form(Enum):
    """How a field is written in a cell."""

    TEXT = "text"
    NUMBER = "whole number"
    TEXTS = "texts with `; ` between them"
    JSON = "JSON array"


class Column(NamedTuple):
    """What one column holds: a field of a draft, or a field of the object in one.

    Args:
        field: of the draft.
        form: of the cell.
        member: of the object that the field holds.
        optional: whether the field may be null; where not, it must be filled in or has a value of its own.
        required: whether an empty cell is a fault.
    """

    field: str
    form: Form = Form.TEXT
    member: str | None = None
    optional: bool = True
    required: bool = False


COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "talent": {
        "full_name": Column("full_name", optional=False, required=True),
        "email": Column("email"),
        "phone": Column("phone"),
        "location": Column("location"),
        "headline": Column("headline"),
        "summary": Column("summary"),
        "language": Column("language", optional=False),
        "skills": Column("skills", Form.TEXTS),
        "experience": Column("experience", Form.JSON),
        "education": Column("education", Form.JSON),
    },
    "company": {
        "name": Column("name", optional=False, required=True),
        "aliases": Column("aliases", Form.TEXTS),
        "registration_number": Column("registration_number"),
        "website": Column("website"),
        "industry": Column("industry"),
        "size": Column("size"),
        "location": Column("location"),
        "description": Column("description"),
        "language": Column("language", optional=False),
    },
    "job": {
        "title": Column("title", optional=False, required=True),
        "company_id": Column("company_id"),
        "company_name": Column("company_name"),
        "status": Column("status", optional=False),
        "location": Column("location"),
        "workplace": Column("workplace"),
        "employment": Column("employment"),
        "description": Column("description"),
        "skills": Column("skills", Form.TEXTS),
        "experience_years": Column("experience_years", Form.NUMBER),
        "degree": Column("degree"),
        "salary_min": Column("salary", Form.NUMBER, "min"),
        "salary_max": Column("salary", Form.NUMBER, "max"),
        "salary_currency": Column("salary", Form.TEXT, "currency", optional=False),
        "salary_per": Column("salary", Form.TEXT, "per", optional=False),
        "openings": Column("openings", Form.NUMBER, optional=False),
        "opens_on": Column("opens_on"),
        "closes_on": Column("closes_on"),
        "language": Column("language", optional=False),
    },
    "relation": {
        "kind": Column("kind", optional=False, required=True),
        "talent_id": Column("talent_id", optional=False, required=True),
        "company_id": Column("company_id"),
        "job_id": Column("job_id"),
        "other_talent_id": Column("other_talent_id"),
        "title": Column("title"),
        "starts_on": Column("starts_on"),
        "ends_on": Column("ends_on"),
        "note": Column("note"),
    },
}
"""Columns of each kind of record, in the order in which they are written."""

BESIDE = ("id", "version", "source_type", "source_ref", "created_at", "updated_at")
"""Columns beside the draft: which record it is, and of which version."""

TOLD: Mapping[str, tuple[str, ...]] = {
    "relation": ("talent_name", "company_name", "job_title", "other_talent_name"),
}
"""What an export tells of other records, and an import passes over."""

_NUMBER = re.compile(r"-?[0-9]{1,18}")


def header_of(entity_name: str) -> list[str]:
    """The columns of an exported file."""
    return [*BESIDE, *TOLD.get(entity_name, ()), *COLUMNS[entity_name]]


def from_columns(entity_name: str, row: Mapping[str, str]) -> dict[str, object]:
    """What a client would send as JSON for a row, without `source`; columns of `BESIDE` and `TOLD` are passed over.

    Args:
        entity_name: `talent`, `company`, `job` or `relation`.
        row: cells by their columns.

    Raises:
        ValidationProblem: with an error for each column that is not known or whose cell cannot be read.
    """
    columns = COLUMNS[entity_name]
    draft: dict[str, Any] = {}
    errors = []
    for name, cell in row.items():
        if name in BESIDE or name in TOLD.get(entity_name, ()):
            continue
        column = columns.get(name)
        if column is None:
            errors.append(FieldError(field=name, message="is not a known column"))
            continue
        try:
            value = _value(column, cell)
        except ValueError as error:
            errors.append(FieldError(field=name, message=str(error)))
            continue
        if value is msgspec.UNSET:
            continue
        if column.member is None:
            draft[column.field] = value
        else:
            draft.setdefault(column.field, {})[column.member] = value
    if errors:
        raise ValidationProblem(errors=errors)
    for name in {column.field for column in columns.values() if column.member is not None} & draft.keys():
        # Of an object whose cells are all empty nothing is left.
        if all(value is None for value in draft[name].values()):
            draft[name] = None
    return draft


def to_columns(entity_name: str, record: msgspec.Struct) -> dict[str, str]:
    """A row of a draft or a record: a cell for each column, those of `BESIDE` and `TOLD` too where it has them."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    source = plain.get("source") or {}
    beside = {**plain, "source_type": source.get("type"), "source_ref": source.get("ref")}
    row = {}
    if "id" in plain:
        told = (*BESIDE, *TOLD.get(entity_name, ()))
        row = {name: _cell(Form.TEXT, beside.get(name)) for name in told}
    for name, column in COLUMNS[entity_name].items():
        value = plain[column.field]
        if column.member is not None:
            value = (value or {}).get(column.member)
        row[name] = _cell(column.form, value)
    return row


def column_of(entity_name: str, field: str) -> str:
    """The column that holds a field as an error names it: `salary.min` is in `salary_min`, as `source.ref` beside."""
    if (beside := field.replace(".", "_")) in BESIDE:
        return beside
    parts = re.split(r"[.\[]", field, maxsplit=1)
    for name, column in COLUMNS[entity_name].items():
        if column.field == parts[0] and column.member is not None and field == f"{parts[0]}.{column.member}":
            return name
    return field


def _value(column: Column, cell: str) -> object:
    """What a cell says, UNSET where it says nothing; raises ValueError with what to write."""
    text = restored(cell)
    if not cell:
        if column.required:
            raise ValueError("is required")
        if column.form in (Form.TEXTS, Form.JSON):
            return []
        return None if column.optional else msgspec.UNSET
    if column.form is Form.TEXTS:
        return split(text)
    if column.form is Form.JSON:
        return _json(text)
    if column.form is Form.NUMBER:
        if not _NUMBER.fullmatch(text.strip()):
            raise ValueError("write a whole number, in digits alone")
        return int(text)
    return text


def _json(text: str) -> list[object]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("is not JSON: write an array of objects") from None
    if not isinstance(value, list):
        raise ValueError("write a JSON array of objects")  # noqa: TRY004 - of a cell, not of our own types
    return value


def _cell(form: Form, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None or value == []:
        return ""
    if form is Form.TEXTS:
        return defused(joined(value))
    if form is Form.JSON:
        return msgspec.json.encode(value).decode()
    return defused(str(value))
