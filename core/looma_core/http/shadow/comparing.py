"""What differs between the answer that a caller got and the answer to its copy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

MOST_PLACES = 20
"""Places that a difference names; answers that differ everywhere say so with as many."""

MOST_POINTER = 200
"""Characters of a place; keys come from documents, and may be long."""

_PROBLEM = "application/problem+json"
# The id of the request: a copy has one of its own, and no two requests share it.
_REQUEST_ID = "/instance"
_CHANGING_STATUS = "status"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as a caller sees it; `content_type` without parameters and in lower case."""

    status: int
    content_type: str = ""
    body: bytes = b""


def differences(real: Answer, copy: Answer, ignored: Sequence[str] = ()) -> tuple[str, ...]:
    """Where the two differ; nothing if they are the same.

    `ignored` are places whose differences, and those of all within them, count for nothing; `*` in one stands for any
    name or index.

    | the answers                                   | answer                                              |
    | --------------------------------------------- | --------------------------------------------------- |
    | same status, same bytes                       | ()                                                  |
    | another status                                | ("status",); bodies of two statuses are two things  |
    | same JSON, in whatever order its keys are     | ()                                                  |
    | other JSON                                    | JSON pointers (RFC 6901) of at most MOST_PLACES     |
    | other bytes, and one of them is no JSON       | ("",), the pointer of the whole                     |

    No values, as they may tell of a person. Problem details differ in `instance` by their nature, which counts for
    nothing.
    """
    if real.status != copy.status:
        return (_CHANGING_STATUS,)
    if real.body == copy.body:
        return ()
    if not (is_json(real.content_type) and is_json(copy.content_type)):
        return ("",)
    try:
        documents = msgspec.json.decode(real.body), msgspec.json.decode(copy.body)
    # Nested deeper than the decoder follows: by their bytes they differ.
    except (msgspec.DecodeError, RecursionError):
        return ("",)
    found = _places(*documents)
    if real.content_type == _PROBLEM:
        ignored = (*ignored, _REQUEST_ID)
    patterns = [place.split("/") for place in ignored]
    told = (place for place in found if not _is_within(place, patterns))
    return tuple(place[:MOST_POINTER] for place in islice(told, MOST_PLACES))


def is_json(content_type: str) -> bool:
    """Whether a media type stands for JSON: `application/json`, or one that ends with `+json`."""
    return content_type == "application/json" or content_type.endswith("+json")


def _is_within(place: str, patterns: Sequence[Sequence[str]]) -> bool:
    names = place.split("/")
    return any(
        len(names) >= len(pattern)
        and all(wanted in ("*", name) for wanted, name in zip(pattern, names[: len(pattern)], strict=True))
        for pattern in patterns
    )


def _places(real: object, copy: object) -> Iterator[str]:
    """JSON pointers of what differs, those of the outermost values first."""
    # A list of what is left to do, as documents may be nested deeper than Python calls.
    waiting: list[tuple[str, Any, Any]] = [("", real, copy)]
    while waiting:
        at, one, other = waiting.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            inner = []
            for key in [*one, *(key for key in other if key not in one)]:
                place = f"{at}/{_escaped(key)}"
                if key in one and key in other:
                    inner.append((place, one[key], other[key]))
                else:
                    yield place
            waiting += reversed(inner)
        elif isinstance(one, list) and isinstance(other, list):
            pairs = list(zip(one, other, strict=False))
            for index in range(len(pairs), max(len(one), len(other))):
                yield f"{at}/{index}"
            waiting += [(f"{at}/{index}", *pairs[index]) for index in reversed(range(len(pairs)))]
        elif not _same(one, other):
            yield at


def _same(one: object, other: object) -> bool:
    # To Python true is 1; to JSON it is not. 1 and 1.0 are one number to both.
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
