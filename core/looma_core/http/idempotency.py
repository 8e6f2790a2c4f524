"""Honours `Idempotency-Key` on the routes that declare it.

Each POST and PATCH says beside its access what a repetition means: `idempotent()`, `idempotent(in_steps=True)` or
`WRITES_NOTHING`. A request without the header passes untouched. One with it is answered in these steps:

1. Who calls is asked, then the body is read: neither the key of a stranger nor a body for one costs anything.
2. The request is claimed (`db.claims`); where another process has it and keeps it, the answer is 409.
3. Its row is looked up: an answer is given again, another fingerprint is 422.
4. The handler works. What its sessions do, and the row with its answer, are one transaction; the answer is sent after
   that is committed. So a process that is killed has either done nothing or left its answer behind.

Work that takes long or asks other services must hold no transaction meanwhile. It says `in_steps`: each of its
steps commits by itself and can be repeated without harm; the first that writes takes the row along, without an
answer, and the answer follows at the end. Where it is missing, the steps are gone through again.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Request
from litestar.constants import HTTP_RESPONSE_BODY, HTTP_RESPONSE_START
from litestar.enums import ScopeType

from looma_core.db.claims import Claims
from looma_core.db.idempotency import AnswerStore, KeyedRequest, Overtaken
from looma_core.db.session import with_each_transaction
from looma_core.http.access import handlers_of, provide_principal, where
from looma_core.idempotency import (
    HEADER,
    REPLAYED_HEADER,
    Answer,
    KeyReused,
    KeyUnderWay,
    Verdict,
    fingerprint,
    identity,
    is_kept,
    kept_headers,
    key_of,
    verdict,
)
from looma_core.shadowing import in_copy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler
    from litestar.types import ASGIApp, Guard, Message, Receive, Scope, Send
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.crypto import FileCipher
    from looma_core.db import Database
    from looma_core.metrics import Metrics

KEY = "looma_idempotency"
WRITING = frozenset({"POST", "PATCH"})
"""Methods that HTTP itself does not call idempotent, and of which each route declares what a repetition means."""

WAIT_SECONDS = 2.0
"""How long a request waits for the first one with its key; most are done by then, and no second try is needed."""


class Repetition(msgspec.Struct, frozen=True):
    """The declaration of one route."""

    honours_key: bool
    in_steps: bool = False


WRITES_NOTHING: dict[str, Any] = {KEY: Repetition(honours_key=False)}
"""`opt` of a POST that stores nothing: sending it twice does no harm, so that a key has nothing to do."""


def idempotent(*, in_steps: bool = False) -> dict[str, Any]:
    """`opt` of a route that honours `Idempotency-Key`.

    Args:
        in_steps: the handler's sessions stay transactions of their own, since each may be repeated without harm.
    """
    return {KEY: Repetition(honours_key=True, in_steps=in_steps)}


def repetition(handler: BaseRouteHandler) -> Repetition | None:
    """What a handler declares, or None."""
    found = handler.opt.get(KEY)
    return found if isinstance(found, Repetition) else None


def undeclared_writing(app: Litestar) -> list[str]:
    """Routes with POST or PATCH that do not say what a repetition means, as `PATH: FUNCTION in FILE:LINE`."""
    return [
        f"{path}: {where(handler)} declares neither idempotent(...) nor WRITES_NOTHING"
        for path, handler in handlers_of(app)
        if WRITING & set(getattr(handler, "http_methods", ())) and repetition(handler) is None
    ]


def unkept(app: Litestar) -> list[str]:
    """Routes that honour keys, of an application that could not: as `undeclared_writing`."""
    return [
        f"{path}: {where(handler)} declares idempotent(...), and create_app was given no `idempotency`"
        for path, handler in handlers_of(app)
        if (declared := repetition(handler)) is not None and declared.honours_key
    ]


_unfinished: ContextVar[list[bool] | None] = ContextVar("looma_unfinished", default=None)


def leave_unfinished() -> None:
    """Say, in a handler with `in_steps`, that its answer is not the last word: the same key goes on from here."""
    if (said := _unfinished.get()) is not None:
        said.append(True)


class Idempotency:
    """What one engine needs to honour keys.

    Args:
        database: of the engine; its sessions become part of a keyed request's transaction.
        schema: of the engine's tables, among them `idempotency_keys`.
        cipher: encrypts answers.
        hours: how long an answer is given again.
        metrics: where outcomes are counted.
        service: name of the AIService.
    """

    def __init__(
        self,
        database: Database,
        *,
        schema: str,
        cipher: FileCipher,
        hours: int,
        metrics: Metrics,
        service: str,
    ) -> None:
        self._database = database
        self._store = AnswerStore(schema=schema, cipher=cipher, hours=hours)
        self._claims = Claims(database.engine.url, application_name=f"{service}-claims")
        self._service = service
        self._counted = metrics.counter(
            "looma_idempotent_requests_total",
            "Requests with an Idempotency-Key, by what became of them.",
            ["service", "outcome"],
        )

    def layer(self, guard: Guard) -> Callable[[ASGIApp], ASGIApp]:
        """Return what makes the layer of an application whose access `guard` checks."""

        def around(app: ASGIApp) -> ASGIApp:
            return KeyLayer(app, idempotency=self, guard=guard)

        return around

    @asynccontextmanager
    async def alive(self, _: Litestar) -> AsyncIterator[None]:
        """Part of the application's lifespan."""
        try:
            yield
        finally:
            await self._claims.close()

    async def answer(
        self,
        principal: Principal,
        keyed: KeyedRequest,
        *,
        in_steps: bool,
        work: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Carry out `work`, or give the answer that it had before.

        Raises:
            KeyUnderWay: another request works on it.
            KeyReused: the key belongs to another request.
            NotReady: the database does not answer.
        """
        number = int.from_bytes(keyed.identity[:8], "big", signed=True)
        async with self._claims.claim(number, wait_seconds=WAIT_SECONDS) as claimed:
            again = await self._answered(principal, keyed)
            if again is None and claimed:
                try:
                    answer = await (self._in_steps if in_steps else self._at_once)(principal, keyed, work)
                except Overtaken:
                    # The claim was lost with its connection, and another process was faster.
                    again = await self._answered(principal, keyed)
                else:
                    self._count("first")
                    return answer
        if again is None:
            self._count("conflict")
            raise KeyUnderWay
        self._count("replayed")
        return msgspec.structs.replace(again, headers=[*again.headers, (REPLAYED_HEADER.lower(), "true")])

    async def _answered(self, principal: Principal, keyed: KeyedRequest) -> Answer | None:
        """The answer that was given before, or None; raises KeyReused."""
        async with self._database.tenant_session(principal) as session:
            stored = await self._store.find(session, keyed)
        if verdict(stored, keyed.fingerprint) is Verdict.MISMATCH:
            self._count("mismatch")
            raise KeyReused
        return stored.answer if stored is not None else None

    async def _at_once(
        self, principal: Principal, keyed: KeyedRequest, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        async with self._database.one_transaction(principal) as session:
            answer = await work()
            if is_kept(answer.status):
                await self._store.keep(session, keyed, _as_kept(answer))
            else:
                await session.rollback()
        return answer

    async def _in_steps(
        self, principal: Principal, keyed: KeyedRequest, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        begun: list[bool] = []
        overtaken: list[bool] = []
        unfinished: list[bool] = []

        async def begin(session: AsyncSession) -> None:
            if begun:
                return
            try:
                await self._store.keep(session, keyed, None)
            except Overtaken:
                overtaken.append(True)
                raise
            begun.append(True)

        token = _unfinished.set(unfinished)
        try:
            with with_each_transaction(begin):
                answer = await work()
        finally:
            _unfinished.reset(token)
        if overtaken:
            # The handler's own answer tells of a rollback that the caller has nothing to do with.
            raise Overtaken
        if is_kept(answer.status) and not unfinished:
            async with self._database.tenant_session(principal) as session:
                await self._store.keep(session, keyed, _as_kept(answer))
        elif not is_kept(answer.status) and begun:
            async with self._database.tenant_session(principal) as session:
                await self._store.forget(session, keyed)
        return answer

    def _count(self, outcome: str) -> None:
        self._counted.labels(self._service, outcome).inc()


def _as_kept(answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, headers=kept_headers(answer.headers))


class KeyLayer:
    """ASGI layer inside of Litestar's routing, where the route is known and its handler not yet called."""

    def __init__(self, app: ASGIApp, *, idempotency: Idempotency, guard: Guard) -> None:
        self._app = app
        self._idempotency = idempotency
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # A copy leaves nothing behind, so its key says nothing; and it must not be in the way of the real one.
        if scope["type"] != ScopeType.HTTP or in_copy():
            await self._app(scope, receive, send)
            return
        handler = scope["route_handler"]
        declared = repetition(handler)
        values = [value for name, value in scope["headers"] if name == _HEADER]
        if declared is None or not declared.honours_key or not values:
            await self._app(scope, receive, send)
            return
        key = key_of([value.decode("latin-1") for value in values]) or ""
        request: Request[Principal, Any, Any] = Request(scope, receive)
        await cast("Awaitable[None]", self._guard(request, handler))
        principal = provide_principal(request)
        body = await request.body()
        keyed = KeyedRequest(
            tenant=principal.tenant,
            identity=identity(
                subject=principal.subject, method=scope["method"], route=scope["path_template"], key=key
            ),
            fingerprint=fingerprint(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"],
                body=body,
                content_type=request.headers.get("content-type", ""),
            ),
        )

        async def work() -> Answer:
            heard = _Heard()
            await self._app(scope, _repeated(body, receive), heard)
            return heard.answer()

        answer = await self._idempotency.answer(principal, keyed, in_steps=declared.in_steps, work=work)
        await _send(answer, send)


_HEADER = HEADER.lower().encode()


class _Heard:
    """Takes the handler's answer instead of the server."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == HTTP_RESPONSE_START:
            self._status = message["status"]
            self._headers = [
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]
            ]
        elif message["type"] == HTTP_RESPONSE_BODY:
            self._parts.append(message["body"])

    def answer(self) -> Answer:
        return Answer(status=self._status, headers=self._headers, body=b"".join(self._parts))


def _repeated(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more, and then whatever comes."""
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def repeated() -> Any:  # noqa: ANN401 - one of Litestar's messages
        return waiting.pop() if waiting else await receive()

    return repeated


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.body and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": HTTP_RESPONSE_START, "status": answer.status, "headers": headers})
    await send({"type": HTTP_RESPONSE_BODY, "body": answer.body, "more_body": False})
