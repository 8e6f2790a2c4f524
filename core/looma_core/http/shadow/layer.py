"""The ASGI layer that keeps what is needed of a request that the gateway wants copied.

It lies inside `frame`, which gives the ids, and around the application. The request passes through it as it comes; what
is kept is offered to the sender when the last byte of the answer is sent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from litestar.constants import HTTP_RESPONSE_BODY, HTTP_RESPONSE_START
from litestar.enums import ScopeType

from looma_core.http.context import current
from looma_core.http.shadow.comparing import Answer
from looma_core.http.shadow.sending import Copy, Sender, media_type
from looma_core.shadowing import COPY_HEADER, IGNORE_HEADER, TARGET_HEADER, ignored_places, is_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

Pairs = tuple[tuple[bytes, bytes], ...]

STREAMS = frozenset(
    {"text/event-stream", "application/x-ndjson", "application/json-seq", "multipart/x-mixed-replace"}
)
"""Answers that are not compared, as they come in pieces over a time."""

MOST_ID = 120
"""Characters of a request's id that its copy's id begins with: with the ending it is well-formed still."""

_TARGET, _IGNORE, _COPY = (name.lower().encode() for name in (TARGET_HEADER, IGNORE_HEADER, COPY_HEADER))
# Those of a connection (RFC 9110, 7.6.1), those that are stated anew, and the mark itself: a copy makes no copies.
_NOT_COPIED = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
        b"host",
        b"content-length",
        b"x-request-id",
        b"traceparent",
        _TARGET,
        _IGNORE,
        _COPY,
    }
)


class ShadowLayer:
    """ASGI layer that copies what the gateway marked.

    Args:
        app: the application inside.
        sender: takes the copies.
        service: the AIService that this is; it gets no copies of its own requests.
    """

    def __init__(self, app: ASGIApp, *, sender: Sender, service: str) -> None:
        self._app, self._sender, self._service = app, sender, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and see to its copy afterwards."""
        shadow = target_of(scope["headers"]) if scope["type"] == ScopeType.HTTP else ""
        if not shadow or shadow == self._service:
            await self._app(scope, receive, send)
            return
        kept = _Kept(limit=self._sender.limits.body_bytes, ended=not has_body(scope["headers"]))
        began = time.perf_counter()

        async def kept_receive() -> Any:  # noqa: ANN401 - one of the server's messages
            message = await receive()
            if message["type"] == "http.request":
                kept.request(message.get("body", b""), more=message.get("more_body", False))
            return message

        async def kept_send(message: Message) -> None:
            await send(message)
            if message["type"] == HTTP_RESPONSE_START:
                kept.begin(message["status"], message.get("headers", ()))
            elif message["type"] == HTTP_RESPONSE_BODY:
                kept.answer(message.get("body", b""), more=message.get("more_body", False))

        await self._app(scope, kept_receive, kept_send)
        self._offer(scope, shadow, kept, time.perf_counter() - began)

    def _offer(self, scope: Any, shadow: str, kept: _Kept, seconds: float) -> None:  # noqa: ANN401 - Litestar's extra keys
        if kept.too_large:
            self._sender.observer.count(shadow, "too_large")
            return
        if not kept.whole:
            self._sender.observer.count(shadow, "dropped")
            return
        context = current()
        request_id = context.request_id if context is not None else ""
        ids = () if context is None else ((b"traceparent", context.traceparent.encode("latin-1")),)
        self._sender.offer(
            Copy(
                shadow=shadow,
                method=scope["method"],
                path=path_of(scope),
                headers=(
                    *copied_headers(scope["headers"]),
                    *ids,
                    (b"x-request-id", f"{request_id[:MOST_ID]}.shadow".encode("latin-1")),
                    (_COPY, b"1"),
                ),
                body=bytes(kept.request_body),
                answer=kept.comparable(),
                ignored=ignored_by(scope["headers"]),
                seconds=seconds,
                request_id=request_id,
                route=scope.get("path_template") or "unmatched",
            )
        )


class _Kept(msgspec.Struct, kw_only=True):
    """What passed of one request: its body, and its answer as far as it can be compared."""

    limit: int
    ended: bool
    request_body: bytearray = msgspec.field(default_factory=bytearray)
    answer_body: bytearray = msgspec.field(default_factory=bytearray)
    too_large: bool = False
    compares: bool = True
    status: int = 0
    content_type: str = ""
    answered: bool = False

    def request(self, chunk: bytes, *, more: bool) -> None:
        self.ended = not more
        if len(self.request_body) + len(chunk) > self.limit:
            self.too_large = True
            self.request_body.clear()
        if not self.too_large:
            self.request_body += chunk

    def begin(self, status: int, headers: Iterable[Any]) -> None:
        named = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in headers}
        self.status = status
        self.content_type = media_type(named.get(b"content-type", ""))
        self.compares = self.content_type not in STREAMS and b"content-encoding" not in named

    def answer(self, chunk: bytes, *, more: bool) -> None:
        self.answered = self.answered or not more
        if len(self.answer_body) + len(chunk) > self.limit:
            self.compares = False
            self.answer_body.clear()
        if self.compares:
            self.answer_body += chunk

    @property
    def whole(self) -> bool:
        """Whether the request can be sent again: it was read to its end, and the caller has all of its answer."""
        return self.ended and self.answered

    def comparable(self) -> Answer | None:
        if not self.compares:
            return None
        return Answer(status=self.status, content_type=self.content_type, body=bytes(self.answer_body))


def target_of(headers: Iterable[Sequence[bytes]]) -> str:
    """The service that gets a copy of the request with these headers, or nothing.

    | headers                                     | answer |
    | ------------------------------------------- | ------ |
    | `X-Looma-Shadow` with the name of a service | it     |
    | the same with a revision, as `people/r2`    | it     |
    | none, two, or one that is no name           | ""     |
    | `X-Looma-Shadowed` beside it                | "": a copy makes no copies |
    """
    names = []
    for name, value in headers:
        if name == _COPY:
            return ""
        if name == _TARGET:
            names.append(bytes(value).decode("latin-1"))
    return names[0] if len(names) == 1 and is_target(names[0]) else ""


def ignored_by(headers: Iterable[Sequence[bytes]]) -> tuple[str, ...]:
    """The places that the gateway says are to be ignored."""
    said = [bytes(value).decode("latin-1") for name, value in headers if name == _IGNORE]
    return ignored_places(",".join(said))


def has_body(headers: Iterable[Sequence[bytes]]) -> bool:
    """Whether a request with these headers has a body that must be read to be known."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and bytes(value).strip(b"0 ") != b"")
        for name, value in headers
    )


def copied_headers(headers: Iterable[Sequence[bytes]]) -> Pairs:
    """The headers that a copy has as well: all but those of the connection and those that are stated anew."""
    return tuple((bytes(name), bytes(value)) for name, value in headers if name not in _NOT_COPIED)


def path_of(scope: Any) -> bytes:  # noqa: ANN401 - what a server gives differs in optional keys
    """Path and query as the caller wrote them."""
    raw = scope.get("raw_path") or quote(scope["path"], safe="/:@!$&'()*+,;=~-._").encode("ascii")
    query = scope.get("query_string", b"")
    return raw.partition(b"?")[0] + (b"?" + query if query else b"")
