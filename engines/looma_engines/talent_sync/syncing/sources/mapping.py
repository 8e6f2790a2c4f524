"""Which field of a record is taken from where in the source. Pure.

| in `spec.source.fields`                     | what it takes                                         |
| ------------------------------------------- | ----------------------------------------------------- |
| `full_name: name`                           | the column or member `name`                           |
| `email: contact.email`                      | the member of a member                                |
| `phone: phones[0]`                          | the first of a list                                   |
| `skills: tags[*].label`                     | a member of each of a list                            |
| `salary.min: pay.from`                      | into a member of a field                              |
| `experience[].company: posts[*].employer`   | into a member of each of a list, beside other members |

What a record does not have is left out; something else where the path goes on is a fault: the source has changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from looma_core.problems import FieldError

_STEP = r"[^.\[\]]+(?:\[(?:\*|[0-9]{1,4})\])?"
_PATH = re.compile(rf"{_STEP}(?:\.{_STEP})*")
_TARGET = re.compile(r"[a-z_]+(?:(?:\[\])?\.[a-z_]+)?")
_EACH, _IN_EACH = "[*]", "[]."


class Picked(NamedTuple):
    """What was taken, and what is wrong with it."""

    values: dict[str, Any]
    faults: tuple[FieldError, ...]


class DriftError(Exception):
    """There is something else where a path goes on."""


def wrong_paths(fields: Mapping[str, str]) -> list[str]:
    """What is wrong with a mapping, a sentence each."""
    wrong = []
    for target, path in fields.items():
        if not _TARGET.fullmatch(target):
            wrong.append(f"fields.{target}: write a field, as email, salary.min or experience[].title")
        elif not _PATH.fullmatch(path) or (_IN_EACH in target and _EACH + "." not in path):
            wrong.append(f"fields.{target}: write a path, as name, contact.email or posts[*].title")
    return wrong


def picked(values: Mapping[str, Any], fields: Mapping[str, str], *, strict: bool = False) -> Picked:
    """The fields of a record.

    Args:
        values: what the source has.
        fields: paths by fields.
        strict: whether each record has every name that a path begins with, as rows of a table do.
    """
    taken: dict[str, Any] = {}
    faults = []
    for target, path in fields.items():
        if strict and path not in values and re.split(r"[.\[]", path)[0] not in values:
            message = f"the source has no {path} any more"
            faults.append(FieldError(field=target.partition("[")[0], message=message))
            continue
        try:
            _put(taken, target, values, path)
        except DriftError as error:
            faults.append(FieldError(field=target.partition("[")[0], message=str(error)))
    return Picked(taken, tuple(faults))


def find(values: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - any plain value
    """What stands at a path, UNSET where nothing does.

    Raises:
        DriftError: something stands where the path goes on, and it has no members or is no list.
    """
    # A column's own name may have a dot in it.
    return values[path] if path in values else _follow(values, path.split("."), path)


def _follow(value: Any, steps: list[str], path: str) -> Any:  # noqa: ANN401 - any plain value
    for number, step in enumerate(steps):
        name, _, index = step.partition("[")
        if value is None:
            return msgspec.UNSET
        if not isinstance(value, Mapping):
            raise DriftError(f"the source has no object where {path} goes on")
        if name not in value:
            return msgspec.UNSET
        value = value[name]
        if not index:
            continue
        if value is None:
            return msgspec.UNSET
        if not isinstance(value, list):
            raise DriftError(f"the source has no list where {path} goes on")
        if index == "*]":
            rest = steps[number + 1 :]
            found = [_follow(item, rest, path) for item in value] if rest else value
            return [item for item in found if item is not msgspec.UNSET]
        at = int(index[:-1])
        if at >= len(value):
            return msgspec.UNSET
        value = value[at]
    return value


def _put(taken: dict[str, Any], target: str, values: Mapping[str, Any], path: str) -> None:
    if _IN_EACH in target:
        field, member = target.split(_IN_EACH)
        before, after = path.split(_EACH + ".", 1)
        items = find(values, before)
        if items is msgspec.UNSET or items is None:
            return
        if not isinstance(items, list):
            raise DriftError(f"the source has no list where {path} goes on")
        into = taken.setdefault(field, [{} for _ in items])
        if len(into) != len(items):
            raise DriftError(
                f"the source has another number of items for {target} than for its other members"
            )
        for one, item in zip(into, items, strict=True):
            found = _follow(item, after.split("."), path)
            if found is not msgspec.UNSET:
                one[member] = found
        return
    found = find(values, path)
    if found is msgspec.UNSET:
        return
    field, _, member = target.partition(".")
    if member:
        taken.setdefault(field, {})[member] = found
    else:
        taken[field] = found
