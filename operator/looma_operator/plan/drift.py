"""Whether a child in the cluster still is what was rendered.

Every field that Looma renders must be there with its value; fields that others add (defaults of the API server, an
autoscaler's annotations) are theirs. Lists of named things are compared by name, as server-side apply merges them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from ..names import FIELD_MANAGER
from ..resources import Json

# Keys by which server-side apply merges lists of the kinds that Looma renders; a list whose items have none of them
# is one value.
_KEYS = ("name", "mountPath", "containerPort", "port", "uid", "topologyKey")
# Fields that hold a quantity, or a map of them; elsewhere a text that looks like one (a hash: 3365447e9803) is a text.
_HOLDS_QUANTITY = re.compile(r"(^|\.)(?:(?:limits|requests)\..+|divisor|sizeLimit)$")
# The API's own form but for the exponent, which is kept to what a quantity can be (64 bits and nine places).
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?P<suffix>[eE][+-]?\d{1,2}|[numkMGTPE]|[KMGTPE]i|)"
)
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(1000),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", start=2)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}


LONGEST_QUANTITY = 64
"""Characters; the API refuses what cannot be a 64-bit number with nine places."""


def parse_quantity(value: str | int) -> Decimal:
    """The number that a Kubernetes quantity stands for: 0.25 for 250m, 1073741824 for 1Gi.

    Raises:
        ValueError: if it is no quantity.
    """
    match = _QUANTITY.fullmatch(str(value)) if len(str(value)) <= LONGEST_QUANTITY else None
    if match is None:
        raise ValueError(f"{str(value)!r} is no quantity")
    number, suffix = match["number"], match["suffix"]
    if suffix in _SUFFIXES:
        return Decimal(number) * _SUFFIXES[suffix]
    return Decimal(f"{number}{suffix}")


def _same_scalar(wanted: object, actual: object, path: str) -> bool:
    if wanted == actual:
        return True
    held = _HOLDS_QUANTITY.search(path) is not None
    if held and isinstance(wanted, str | int) and isinstance(actual, str | int):
        # The API server writes quantities in their shortest form: 1000m comes back as 1.
        try:
            return parse_quantity(wanted) == parse_quantity(actual)
        except ValueError:
            return False
    return False


def _list_key(items: list[Any]) -> str | None:
    for key in _KEYS:
        if items and all(isinstance(item, dict) and key in item for item in items):
            return key
    return None


def differs(wanted: Any, actual: Any, path: str = "") -> str | None:  # noqa: ANN401, PLR0911 - any JSON, one rule a return
    """Path of the first field of `wanted` that `actual` lacks or has otherwise, or None if there is none.

    | wanted         | actual                  | answer |
    | -------------- | ----------------------- | ------ |
    | {a: 1}         | {a: 1, b: 2}            | None   |
    | {a: {b: 1}}    | {a: {b: 2}}             | a.b    |
    | {a: []}        | {}                      | None   |
    | [{name: x, v}] | [{name: y}, {name: x, v}] | None |
    | [1, 2]         | [2, 1]                  | the list |
    """
    if wanted == actual:
        # Most parts are alike at most looks, and Python compares them whole far faster than this does by field.
        return None
    if isinstance(wanted, dict):
        if not isinstance(actual, dict):
            # An empty map or list and an absent one are the same to the API server.
            return None if not wanted and actual is None else path
        return _first(
            differs(value, actual.get(key), f"{path}.{key}".lstrip(".")) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(actual, list):
            return None if not wanted and actual is None else path
        key = _list_key(wanted)
        if key is not None:
            by_key = {item.get(key): item for item in actual if isinstance(item, dict)}
            return _first(differs(item, by_key.get(item[key]), f"{path}[{item[key]}]") for item in wanted)
        if len(wanted) != len(actual):
            return path
        return _first(
            differs(mine, theirs, f"{path}[{index}]")
            for index, (mine, theirs) in enumerate(zip(wanted, actual, strict=True))
        )
    if wanted is None or (wanted in ("", 0, False) and actual is None):
        return None
    return None if _same_scalar(wanted, actual, path) else path


def taken_over(actual: Json, fields: Sequence[str]) -> str | None:
    """The first of the fields of spec that somebody else wrote last, or None if there is none.

    For lists that are one value to server-side apply: who adds to one owns all of it, and `differs`, which leaves
    additions alone, does not see it. An object that does not say who manages it tells nothing.

    | looma applied          | answer     |
    | ---------------------- | ---------- |
    | spec.a and spec.b      | None       |
    | spec.a                 | spec.b     |
    | nothing, others did    | spec.a     |
    | nobody did             | None       |
    """
    managed = actual["metadata"].get("managedFields")
    if not managed:
        return None
    owned: set[str] = set()
    for entry in managed:
        if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply"):
            owned |= set((entry.get("fieldsV1") or {}).get("f:spec") or {})
    return _first(None if f"f:{field}" in owned else f"spec.{field}" for field in fields)


def _first(answers: Iterable[str | None]) -> str | None:
    return next((answer for answer in answers if answer is not None), None)
