"""Which fields of a record are written back. Pure.

It is asked after a run has read its source: what the source changed is in the record by then, and what both changed is
settled. So the source has what it last gave (`base`), and whatever differs here was changed or settled here.

| here and `base`      | a conflict about it is open | the source has a place for it | what becomes of it   |
| -------------------- | --------------------------- | ----------------------------- | -------------------- |
| the same             | any                         | any                           | nothing              |
| different            | yes                         | any                           | a person decides     |
| different            | no                          | no                            | stays different      |
| different            | no                          | yes                           | written              |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Fields to write, with their values. `waits` where a person is yet to decide about another one."""

    changes: dict[str, Any]
    waits: bool


def offer(
    *,
    base: Mapping[str, Any] | None,
    ours: Mapping[str, Any],
    undecided: Collection[str],
    places: Collection[str],
    put_right: Collection[str] = (),
) -> Offer:
    """What of a record is written, by the table above.

    Args:
        base: what the source last gave; None where it never gave any, and nothing is written over what nobody read.
        ours: the record's fields.
        undecided: fields with an open conflict.
        places: fields that the source has a place for.
        put_right: fields that a person put right in the quarantine: the source has them otherwise.
    """
    if base is None:
        return Offer(changes={}, waits=False)
    different = {
        name: value
        for name, value in ours.items()
        if name in places and (name in put_right or value != base.get(name))
    }
    changes = {name: value for name, value in different.items() if name not in undecided}
    return Offer(changes=changes, waits=len(changes) < len(different))


def without_own(
    base: Mapping[str, Any] | None, source: Mapping[str, Any], intended: Collection[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """What the source last gave, and of what was written there since what it has now.

    A value that the source has as it was meant to be written is no change of the source's own, whether a worker lived
    to hear of it or not.

    Args:
        base: what the source last gave.
        source: what it gives now.
        intended: what was meant to be written and may have been, fields with their values.
    """
    if base is None or not intended:
        return base
    own = {
        name: value
        for values in intended
        for name, value in values.items()
        if name in source and source[name] == value
    }
    return {**base, **own}
