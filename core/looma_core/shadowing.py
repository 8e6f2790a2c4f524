"""What a copy of a request is: three headers, a mark on the request under way, and a problem. No framework here.

The gateway names another service in `TARGET_HEADER`, and in `IGNORE_HEADER` what differs by its nature; the HTTP frame
answers the request and then sends a copy of it there (`looma_core.http.shadow`), with `COPY_HEADER`. Callers can send
none of them: the gateway and the console take away every `X-Looma-*`. What serves a copy (`in_copy`) must leave nothing
behind: `looma_core.db` rolls back instead of committing, and what cannot be taken back is refused with `CopyRefused`.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

from looma_core.problems import ProblemError

TARGET_HEADER: Final = "X-Looma-Shadow"
"""Names the AIService that gets a copy, or, as `NAME/r2`, one revision of it: a canary."""

IGNORE_HEADER: Final = "X-Looma-Shadow-Ignore"
"""Places of an answer whose differences count for nothing, with commas between."""

COPY_HEADER: Final = "X-Looma-Shadowed"
"""Marks a copy."""

# Of an AIService, as its definition has it: a label of RFC 1035 that leaves room for `-stable`.
_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?")

_REVISION = re.compile(r"r[1-9][0-9]{0,8}")
_STABLE = "{name}-stable"

# A JSON pointer of plain names, of which `*` stands for any one; no comma and nothing that HAProxy would read.
_PLACE = re.compile(r"(?:/(?:\*|[A-Za-z0-9_.-]+))+")
LONGEST_PLACE = 100
MOST_IGNORED = 20

_copy: ContextVar[bool] = ContextVar("looma_copy", default=False)


class CopyRefused(ProblemError):
    """A copy would have left something behind."""

    name, status, title = "copy-refused", 409, "A copy of a request may change nothing"


def is_service_name(text: str) -> bool:
    """Whether this can be an AIService's name, and nothing more than a name."""
    return _NAME.fullmatch(text) is not None


def is_target(text: str) -> bool:
    """Whether this can name who gets a copy: a service, or one revision of it."""
    name, slash, revision = text.partition("/")
    return is_service_name(name) and (not slash or _REVISION.fullmatch(revision) is not None)


def address_of(target: str, template: str, *, namespace: str) -> str:
    """The base URL of who gets a copy, from that of an AIService with `{name}` and `{namespace}`.

    A revision has a Service of its own, which is named after it where a service's ends in `-stable`.

    | target    | template                        | answer                |
    | --------- | ------------------------------- | --------------------- |
    | people    | http://{name}-stable.{namespace} | http://people-stable.looma |
    | people/r2 | http://{name}-stable.{namespace} | http://people-r2.looma     |
    | people/r2 | http://127.0.0.1:9000           | http://127.0.0.1:9000 |
    """
    name, _, revision = target.partition("/")
    if revision:
        template = template.replace(_STABLE, f"{{name}}-{revision}")
    return template.format(name=name, namespace=namespace)


def is_place(text: str) -> bool:
    """Whether this can be a place that is ignored: `/items/*/id`."""
    return len(text) <= LONGEST_PLACE and _PLACE.fullmatch(text) is not None


def ignored_places(header: str) -> tuple[str, ...]:
    """The places that `IGNORE_HEADER` names; what is none is left out, so that more is compared and not less."""
    return tuple(place for place in header.split(",") if is_place(place))[:MOST_IGNORED]


def enter(*, copy: bool) -> None:
    """Say whether the request of this task is a copy; each request has a task of its own."""
    _copy.set(copy)


def in_copy() -> bool:
    """Whether the request under way is a copy, whose traces must go."""
    return _copy.get()


def refuse_in_copy(what: str) -> None:
    """Refuse to do, for a copy, what could not be taken back.

    Args:
        what: what would be done, to follow "It would".

    Raises:
        CopyRefused: the request under way is a copy.
    """
    if in_copy():
        raise CopyRefused(f"It would {what}, which could not be taken back.")
