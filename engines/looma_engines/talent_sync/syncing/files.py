"""Reads the records of a file: one JSON object a line, or CSV with a first line of names.

What is no record becomes a row with a fault, and the rest goes on. Memory does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from looma_core.api.syncjob import Source
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.exchange.columns import BESIDE, from_columns
from looma_engines.talent_sync.exchange.reading import Row, RowFault, read_rows

from .source_row import KEY_LIMIT, SourceRow

__all__ = ["BESIDE", "read_file", "row_of", "time_of"]


def read_file(path: Path, source: Source, entity: str) -> Iterator[SourceRow]:
    """The records of a file; their position is the line that they begin on.

    Raises:
        OSError: it cannot be read.
        ValidationProblem: it is no CSV with a first line of names.
    """
    with path.open("rb") as file:
        for found in read_rows(file, source.type):
            yield _faulty(found) if isinstance(found, RowFault) else row_of(found, source, entity)


def _faulty(fault: RowFault) -> SourceRow:
    return SourceRow(
        position=fault.line,
        key="",
        values={},
        faults=(FieldError(field="record", message=fault.reason),),
        raw=fault.raw,
    )


def row_of(row: Row, source: Source, entity: str) -> SourceRow:
    """The record of a row: its key, its time, and all else as a draft has it."""
    # As one text, so that neither spaces nor the order of names make a record another one.
    raw = msgspec.json.encode(row.values, order="sorted")
    given = dict(row.values)
    faults: list[FieldError] = []
    key, moment = given.pop(source.key, None), given.pop(source.updated_at, None)
    key = str(key).strip() if isinstance(key, (str, int)) and not isinstance(key, bool) else ""
    if not key or len(key) > KEY_LIMIT or "\x00" in key:
        faults.append(
            FieldError(
                field=source.key, message=f"the source's own id is asked for, of 1 to {KEY_LIMIT} characters"
            )
        )
        key = ""
    updated_at = None
    if moment not in (None, ""):
        updated_at = time_of(moment)
        if updated_at is None:
            faults.append(FieldError(field=source.updated_at, message="write a time as 2026-05-01T12:00:00Z"))
    values: Mapping[str, Any] = given
    if source.type == "csv":
        try:
            values = from_columns(entity, {name: str(cell) for name, cell in given.items()})
        except ValidationProblem as problem:
            faults += problem.errors
    elif "source" in given:
        faults.append(FieldError(field="source", message="is not a known field"))
    return SourceRow(
        position=row.line,
        key=key,
        values={} if faults else dict(values),
        updated_at=updated_at,
        faults=tuple(faults),
        raw=raw,
    )


def time_of(value: object) -> datetime | None:
    """The moment that a source wrote; one without a time zone is UTC, None for what is none."""
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
