"""The bounded queue of copies, and the few workers that post them.

`offer` never waits: what the queue has no room for is dropped and counted. A copy that hangs holds one worker for
`Limits.seconds`; whatever happens to it happens after the caller has its answer.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import msgspec

from looma_core import logging
from looma_core.http.shadow.comparing import Answer, differences
from looma_core.http.shadow.observing import Observer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from looma_core.metrics import Metrics

log = logging.get(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What copies may take of an engine's process.

    Attributes:
        body_bytes: largest body of a request, and of an answer that is compared.
        waiting: most copies that wait.
        waiting_bytes: most bytes of all bodies that are kept for copies.
        workers: copies that are under way at once.
        seconds: longest time of one copy, from the connection to the answer's end.
        drain_seconds: how long the process, when it ends, goes on sending what waits. Less than the grace that is
            left beside the requests under way.
    """

    body_bytes: int = 1 << 20
    waiting: int = 256
    waiting_bytes: int = 16 << 20
    workers: int = 4
    seconds: float = 10.0
    drain_seconds: float = 3.0


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be sent again, and what was answered to it.

    `answer` is None if the answers are not to be compared; `ignored` are places of them whose differences count for
    nothing. `path` has the query, as the caller wrote both. `route` is the path's template.
    """

    shadow: str
    method: str
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    answer: Answer | None
    ignored: tuple[str, ...] = ()
    seconds: float
    request_id: str
    route: str

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.body) + (len(self.answer.body) if self.answer is not None else 0)


class Sender:
    """Posts copies and compares their answers, off the road of the requests.

    Args:
        metrics: of the process.
        service: name of the AIService whose requests are copied.
        address: the base URL of an AIService, or of one revision, by its name.
        limits: what it may take.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        service: str,
        address: Callable[[str], str],
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.observer = Observer(metrics, service=service)
        self._address = address
        self._waiting: asyncio.Queue[Copy] = asyncio.Queue(self.limits.waiting)
        self._held = 0
        self._open = False

    def offer(self, copy: Copy) -> None:
        """Queue a copy if there is room; never waits and never raises."""
        if not self._open or self._waiting.full() or self._held + copy.size > self.limits.waiting_bytes:
            self.observer.count(copy.shadow, "dropped")
            return
        self._held += copy.size
        self._waiting.put_nowait(copy)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs; at its end for at most `drain_seconds` more, and what is left is dropped."""
        async with httpx.AsyncClient(
            timeout=None,  # noqa: S113 - `asyncio.timeout` around the whole holds better than one for each part
            # A connection each: they spread over the pods, and none is stale.
            limits=httpx.Limits(max_connections=self.limits.workers, max_keepalive_connections=0),
            trust_env=False,
        ) as client:
            workers = [asyncio.create_task(self._work(client)) for _ in range(self.limits.workers)]
            self._open = True
            try:
                yield
            finally:
                self._open = False
                await self._drain(workers)

    async def _drain(self, workers: list[asyncio.Task[None]]) -> None:
        try:
            async with asyncio.timeout(self.limits.drain_seconds):
                await self._waiting.join()
        except TimeoutError:
            log.warning("copies dropped at the end", waiting=self._waiting.qsize())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while not self._waiting.empty():
            self.observer.count(self._waiting.get_nowait().shadow, "dropped")

    async def _work(self, client: httpx.AsyncClient) -> None:
        while True:
            copy = await self._waiting.get()
            try:
                await self._send(client, copy)
            except asyncio.CancelledError:
                self.observer.count(copy.shadow, "dropped")
                raise
            except Exception as error:  # noqa: BLE001 - a worker that ended would send nothing ever after
                self._failed(copy, error)
            finally:
                self._held -= copy.size
                self._waiting.task_done()

    async def _send(self, client: httpx.AsyncClient, copy: Copy) -> None:
        url = httpx.URL(self._address(copy.shadow)).copy_with(raw_path=copy.path)
        # Not by the client, which would add headers of its own and the cookies of answers to other people's copies.
        request = httpx.Request(copy.method, url, headers=list(copy.headers), content=copy.body)
        began = time.perf_counter()
        async with asyncio.timeout(self.limits.seconds):
            answer = await self._answer(client, request, keep=copy.answer is not None)
        self.observer.answered(
            copy.shadow, real_seconds=copy.seconds, copy_seconds=time.perf_counter() - began
        )
        if copy.answer is None:
            self.observer.count(copy.shadow, "not_compared")
            return
        places = await self._compare(copy.answer, answer, copy.ignored)
        self.observer.count(copy.shadow, "different" if places else "same")
        if places:
            self.observer.tell_difference(
                copy.shadow,
                request_id=copy.request_id,
                method=copy.method,
                route=copy.route,
                statuses=(copy.answer.status, answer.status),
                places=places,
            )

    async def _answer(self, client: httpx.AsyncClient, request: httpx.Request, *, keep: bool) -> Answer:
        """The copy's answer to its end; beyond the limit, and where it is not compared, it is read and not kept."""
        body = bytearray()
        response = await client.send(request, stream=True)
        try:
            async for chunk in response.aiter_raw():
                # One byte over the limit is enough to be another answer than the real one, which is not over it.
                if keep and len(body) <= self.limits.body_bytes:
                    body += chunk
        finally:
            await response.aclose()
        return Answer(
            status=response.status_code,
            content_type=media_type(response.headers.get("content-type", "")),
            body=bytes(body),
        )

    @staticmethod
    async def _compare(real: Answer, copy: Answer, ignored: tuple[str, ...]) -> tuple[str, ...]:
        if real.body == copy.body or real.status != copy.status:
            return differences(real, copy)
        # Two long documents take a while, in which the requests under way should go on.
        return await asyncio.to_thread(differences, real, copy, ignored)

    def _failed(self, copy: Copy, error: Exception) -> None:
        self.observer.count(copy.shadow, "failed")
        self.observer.tell_failure(
            copy.shadow,
            request_id=copy.request_id,
            method=copy.method,
            route=copy.route,
            error=type(error).__name__,
        )


def media_type(header: str) -> str:
    """A `Content-Type` without parameters, in lower case."""
    return header.partition(";")[0].strip().lower()
