"""Answers that the gateway makes itself: problem details (RFC 9457), with the request's id in them. Pure.

`refuse` is a rule that answers at once, `error_lines` replace what HAProxy says where it fails by itself. One kind
stays HAProxy's own: a request that cannot be parsed, or never comes to the end of its headers, gets the answer 400 or
408 that is built into HAProxy's parser, with no header and no document of ours.
"""

from __future__ import annotations

import json

import msgspec

from looma_core import problems
from looma_engines.gateway.haproxy.problems import (
    BudgetSpent,
    CircuitOpen,
    LengthRequired,
    RequestTimedOut,
    ResponseTooLarge,
)
from looma_engines.gateway.haproxy.text import Lines, literal, quoted

SOURCE_HEADER = "X-Looma-Source"
SOURCE = "gateway"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A problem that the gateway tells. `headers` and `detail` may hold log format expressions of HAProxy."""

    name: str
    status: int
    title: str
    detail: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def _of(problem: type[problems.ProblemError], detail: str = "", **headers: str) -> Answer:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(name=problem.name, status=problem.status, title=problem.title, detail=detail, headers=named)


BAD_REQUEST = _of(problems.BadRequest)
AMBIGUOUS_PATH = _of(
    problems.BadRequest,
    "The path is ambiguous: send it without dot segments, double slashes and control characters, and encode neither"
    " slashes nor letters, digits, `-`, `.`, `_` and `~`.",
)
BAD_HOST = _of(problems.BadRequest, "The header Host is missing or is no host name.")
BAD_FRAMING = _of(problems.BadRequest, "Where the body ends could be read in two ways.")
UNAUTHENTICATED = _of(
    problems.Unauthenticated,
    "%[var(txn.why)]",
    WWW_Authenticate='Bearer error="%[var(txn.auth_error)]"',
)
NO_KEYS = _of(problems.NotReady, "The issuer's keys cannot be read right now.", Retry_After="5")
NOT_ROUTED_YET = _of(problems.NotReady, "The gateway has not read its routes yet.", Retry_After="1")
NOT_FOUND = _of(problems.NotFound, "No service answers this path.")
TOO_LARGE = _of(problems.PayloadTooLarge, "At most %[var(txn.most_bytes)] bytes are taken here.")
LENGTH_REQUIRED = _of(LengthRequired, "Bodies are limited here: send Content-Length.")
TOO_MANY = _of(
    problems.TooManyRequests,
    "At most %[var(txn.limit)] requests in %[var(txn.limit_reset)] s are taken here.",
    Retry_After="%[var(txn.limit_reset)]",
)
SPENT = _of(
    BudgetSpent,
    "At most %[var(txn.budget)] units in %[var(txn.budget_reset)] s are given here.",
    Retry_After="%[var(txn.budget_reset)]",
)
RESPONSE_TOO_LARGE = _of(ResponseTooLarge, "At most %[var(txn.most_answered)] bytes are let through here.")
NO_TARGET = _of(problems.InternalError, "The route leads to no service.")
CIRCUIT_OPEN = _of(
    CircuitOpen,
    "It gets no requests for a moment, so that it can recover.",
    Retry_After="%[var(txn.retry_after)]",
)

OWN_ERRORS = (
    BAD_REQUEST,
    _of(RequestTimedOut),
    _of(problems.Forbidden),
    _of(problems.MethodNotAllowed),
    _of(problems.PayloadTooLarge),
    _of(problems.TooManyRequests, Retry_After="1"),
    _of(problems.InternalError),
    # The next three are told by the console as well, in the same words.
    Answer(name="engine-broke", status=502, title="The service broke off"),
    Answer(
        name="engine-unreachable",
        status=503,
        title="The service has no ready pod",
        headers=(("Retry-After", "1"),),
    ),
    Answer(name="engine-timeout", status=504, title="The service took too long"),
)
"""What HAProxy's own failures of a request are told as."""


def body(answer: Answer) -> str:
    """The problem document as a log format: the id of the request comes from its variable."""
    document: dict[str, str | int] = {
        "type": problems.TYPE_PREFIX + answer.name,
        "title": answer.title,
        "status": answer.status,
    }
    if answer.detail:
        document["detail"] = answer.detail
    document["instance"] = "%[var(txn.request_id)]"
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def refuse(answer: Answer, condition: str = "", *, stage: str = "http-request") -> str:
    """The rule that gives this answer where `condition` holds; at `http-response`, in place of the engine's."""
    headers = "".join(f" hdr {name} {quoted(value)}" for name, value in answer.headers)
    end = f" if {condition}" if condition else ""
    return (
        f"{stage} return status {answer.status} content-type {problems.MEDIA_TYPE}"
        f" lf-string {quoted(body(answer))}{headers}{end}"
    )


def error_lines() -> Lines:
    """Lines of `defaults` that turn HAProxy's own failures into problem details."""
    lines = []
    for answer in OWN_ERRORS:
        headers = "".join(f" hdr {name} {quoted(value)}" for name, value in answer.headers)
        lines.append(
            f"http-error status {answer.status} content-type {problems.MEDIA_TYPE}"
            f" lf-string {quoted(body(answer))}{headers}"
        )
    return lines


def explain(variable: str, text: str, condition: str) -> str:
    """A rule that keeps a sentence in a variable, for the `detail` of a later answer."""
    return f"http-request set-var-fmt({variable}) {quoted(literal(text))} if {condition}"
