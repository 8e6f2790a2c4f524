"""Watches of a kind that may be missing: what a server sends, and what becomes of the kind's coming and going."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.configuration import Configuration

from looma_core.kube import KubeError
from looma_operator.kube import client, watch
from looma_operator.kube.client import Kube, NotFoundError
from looma_operator.kube.kinds import HTTP_ROUTE
from looma_operator.kube.watch import Follower

Json = dict[str, Any]
PLACE = "/apis/gateway.networking.k8s.io/v1/namespaces/looma/httproutes"


def event(kind: str, name: str, version: int, **more: Any) -> Json:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}, **more}}


# ---- the stream as a server sends it -----------------------------------------------------------------------

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[Kube]:
    """A client of a server that answers the collection of routes so."""
    app = web.Application()
    app.add_routes([web.get(PLACE, answer)])
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        kube = Kube(configuration)
        try:
            yield kube
        finally:
            await kube.close()


async def read(kube: Kube, version: str = "") -> list[Json]:
    async with kube.watch(HTTP_ROUTE, "looma", selector="a=b", version=version) as events:
        return [item async for item in events]


async def test_events_come_whole_however_they_are_cut_and_however_long():
    sent = [event("ADDED", "a", 1, text="x" * 300_000), event("MODIFIED", "é", 2), event("BOOKMARK", "", 3)]
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        response = web.StreamResponse()
        await response.prepare(request)
        text = b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in sent)
        for start in range(0, len(text), 65_537):
            await response.write(text[start : start + 65_537])
        return response

    async with served(answer) as kube:
        assert await read(kube, "7") == sent
    assert asked[0]["watch"] == "true"
    assert asked[0]["labelSelector"] == "a=b"
    assert asked[0]["resourceVersion"] == "7"


@pytest.mark.parametrize(("status", "error"), [(404, NotFoundError), (410, KubeError), (500, KubeError)])
async def test_a_watch_that_is_not_taken_says_why(status: int, error: type[KubeError]):
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "not today"}, status=status)

    async with served(answer) as kube:
        with pytest.raises(error) as raised:
            await read(kube)
    assert (raised.value.code, raised.value.message) == (status, "not today")


async def test_silence_ends_a_watch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.05)
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await over.wait()
        return response

    async with served(answer) as kube:
        with pytest.raises(KubeError) as raised:
            await read(kube)
        over.set()
    assert raised.value.code == 0


async def test_a_server_that_is_away_is_an_error_like_any_other():
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:1"
    kube = Kube(configuration)
    try:
        with pytest.raises(KubeError) as raised:
            await read(kube)
    finally:
        await kube.close()
    assert raised.value.code == 0


# ---- following ---------------------------------------------------------------------------------------------


class Over(Exception):
    """The script has come to its end."""


class Script:
    """A client whose watches go as written: an error that refuses one, or the events (and errors) that it gives."""

    def __init__(self, *watches: Exception | list[Json | Exception]) -> None:
        self.watches = list(watches)
        self.versions: list[str] = []

    @asynccontextmanager
    async def watch(self, *_: Any, version: str, **_named: Any) -> AsyncIterator[AsyncIterator[Json]]:
        self.versions.append(version)
        if not self.watches:
            raise Over
        what = self.watches.pop(0)
        if isinstance(what, Exception):
            raise what
        yield self._events(what)

    async def _events(self, what: list[Json | Exception]) -> AsyncIterator[Json]:
        for item in what:
            if isinstance(item, Exception):
                raise item
            yield item


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []

    async def at_once(seconds: float) -> None:
        taken.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(watch, "asyncio", SimpleNamespace(sleep=at_once, TaskGroup=asyncio.TaskGroup))
    return taken


async def follow(script: Script) -> tuple[list[str], list[str]]:
    """Names of the objects that were told of, and namespaces where the kind appeared."""
    changed: list[str] = []
    appeared: list[str] = []

    async def note(namespace: str) -> None:
        appeared.append(namespace)

    follower = Follower(
        script,  # type: ignore[arg-type]
        HTTP_ROUTE,
        ["looma"],
        selector="a=b",
        changed=lambda found: changed.append(found["metadata"]["name"]),
        appeared=note,
    )
    with pytest.raises(ExceptionGroup) as ended:
        await follower.run()
    assert ended.group_contains(Over)
    return changed, appeared


@pytest.mark.usefixtures("slept")
async def test_a_watch_goes_on_where_the_last_one_ended():
    script = Script([event("ADDED", "a", 5), event("BOOKMARK", "", 8)], [event("DELETED", "a", 9)], [])
    assert await follow(script) == (["a", "a"], [])
    assert script.versions == ["", "8", "9", "9"]


async def test_a_kind_that_comes_later_is_told_once_and_asked_for_seldom(slept: list[float]):
    missing = NotFoundError(404, "no such kind")
    script = Script(missing, missing, [event("ADDED", "a", 5)], [])
    assert await follow(script) == (["a"], ["looma"])
    assert slept == [watch.MISSING_SECONDS] * 2


@pytest.mark.usefixtures("slept")
async def test_a_kind_that_goes_and_comes_is_read_anew():
    script = Script([event("ADDED", "a", 5)], NotFoundError(404, "gone"), [event("ADDED", "b", 1)])
    assert await follow(script) == (["a", "b"], ["looma"])
    assert script.versions == ["", "5", "", "1"]


@pytest.mark.parametrize(
    ("trouble", "version"),
    [
        pytest.param(KubeError(0, "cut"), "5", id="a cut connection goes on"),
        pytest.param(KubeError(410, "too old"), "", id="a version that is too old begins anew"),
        pytest.param(
            {"type": "ERROR", "object": {"code": 410, "message": "too old"}},
            "",
            id="said within the stream as well",
        ),
    ],
)
async def test_trouble_in_a_watch(slept: list[float], trouble: Any, version: str):
    script = Script([event("ADDED", "a", 5), trouble], [])
    assert await follow(script) == (["a"], [])
    assert script.versions[1] == version
    assert slept == [watch.RETRY_SECONDS]
