"""List and watch: what is known stays whatever the API server does, and what is new is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from looma_core.kube import KubeError
from looma_engines.gateway.kube import watch as watching
from looma_engines.gateway.kube.client import ForbiddenError, GoneError, MissingError, error_of
from looma_engines.gateway.kube.cluster import Cluster
from looma_engines.gateway.kube.watch import ListWatch
from looma_engines.gateway.objects import AIService, Service
from support.gateway_world import Object, ai_service, gateway, gateway_class, https, route, secret, service

PATH = "/api/v1/namespaces/looma/services"


class Server:
    """An API server in the test: lists as they are, and watches that give what the test sends."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Object]] = {}
        self.singles: dict[str, Object] = {}
        self.errors: dict[str, KubeError] = {}
        self.page = 500
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.streams: dict[str, asyncio.Queue[bytes | KubeError | None]] = {}

    async def request(self, method: str, path: str, *, query: Mapping[str, str] | None = None) -> bytes:
        self.asked.append((path, dict(query or {})))
        if path in self.errors:
            raise self.errors[path]
        if "/secrets/" in path:
            if path not in self.singles:
                raise MissingError(404, "not found")
            return json.dumps(self.singles[path]).encode()
        items = self.objects.get(path, [])
        start = int((query or {}).get("continue", "0"))
        more = str(start + self.page) if start + self.page < len(items) else ""
        page = {
            "metadata": {"resourceVersion": "100", "continue": more},
            "items": items[start : start + self.page] or None,
        }
        return json.dumps(page).encode()

    async def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        self.asked.append((path, dict(query)))
        queue = self.streams.setdefault(path, asyncio.Queue())
        while (item := await queue.get()) is not None:
            if isinstance(item, KubeError):
                raise item
            yield item

    def send(self, kind: str, document: Object, path: str = PATH) -> None:
        line = json.dumps({"type": kind, "object": document}).encode() + b"\n"
        self.streams.setdefault(path, asyncio.Queue()).put_nowait(line)

    def end(self, with_: KubeError | None = None, path: str = PATH) -> None:
        self.streams[path].put_nowait(with_)

    def watched_from(self, path: str = PATH) -> list[str]:
        return [query["resourceVersion"] for asked, query in self.asked if asked == path and "watch" in query]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(watching, "RETRY_SECONDS", (0.0,))
    return Server()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what holds is the code's own state, which tells nobody
            await asyncio.sleep(0)


class Run:
    """A list-and-watch that runs for the time of a test."""

    def __init__(self, server: Server, **more: Any) -> None:
        self.changes = 0
        self.watch = ListWatch(server, Service, PATH, on_change=self._changed, **more)
        self.task: asyncio.Task[None] | None = None

    def _changed(self) -> None:
        self.changes += 1

    async def __aenter__(self) -> ListWatch[Service]:
        self.task = asyncio.create_task(self.watch.run())
        return self.watch

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


def names(watch: ListWatch[Service]) -> list[str]:
    return sorted(name for _, name in watch.objects)


def at(version: str, document: Object) -> Object:
    document["metadata"]["resourceVersion"] = version
    return document


async def test_what_is_listed_and_what_comes_is_known(server: Server) -> None:
    server.objects[PATH] = [service("a"), service("b")]
    run = Run(server)
    async with run as watch:
        await until(lambda: watch.synced)
        assert names(watch) == ["a", "b"]
        server.send("ADDED", at("101", service("c")))
        server.send("MODIFIED", at("102", service("a", type="ExternalName")))
        server.send("DELETED", at("103", service("b")))
        await until(lambda: names(watch) == ["a", "c"])
        assert watch.objects["looma", "a"].spec.type == "ExternalName"
        before = run.changes
        server.send("BOOKMARK", {"metadata": {"resourceVersion": "150"}})
        server.end()
        # The stream ended by itself: watched again from the last version, and not listed.
        await until(lambda: server.watched_from() == ["100", "150"])
        assert run.changes == before == 4


async def test_a_status_that_gateways_write_wakes_nobody(server: Server) -> None:
    changes: list[None] = []
    path = "/apis/looma.dev/v1alpha1/namespaces/looma/aiservices"
    server.objects[path] = [ai_service("resume", timeoutSeconds=5)]
    watch = ListWatch(server, AIService, path, on_change=lambda: changes.append(None))
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: watch.synced)
        told = {
            **at("101", ai_service("resume", timeoutSeconds=5)),
            "status": {"traffic": [{"gateway": "a"}]},
        }
        server.send("MODIFIED", told, path=path)
        await until(lambda: watch.objects["looma", "resume"].status is not None)
        assert len(changes) == 1
        server.send("MODIFIED", {**told, "spec": {"route": {"timeoutSeconds": 6}}}, path=path)
        await until(lambda: len(changes) == 2)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_long_lists_come_in_pages(server: Server) -> None:
    server.page = 2
    server.objects[PATH] = [service(name) for name in "abcde"]
    async with Run(server) as watch:
        await until(lambda: watch.synced)
        assert names(watch) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    "error",
    [KubeError(0, "cut"), KubeError(500, "no"), GoneError(410, "old"), ForbiddenError(403, "not yet")],
)
async def test_after_an_error_it_lists_again_and_what_was_missed_is_seen(
    server: Server, error: KubeError
) -> None:
    server.objects[PATH] = [service("a"), service("b")]
    async with Run(server) as watch:
        await until(lambda: bool(server.watched_from()))
        server.objects[PATH] = [service("b"), service("c")]
        server.end(error)
        await until(lambda: names(watch) == ["b", "c"])


