"""Problem details (RFC 9457): what an error looks like, and the one register of their types.

Raise a subclass of `ProblemError`; `http` turns it into an `application/problem+json` answer. An engine adds
its own types by subclassing; every subclass enters the register, and a test fails where docs/problems.md
lacks one. No framework here: the console uses the same Structs to read answers.
"""

from __future__ import annotations

import ast
import re
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:looma:problem:"

REGISTER: dict[str, type[ProblemError]] = {}
"""All problem types by name."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request."""

    field: Annotated[str, Meta(description="Path of the field, such as `experience[0].start`.")]
    message: Annotated[str, Meta(description="What to write instead.")]


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Body of every answer with a status of 400 or more."""

    type: Annotated[str, Meta(description="`urn:looma:problem:NAME`; the names are in docs/problems.md.")]
    title: str
    status: int
    detail: str | None = None
    instance: Annotated[str | None, Meta(description="The request's id, to be found in the logs.")] = None
    errors: list[FieldError] = msgspec.field(default_factory=list)


class ProblemError(Exception):
    """Base of all errors that a client is told about. Subclasses set `name`, `status` and `title`.

    Args:
        detail: what happened and what to do, for this case; goes to the client, so nothing internal.
        errors: the fields that are wrong.
        headers: extra response headers, such as `Retry-After`.
    """

    name: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = REGISTER.setdefault(cls.name, cls)
        if known.__qualname__ != cls.__qualname__ or known.__module__ != cls.__module__:
            msg = f"problem type {cls.name!r} is defined by both {known.__module__} and {cls.__module__}"
            raise TypeError(msg)

    def problem(self, *, instance: str | None = None) -> Problem:
        """Return the body of the answer; `instance` is the request's id."""
        return Problem(
            type=TYPE_PREFIX + self.name,
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            errors=self.errors,
        )


class BadRequest(ProblemError):
    """The request cannot be read at all: broken JSON, a bad header."""

    name, status, title = "bad-request", 400, "The request cannot be read"


class Unauthenticated(ProblemError):
    """No token, or one that does not hold."""

    name, status, title = "unauthenticated", 401, "A valid token is needed"

    def __init__(self, detail: str | None = None, *, error: str = "invalid_token") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": f'Bearer error="{error}"'})


class Forbidden(ProblemError):
    """The token holds, but its roles do not allow this."""

    name, status, title = "forbidden", 403, "The token's roles do not allow this"


class NotFound(ProblemError):
    """Nothing is there, or not for this tenant."""

    name, status, title = "not-found", 404, "Not found"


class MethodNotAllowed(ProblemError):
    """The path exists, the method does not."""

    name, status, title = "method-not-allowed", 405, "Method not allowed here"


class NotAcceptable(ProblemError):
    """No form of the answer fits the `Accept` header."""

    name, status, title = "not-acceptable", 406, "No such form of the answer"


class Conflict(ProblemError):
    """The request collides with what is stored."""

    name, status, title = "conflict", 409, "This collides with what is stored"


class PreconditionFailed(ProblemError):
    """`If-Match` names another version than the stored one."""

    name, status, title = "precondition-failed", 412, "It was changed in the meantime"


class PayloadTooLarge(ProblemError):
    """The body is larger than this endpoint takes."""

    name, status, title = "payload-too-large", 413, "The request is too large"


class UnsupportedMedia(ProblemError):
    """The body is of a kind that this endpoint does not read."""

    name, status, title = "unsupported-media", 415, "This kind of content is not supported"


class ValidationProblem(ProblemError):
    """The request is readable, but fields are wrong; `errors` names them all."""

    name, status, title = "validation", 422, "Some fields are wrong"


class PreconditionRequired(ProblemError):
    """The endpoint changes something, and needs `If-Match`."""

    name, status, title = "precondition-required", 428, "If-Match is needed"


class TooManyRequests(ProblemError):
    """More requests than allowed; `Retry-After` says when to come back."""

    name, status, title = "too-many-requests", 429, "Too many requests"


class InternalError(ProblemError):
    """A fault of ours; the log has the rest under the request's id."""

    name, status, title = "internal", 500, "Something went wrong on our side"


class UpstreamFailed(ProblemError):
    """Another engine did not answer, or answered with an error."""

    name, status, title = "upstream-failed", 502, "Another service did not answer"


class NotReady(ProblemError):
    """This process cannot serve right now; try again."""

    name, status, title = "not-ready", 503, "Not ready"


_AT = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]+)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


HINTS: dict[str, str] = {}
"""What to write where a text does not match a pattern, by the pattern."""

_PATTERN = re.compile(r"matching regex (?P<quoted>'.*'|\".*\")", re.DOTALL)


def field_error(message: str, *, prefix: str = "") -> FieldError:
    """Turn msgspec's message into a field and a sentence.

    | msgspec says                                        | field      | message                     |
    | --------------------------------------------------- | ---------- | --------------------------- |
    | Expected `int`, got `str` - at `$.a[0].b`           | a[0].b     | Expected `int`, got `str`   |
    | Object missing required field `name`                | name       | is required                 |
    | Object contains unknown field `nam` - at `$.a`      | a.nam      | is not a known field        |
    | JSON is malformed                                   | (prefix)   | JSON is malformed           |
    """
    match = _AT.match(message)
    text = match["message"] if match else message
    path = (match["path"] or "") if match else ""
    path = path.removeprefix("$").removeprefix(".")
    for pattern, sentence in ((_UNKNOWN, "is not a known field"), (_MISSING, "is required")):
        if found := pattern.search(text):
            path, text = ".".join(part for part in (path, found["name"]) if part), sentence
            break
    if found := _PATTERN.search(text):
        text = HINTS.get(str(ast.literal_eval(found["quoted"])), "is not of the right form")
    joined = path if not prefix else prefix + ("" if path.startswith("[") or not path else ".") + path
    return FieldError(field=joined or "body", message=text)
