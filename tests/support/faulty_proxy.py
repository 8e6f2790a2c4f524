"""A proxy before the API server that does to one client what networks and API servers do on bad days.

| fault       | what the client sees                                                                  |
| ----------- | ------------------------------------------------------------------------------------- |
| `answer`    | the next requests of a sort are answered with an error, and never reach the server    |
| `expire`    | the next watches begin, and say that the version they were to begin with is too old   |
| `cut`       | the next requests of a sort are carried out, and their connections closed unanswered  |
| `freeze`    | watches that are open (or all) stay open and say nothing any more, not even bookmarks |
| `interpose` | somebody else writes between the client's read and its next write of a sort           |
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from .control_plane import ControlPlane
from .write_proxy import WriteProxy, serving

EXPIRED = 410
Sort = Callable[[web.Request], bool]


def is_watch(request: web.Request) -> bool:
    """A watch."""
    return request.query.get("watch") in ("true", "1")


def is_write(request: web.Request) -> bool:
    """A write of anything but the Lease, without which there would be no leader to be tried."""
    return request.method not in ("GET", "HEAD") and "/leases" not in request.path


def is_read(request: web.Request) -> bool:
    """A read, but of the Lease."""
    return request.method == "GET" and not is_watch(request) and "/leases" not in request.path


def writes_status(request: web.Request) -> bool:
    """A write of an AIService's status."""
    return request.method == "PATCH" and "/aiservices/" in request.path and request.path.endswith("/status")


@dataclass
class _Fault:
    sort: Sort
    status: int
    left: int
    every: int
    seen: int = 0

    def strikes(self, request: web.Request) -> bool:
        if self.left <= 0 or not self.sort(request):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.left -= 1
        return True


@dataclass
class FaultyProxy(WriteProxy):
    """The running proxy; `struck` counts what was done, by the fault's name or status."""

    struck: Counter[str] = field(default_factory=Counter)
    _faults: list[_Fault] = field(default_factory=list)
    _interposed: tuple[Sort, Callable[[], None]] | None = None
    _generation: int = 0
    _all_frozen: bool = False

    def answer(self, sort: Sort, status: int, *, times: int, every: int = 1) -> None:
        """Answer requests of the sort with an error: every so many-th, until it was so many times."""
        self._faults.append(_Fault(sort, status, times, every))

    def expire(self, *, times: int) -> None:
        """Answer watches as the API server does that has forgotten what was in between."""
        self._faults.append(_Fault(is_watch, EXPIRED, times, 1))

    def cut(self, sort: Sort, *, times: int, every: int = 1) -> None:
        """Carry requests of the sort out and close their connections before an answer."""
        self._faults.append(_Fault(sort, 0, times, every))

    def freeze(self, *, later_ones_too: bool) -> None:
        """Let no byte of the open watches through any more; nor of those that are opened from now on, if asked."""
        self._generation += 1
        self._all_frozen = later_ones_too

    def interpose(self, sort: Sort, act: Callable[[], None]) -> None:
        """Act once, right before the next request of the sort is passed on."""
        self._interposed = (sort, act)

    def heal(self) -> None:
        """No new faults; what is frozen stays so."""
        self._faults.clear()
        self._interposed = None
        self._all_frozen = False

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Answer as the API server does, or as it does on a bad day."""
        fault = next((item for item in self._faults if item.strikes(request)), None)
        if fault is not None:
            self.struck[str(fault.status or "cut")] += 1
            if not fault.status:
                await super().pass_on(request)
                assert request.transport is not None
                request.transport.abort()
                raise ConnectionResetError
            await request.read()
            told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.status}
            if fault.status == EXPIRED:
                error = {"type": "ERROR", "object": {**told, "message": "too old", "reason": "Expired"}}
                return web.Response(body=json.dumps(error).encode() + b"\n", content_type="application/json")
            return web.json_response(
                {**told, "message": "not now", "reason": "Test"},
                status=fault.status,
                headers={"Retry-After": "1"} if fault.status in (429, 503) else None,
            )
        if self._interposed is not None and self._interposed[0](request):
            act, self._interposed = self._interposed[1], None
            await asyncio.to_thread(act)
            self.struck["interposed"] += 1
        return await super().pass_on(request)

    async def stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Hand an answer on as it comes, unless it is a watch that is frozen."""
        if not is_watch(request):
            return await super().stream(request, answer, headers)
        born, frozen = self._generation, self._all_frozen
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            async for chunk in answer.content.iter_any():
                if frozen or born < self._generation:
                    self.struck["held"] += 1
                    # Until the client has had enough, or the test is over.
                    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                    break
                await response.write(chunk)
            await response.write_eof()
        return response


@contextmanager
def faulty(
    plane: ControlPlane, user: str, folder: Path, *, namespace: str
) -> Iterator[tuple[FaultyProxy, Path]]:
    """A faulty proxy for a user of a control plane, and the kubeconfig that leads through it."""
    plane.kubeconfig_for(user, namespace=namespace)
    certificate = (plane.pki.folder / f"{user}.crt", plane.pki.folder / f"{user}.key")
    proxy = FaultyProxy(plane.server, plane.pki.folder / "ca.crt", "")
    with serving(proxy, certificate=certificate):
        yield proxy, proxy.kubeconfig(folder / f"{user}-proxied.kubeconfig", namespace=namespace)