async def test_a_version_that_is_too_old_is_said_in_the_stream(server: Server) -> None:
    async with Run(server) as watch:
        await until(lambda: bool(server.watched_from()))
        server.objects[PATH] = [service("new")]
        server.send("ERROR", {"code": 410, "message": "too old resource version"})
        await until(lambda: names(watch) == ["new"])


async def test_while_the_server_is_away_the_last_picture_stays(server: Server) -> None:
    server.objects[PATH] = [service("a")]
    async with Run(server) as watch:
        await until(lambda: bool(server.watched_from()))
        for error in (KubeError(0, "refused"), MissingError(404, "unknown kind"), KubeError(503, "starting")):
            server.errors[PATH] = error
            asked = len(server.asked)
            if server.streams[PATH].empty() and len(server.watched_from()) == 1:
                server.end(KubeError(0, "cut"))
            await until(lambda asked=asked: len(server.asked) > asked + 2)
            assert names(watch) == ["a"]
        server.objects[PATH] = [service("b")]
        del server.errors[PATH]
        await until(lambda: names(watch) == ["b"])


async def test_a_kind_that_nobody_defined_is_none_and_is_looked_for_again(server: Server) -> None:
    server.errors[PATH] = MissingError(404, "the server could not find the requested resource")
    async with Run(server) as watch:
        await until(lambda: watch.synced)
        assert watch.objects == {}
        server.objects[PATH] = [service("a")]
        del server.errors[PATH]
        await until(lambda: names(watch) == ["a"])


async def test_without_the_right_to_read_it_is_not_synced_unless_it_can_do_without(server: Server) -> None:
    server.errors[PATH] = ForbiddenError(403, "forbidden")
    async with Run(server) as watch:
        await until(lambda: len(server.asked) > 5)
        assert not watch.synced
    async with Run(server, optional=True) as watch:
        await until(lambda: watch.synced)


async def test_one_object_that_cannot_be_read_is_left_out(server: Server) -> None:
    server.objects[PATH] = [service("a"), service("b", ports=[{"port": "eighty"}])]
    async with Run(server) as watch:
        await until(lambda: watch.synced)
        assert names(watch) == ["a"]
        server.send("MODIFIED", service("a", ports=[{"port": "eighty"}]))
        server.send("ADDED", service("c"))
        await until(lambda: names(watch) == ["c"])


async def test_a_garbled_stream_is_listed_again(server: Server) -> None:
    async with Run(server) as watch:
        await until(lambda: bool(server.watched_from()))
        server.objects[PATH] = [service("new")]
        server.streams[PATH].put_nowait(b"{half a line")
        await until(lambda: names(watch) == ["new"])


@pytest.mark.parametrize(
    ("code", "text", "kind", "message"),
    [
        (404, b'{"message": "services is not known"}', MissingError, "services is not known"),
        (410, b'{"message": "too old"}', GoneError, "too old"),
        (403, b"plain", ForbiddenError, "plain"),
        (500, b"", KubeError, "HTTP 500"),
        (502, b"[1]", KubeError, "[1]"),
    ],
)
def test_errors_say_what_the_server_says(code: int, text: bytes, kind: type[KubeError], message: str) -> None:
    error = error_of(code, text)
    assert (type(error), error.code, error.message) == (kind, code, message)


# The whole cluster

BASE = "/apis/gateway.networking.k8s.io/v1/namespaces/looma"


async def test_the_cluster_is_known_once_everything_was_read(server: Server) -> None:
    cluster = Cluster(server, namespaces=["looma"], class_name="looma")
    server.objects["/apis/gateway.networking.k8s.io/v1/gatewayclasses"] = [gateway_class()]
    server.objects[f"{BASE}/gateways"] = [gateway(https())]
    server.objects[f"{BASE}/httproutes"] = [route()]
    server.objects[PATH] = [service()]
    assert len(cluster.waits_for) == 8
    names = iter("abcd")

    def touch() -> None:
        server.send("MODIFIED", gateway(https(next(names))), path=f"{BASE}/gateways")

    task = asyncio.create_task(cluster.run())
    try:
        # The certificate that the Gateway names belongs to what is waited for; that it is missing is known, too.
        await until(lambda: not cluster.waits_for)
        found = cluster.snapshot()
        assert [len(items) for items in (found.gateways, found.routes, found.services)] == [1, 1, 1]
        assert found.secrets == ()
        # It comes later, and a change of the Gateway makes it looked for at once.
        server.singles["/api/v1/namespaces/looma/secrets/tls"] = secret()
        cluster.changed.clear()
        touch()
        await until(lambda: len(cluster.snapshot().secrets) == 1)
        assert cluster.changed.is_set()
        # While the server does not answer the certificate stays; once it says that there is none, it goes.
        server.errors["/api/v1/namespaces/looma/secrets/tls"] = KubeError(0, "away")
        touch()
        asked = len(server.asked)
        await until(lambda: len(server.asked) > asked)
        assert len(cluster.snapshot().secrets) == 1
        server.errors["/api/v1/namespaces/looma/secrets/tls"] = MissingError(404, "not found")
        touch()
        await until(lambda: cluster.snapshot().secrets == ())
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_several_namespaces_are_watched_each(server: Server) -> None:
    cluster = Cluster(server, namespaces=["b", "a", "a"], class_name="looma")
    assert len(cluster.waits_for) == 2 + 2 * 6
    task = asyncio.create_task(cluster.run())
    try:
        await until(lambda: not cluster.waits_for)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
