"""What becomes of a record that the source and people here both changed. Pure.

Three versions are compared, field by field: what the source last gave (`base`), what it gives now, and what is stored
here. As in diff3, a field that one side alone changed is that side's; only where both changed it, to something
different, is there a conflict, and a policy says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Policy(StrEnum):
    """Whose value stands where both sides changed a field."""

    NEWEST = "newest"
    SOURCE = "source"
    TARGET = "target"
    FIELD_MERGE = "fieldMerge"
    MANUAL = "manual"


class Resolution(StrEnum):
    """What became of a conflict."""

    SOURCE = "source"
    TARGET = "target"
    MERGED = "merged"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True)
class Times:
    """When each side was last changed; None where the source does not say."""

    source: datetime | None
    target: datetime


@dataclass(frozen=True, kw_only=True)
class FieldConflict:
    """A field that both sides changed, and what became of it. `reason` holds nothing of the record."""

    field: str
    base: Any
    source: Any
    target: Any
    resolution: Resolution
    reason: str


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The fields as they are to be stored."""

    values: dict[str, Any]
    conflicts: tuple[FieldConflict, ...]


def merge(
    *,
    base: Mapping[str, Any] | None,
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    policy: Policy,
    by_field: Mapping[str, Policy],
    times: Times,
) -> Merged:
    """Bring the two sides together.

    Args:
        base: fields as the source last gave them; None where it never did. Then what is empty here is the source's to
            fill, and what differs is a conflict.
        source: fields as it gives them now, plain values.
        target: fields as they are stored here; the same names.
        policy: what holds for a field that `by_field` does not name.
        by_field: what holds for single fields.
        times: for the policy `newest`.
    """
    values: dict[str, Any] = {}
    conflicts = []
    for name, ours in target.items():
        theirs = source[name]
        before = base.get(name) if base is not None else None
        if theirs == ours or (base is not None and theirs == before):
            values[name] = ours
        elif ours == before or (base is None and ours in (None, [])):
            values[name] = theirs
        else:
            value, resolution, reason = _settled(
                by_field.get(name, policy), before=before, theirs=theirs, ours=ours, times=times
            )
            values[name] = value
            conflicts.append(
                FieldConflict(
                    field=name,
                    base=before,
                    source=theirs,
                    target=ours,
                    resolution=resolution,
                    reason=reason,
                )
            )
    return Merged(values=values, conflicts=tuple(conflicts))


def _settled(
    policy: Policy, *, before: object, theirs: object, ours: object, times: Times
) -> tuple[object, Resolution, str]:
    if policy is Policy.SOURCE:
        return theirs, Resolution.SOURCE, "the policy of this field is source"
    if policy is Policy.TARGET:
        return ours, Resolution.TARGET, "the policy of this field is target"
    if policy is Policy.MANUAL:
        return ours, Resolution.OPEN, "the policy of this field is manual: a person decides"
    if policy is Policy.FIELD_MERGE and isinstance(theirs, list) and isinstance(ours, list):
        return _lists(before, theirs, ours), Resolution.MERGED, "what either side added or took away was kept"
    return _newest(theirs=theirs, ours=ours, times=times)


def _newest(*, theirs: object, ours: object, times: Times) -> tuple[object, Resolution, str]:
    if times.source is None:
        return ours, Resolution.OPEN, "the source does not say when it changed: a person decides"
    if times.source > times.target:
        return theirs, Resolution.SOURCE, "the source's change is the later one"
    return ours, Resolution.TARGET, "the change here is the later one"


def _lists(before: object, theirs: list[Any], ours: list[Any]) -> list[Any]:
    """Ours without what the source took away, then what the source added; items may be of any JSON type."""
    known = before if isinstance(before, list) else []
    taken_away = [item for item in known if item not in theirs]
    kept = [item for item in ours if item not in taken_away]
    # What is known and missing here was taken away here.
    return [*kept, *(item for item in theirs if item not in known and item not in kept)]
