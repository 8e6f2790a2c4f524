"""What a row of a file asks for: which record, and which fields. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_args
from uuid import UUID

from looma_core.api.reading import read
from looma_core.api.source import Source, SourceType
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.exchange.cells import restored
from looma_engines.talent_sync.exchange.columns import TOLD, from_columns
from looma_engines.talent_sync.exchange.reading import Format

_TIMES = ("created_at", "updated_at")


class Candidate(NamedTuple):
    """One row.

    Args:
        id: of the record that it changes, where the file says so.
        version: that the row was exported with; a record that was changed since is not overwritten.
        source: where it came from; a record that came from there is changed.
        fields: as a client would send them; what is not there stays as it is.
    """

    id: UUID | None
    version: int | None
    source: Source
    fields: dict[str, Any]


def candidate(entity_name: str, file_format: Format, values: Mapping[str, Any]) -> Candidate:
    """Read a row.

    | format | which record                                   | fields                          |
    | ------ | ---------------------------------------------- | ------------------------------- |
    | csv    | `id`, `version`, `source_type`, `source_ref`   | the other columns               |
    | jsonl  | `id`, `version`, `source`                      | the other members               |

    `created_at`, `updated_at` and the columns of `TOLD` are passed over, so that what was exported can be imported.

    Raises:
        ValidationProblem: cells or members that cannot be read.
    """
    if file_format == "csv":
        return _of_cells(entity_name, values)
    beside = ("id", "version", "source", *_TIMES, *TOLD.get(entity_name, ()))
    fields = {name: value for name, value in values.items() if name not in beside}
    source = values.get("source")
    return Candidate(
        id=_id(values.get("id")),
        version=_version(values.get("version")),
        source=Source() if source is None else _source(source),
        fields=fields,
    )


def _of_cells(entity_name: str, cells: Mapping[str, str]) -> Candidate:
    readers: Mapping[str, Callable[[], object]] = {
        "id": lambda: _id(cells.get("id") or None),
        "version": lambda: _version(cells.get("version") or None),
        "source": lambda: _source_of_cells(cells),
        "fields": lambda: from_columns(entity_name, cells),
    }
    read_cells: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, reader in readers.items():
        try:
            read_cells[name] = reader()
        except ValidationProblem as problem:
            errors += problem.errors
    if errors:
        raise ValidationProblem(errors=errors)
    return Candidate(**read_cells)


def _source(value: object) -> Source:
    """The source of a line of JSON; raises ValidationProblem."""
    if not isinstance(value, dict):
        raise _wrong("source", "write an object with `type` and `ref`")
    try:
        return read(value, Source)
    except ValidationProblem as problem:
        told = [FieldError(field=f"source.{error.field}", message=error.message) for error in problem.errors]
        raise ValidationProblem(errors=told) from None


def _source_of_cells(cells: Mapping[str, str]) -> Source:
    kind = cells.get("source_type") or "manual"
    if kind not in get_args(SourceType):
        raise _wrong("source_type", f"write one of: {', '.join(get_args(SourceType))}")
    try:
        return read({"type": kind, "ref": restored(cells.get("source_ref", "")) or None}, Source)
    except ValidationProblem as problem:
        raise _wrong("source_ref", problem.errors[0].message) from None


def _id(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise _wrong("id", "is not the id of a record") from None


def _version(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong("version", "write a whole number")


def _wrong(field: str, message: str) -> ValidationProblem:
    return ValidationProblem(errors=[FieldError(field=field, message=message)])
