"""The outermost layer of every engine: ids in, ids out, one metric and one log line a request.

It lies around Litestar's router, not inside: a 404 or 405 must carry the same headers as any other answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from litestar.constants import HTTP_RESPONSE_START
from litestar.enums import ScopeType

from looma_core import logging, shadowing
from looma_core.http.context import enter, request_context

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from looma_core.metrics import Metrics

QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by the cluster: logged at debug only."""

UNMATCHED = "unmatched"
"""Route label of requests that no route takes; their paths would be labels without end."""

log = logging.get("looma.access")


class Frame:
    """ASGI layer around an application.

    Args:
        app: the application inside.
        revision: value of `X-Looma-Revision`.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, revision: str, metrics: Metrics) -> None:
        self._app = app
        self._revision = revision.encode("latin-1")
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = _wanted(scope["headers"])
        context = request_context(
            request_id=headers.get(b"x-request-id"),
            traceparent=headers.get(b"traceparent"),
            authorization=headers.get(b"authorization"),
        )
        scope.setdefault("state", {})["request_id"] = context.request_id
        enter(context)
        copy = _COPY in headers
        shadowing.enter(copy=copy)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=context.request_id, trace_id=context.trace_id)
        if copy:
            structlog.contextvars.bind_contextvars(copy=True)
        added = [
            (b"x-request-id", context.request_id.encode("latin-1")),
            (b"x-looma-revision", self._revision),
        ]
        status = 0

        async def framed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == HTTP_RESPONSE_START:
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        try:
            await self._app(scope, receive, framed_send)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Any, status: int, seconds: float) -> None:  # noqa: ANN401 - Litestar's extra keys
        route = scope.get("path_template") or UNMATCHED
        # 499: the client went away before there was an answer.
        code = status or 499
        self._metrics.observe_request(route=route, code=code, seconds=seconds)
        tell = log.debug if route in QUIET_PATHS else log.info
        tell("request", method=scope["method"], route=route, code=code, milliseconds=round(seconds * 1000, 2))


_COPY = shadowing.COPY_HEADER.lower().encode()
_WANTED = frozenset({b"x-request-id", b"traceparent", b"authorization", _COPY})


def _wanted(headers: Any) -> dict[bytes, str]:  # noqa: ANN401 - pairs of bytes from the server
    return {name: value.decode("latin-1") for name, value in headers if name in _WANTED}
