"""What a merged record has, and what undoing a merge puts back. Pure; values are plain, as JSON has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from looma_core.problems import FieldError, ValidationProblem

LISTS: Final = ("skills", "experience", "education")
_WHAT_TELLS_APART: Final = {
    "experience": ("company", "title", "start"),
    "education": ("institution", "degree", "start"),
}
_SPACE: Final = re.compile(r"\s+")

Values = Mapping[str, Any]


def merged_values(kept: Values, other: Values, takes: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the record that stays.

    | field is named as | it has                                                        |
    | ----------------- | ------------------------------------------------------------- |
    | keep              | what the kept record has                                      |
    | other             | what the other one has, also where that is nothing            |
    | both              | of a list the kept record's entries, then the other's new ones |
    | not at all        | a list: both; else the kept record's value, or the other's where it has none |

    Raises:
        ValidationProblem: `both` is asked of a field that is no list.
    """
    wrong = [
        FieldError(field=f"fields.{name}", message="is no list: take `keep` or `other`")
        for name, take in takes.items()
        if take == "both" and name not in LISTS
    ]
    if wrong:
        raise ValidationProblem(errors=wrong)
    return {name: _chosen(name, kept[name], other[name], takes.get(name)) for name in kept}


def joined(name: str, mine: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """The entries of both lists, one that is in both once: as the kept record has it, gaps filled by the other's."""
    found: dict[object, Any] = {}
    for entry in (*mine, *theirs):
        key = _key(name, entry)
        before = found.get(key)
        if isinstance(before, Mapping) and isinstance(entry, Mapping):
            gaps = {part: value for part, value in entry.items() if before.get(part) is None}
            found[key] = {**before, **gaps}
        elif key not in found:
            found[key] = entry
    return list(found.values())


@dataclass(frozen=True, kw_only=True)
class PutBack:
    """What undoing a merge writes, and the fields that stand in its way."""

    values: dict[str, Any]
    changed_since: tuple[str, ...]


def put_back(*, before: Values, after: Values, now: Values) -> PutBack:
    """The fields of the record that stayed, as they were before the merge.

    | field, by the merge | since then            | is                                         |
    | ------------------- | --------------------- | ------------------------------------------ |
    | was not changed     | anything              | as it is now                               |
    | was changed         | not changed           | as before                                  |
    | was changed         | changed back          | as before                                  |
    | was changed         | changed to another    | as before, and named in `changed_since`    |

    Args:
        before: the fields that the merge changed, as they were.
        after: the same fields as the merge made them.
        now: all fields as they are.
    """
    since = [name for name in before if now[name] not in (before[name], after[name])]
    return PutBack(values={**now, **before}, changed_since=tuple(since))


def _chosen(name: str, mine: Any, theirs: Any, take: str | None) -> Any:  # noqa: ANN401 - any JSON value
    if take is None:
        take = "both" if name in LISTS else ("keep" if mine is not None else "other")
    if take == "both":
        return joined(name, mine, theirs)
    return mine if take == "keep" else theirs


def _key(name: str, entry: Any) -> object:  # noqa: ANN401 - as above
    if isinstance(entry, Mapping):
        return tuple(_spelled(entry.get(part)) for part in _WHAT_TELLS_APART[name])
    return _spelled(entry)


def _spelled(text: str | None) -> str:
    return _SPACE.sub(" ", text or "").strip().casefold()
