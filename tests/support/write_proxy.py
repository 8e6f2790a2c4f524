"""A proxy before the API server that counts what one client writes about one name, and strikes at one of the writes.

The client speaks plain HTTP to a loopback port; the proxy adds the client's credentials and passes everything on, also
watches, as it comes. A write is a request other than GET whose path or body names what is counted (the Lease that the
client renews all the time does not). Struck before a write, the API server never sees it; struck after, the client
never hears of it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import aiohttp
import yaml
from aiohttp import web

When = Literal["before", "after"]
HOP_BY_HOP = {"connection", "host", "transfer-encoding", "keep-alive", "upgrade", "content-length"}


@dataclass(frozen=True)
class Write:
    """One write: its method, its path without the query, and the status of the answer (0: never passed on)."""

    method: str
    path: str
    status: int

    @property
    def about(self) -> str:
        """What was written, as `patch aiservices/NAME/status`."""
        parts = self.path.split("/")
        rest = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts
        return f"{self.method.lower()} {'/'.join(rest)}"


@dataclass
class WriteProxy:
    """The running proxy; `port` is where it listens on loopback.

    `arm` begins to count; `writes` are those since then, in the order in which they came.
    """

    server: str
    authority: Path
    token: str
    port: int = 0
    writes: list[Write] = field(default_factory=list)
    _name: str = ""
    _at: int = -1
    _when: When = "before"
    _strike: Callable[[], None] | None = None
    _under_way: int = 0
    _changes: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def arm(
        self,
        name: str,
        *,
        at: int = -1,
        when: When = "before",
        strike: Callable[[], None] | None = None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Count writes about `name` from now on, and call `strike` once, before or after the one numbered `at`.

        `begin` is called at a moment at which no write is under way, so that whoever else counts from there counts the
        same.

        Raises:
            TimeoutError: some write is under way for half a minute.
        """
        with self._changes:
            if not self._changes.wait_for(lambda: self._under_way == 0, timeout=30):
                raise TimeoutError(f"{self._under_way} writes are under way for half a minute")
            self.writes.clear()
            self._name, self._at, self._when, self._strike = name, at, when, strike
            begin()

    def disarm(self) -> list[Write]:
        """Count no more; answers what was counted."""
        self._name, self._strike = "", None
        return list(self.writes)

    def _struck(self, number: int, when: When) -> bool:
        if self._strike is None or number != self._at or when != self._when:
            return False
        strike, self._strike = self._strike, None
        strike()
        return True

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Answer as the API server does."""
        body = await request.read()
        if request.method in ("GET", "HEAD"):
            return await self._ask(request, body, number=-1)
        with self._changes:
            counted = bool(self._name) and (self._name in request.path or self._name.encode() in body)
            number = len(self.writes) if counted else -1
            if counted:
                self.writes.append(Write(request.method, request.path, 0))
            self._under_way += 1
        try:
            if counted and self._struck(number, "before"):
                raise ConnectionResetError
            return await self._ask(request, body, number=number)
        finally:
            with self._changes:
                self._under_way -= 1
                self._changes.notify_all()

    async def _ask(self, request: web.Request, body: bytes, *, number: int) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        session = request.app[SESSION]
        async with session.request(
            request.method, self.server + request.raw_path, data=body or None, headers=headers
        ) as answer:
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
            if number < 0:
                return await self.stream(request, answer, kept)
            whole = await answer.read()
            self.writes[number] = Write(request.method, request.path, answer.status)
            if self._struck(number, "after"):
                raise ConnectionResetError
            return web.Response(status=answer.status, body=whole, headers=kept)

    async def stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Hand an answer on as it comes."""
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        return response

    def kubeconfig(self, path: Path, *, namespace: str) -> Path:
        """Write a kubeconfig that leads here."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [
                {"name": "proxy", "context": {"cluster": "proxy", "user": "proxy", "namespace": namespace}}
            ],
            "current-context": "proxy",
        }
        path.write_text(yaml.safe_dump(document))
        return path


SESSION = web.AppKey("session", aiohttp.ClientSession)
Proxy = TypeVar("Proxy", bound=WriteProxy)


def api_server(kubeconfig: Path, folder: Path) -> tuple[str, Path]:
    """Address and authority (a PEM file, written to `folder`) of the cluster that a kubeconfig names."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        return cluster["server"], Path(cluster["certificate-authority"])
    authority = folder / "authority.crt"
    authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return cluster["server"], authority


@contextmanager
def proxying(
    *, server: str, authority: Path, token: str = "", certificate: tuple[Path, Path] | None = None
) -> Iterator[WriteProxy]:
    """A running proxy, in a thread of its own, as whom a token or a certificate (and its key) names."""
    with serving(WriteProxy(server, authority, token), certificate=certificate) as proxy:
        yield proxy


@contextmanager
def serving(proxy: Proxy, *, certificate: tuple[Path, Path] | None = None) -> Iterator[Proxy]:
    """Run a proxy in a thread of its own."""
    ready = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        ended = asyncio.Event()
        running.append((asyncio.get_running_loop(), ended))
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{rest:.*}", proxy.pass_on)
        context = ssl.create_default_context(cafile=str(proxy.authority))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as session:
            app[SESSION] = session
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            assert site._server is not None
            proxy.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            ready.set()
            await ended.wait()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10), "the proxy listens"
    try:
        yield proxy
    finally:
        loop, ended = running[0]
        loop.call_soon_threadsafe(ended.set)
        thread.join(timeout=10)
