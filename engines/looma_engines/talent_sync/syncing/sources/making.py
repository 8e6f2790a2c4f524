"""A record of what a source has: its key, its time, and all else as a draft has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from looma_core.api.syncjob import SourceBase
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.exchange.columns import from_columns

from ..source_row import KEY_LIMIT, SourceRow
from .mapping import DriftError, find, picked


def row_of(
    values: Mapping[str, Any],
    *,
    position: int,
    source: SourceBase,
    entity: str,
    cursor: str = "",
    anchor: int | None = None,
    cells: bool = False,
    strict: bool = False,
    nulls: bool = True,
) -> SourceRow:
    """The record of plain values, as JSON has them.

    Args:
        values: what the source has.
        position: where it stands, from 1.
        source: what the SyncJob says of it.
        entity: what it is to be.
        cursor: where to go on after it.
        anchor: as of `SourceRow`.
        cells: whether the values are cells of a file with columns.
        strict: whether every record has all names, so that one that is missing is a fault.
        nulls: whether null is a value; where not, as in databases, it says that there is none.
    """
    faults: list[FieldError] = []
    if source.fields:
        key, moment = (_at(values, path, faults) for path in (source.key, source.updated_at))
        given, wrong = picked(values, source.fields, strict=strict)
        faults += wrong
        # Of what nobody takes nothing is kept, and a change of it is none.
        kept = {"id": key, "updated_at": moment, **given}
    else:
        kept, given = dict(values), dict(values)
        key, moment = given.pop(source.key, None), given.pop(source.updated_at, None)
    if not nulls:
        given = {name: value for name, value in given.items() if value is not None}
    # As one text, so that neither spaces nor the order of names make a record another one.
    raw = msgspec.json.encode(kept, order="sorted")
    key = str(key).strip() if isinstance(key, (str, int)) and not isinstance(key, bool) else ""
    if not key or len(key) > KEY_LIMIT or "\x00" in key:
        asked = f"the source's own id is asked for, of 1 to {KEY_LIMIT} characters"
        faults.append(FieldError(field=source.key, message=asked))
        key = ""
    updated_at = None
    if moment not in (None, ""):
        updated_at = time_of(moment)
        if updated_at is None:
            faults.append(FieldError(field=source.updated_at, message="write a time as 2026-05-01T12:00:00Z"))
    if cells:
        try:
            given = from_columns(entity, {name: str(cell) for name, cell in given.items()})
        except ValidationProblem as problem:
            faults += problem.errors
    elif "source" in given:
        faults.append(FieldError(field="source", message="is not a known field"))
    return SourceRow(
        position=position,
        key=key,
        values={} if faults else given,
        updated_at=updated_at,
        faults=tuple(faults),
        raw=raw,
        cursor=cursor,
        anchor=anchor,
    )


def time_of(value: object) -> datetime | None:
    """The moment that a source wrote; one without a time zone is UTC, None for what is none."""
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _at(values: Mapping[str, Any], path: str, faults: list[FieldError]) -> Any:  # noqa: ANN401 - any plain value
    try:
        found = find(values, path)
    except DriftError as error:
        faults.append(FieldError(field=path, message=str(error)))
        return None
    return None if found is msgspec.UNSET else found
