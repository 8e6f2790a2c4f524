"""The ids of the request under way, for log lines and for calls to other engines."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

import msgspec

from looma_core.shadowing import refuse_in_copy

# What a proxy or a person would send; anything else could forge log lines.
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
)


class RequestContext(msgspec.Struct, frozen=True):
    """Ids of one request; `span_id` is this process's part of the trace."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str = "00"
    authorization: str | None = None

    @property
    def traceparent(self) -> str:
        """The header that makes a call from here part of the same trace."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[RequestContext | None] = ContextVar("looma_request", default=None)


def request_context(
    *, request_id: str | None, traceparent: str | None, authorization: str | None = None
) -> RequestContext:
    """Decide on the ids of a request from its headers.

    | header                  | answer                                   |
    | ----------------------- | ---------------------------------------- |
    | sane X-Request-Id       | kept                                     |
    | none, or odd characters | a new one of 32 hexadecimal digits       |
    | valid traceparent       | its trace and flags, a span of our own   |
    | none, or malformed      | a new trace, not sampled                 |
    """
    kept = request_id if request_id and _REQUEST_ID.fullmatch(request_id) else secrets.token_hex(16)
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return RequestContext(
        request_id=kept,
        trace_id=match["trace"] if match else secrets.token_hex(16),
        span_id=secrets.token_hex(8),
        flags=match["flags"] if match else "00",
        authorization=authorization,
    )


def enter(context: RequestContext) -> None:
    """Make `context` the current one of this task; the server runs each request in a task of its own."""
    _current.set(context)


def current() -> RequestContext | None:
    """The context of the request under way, or None outside of one."""
    return _current.get()


def outgoing_headers(*, with_token: bool = True, reads_only: bool = False) -> dict[str, str]:
    """Headers for a call to another engine: request id, trace, and the caller's own token.

    Args:
        with_token: forward `Authorization`, so that the other engine sees the same person and tenant.
        reads_only: the call changes nothing there, so that a copy of a request may make it too.

    Raises:
        CopyRefused: the request under way is a copy, and the call may write.
    """
    if not reads_only:
        refuse_in_copy("call another service")
    context = _current.get()
    if context is None:
        return {}
    headers = {"X-Request-Id": context.request_id, "traceparent": context.traceparent}
    if with_token and context.authorization:
        headers["Authorization"] = context.authorization
    return headers
