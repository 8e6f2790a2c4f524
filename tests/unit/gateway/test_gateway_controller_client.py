"""The client of the API server, and the controller's own HTTP, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from looma_core.api.gateway import GatewayTraffic
from looma_core.kube import KubeError
from looma_core.metrics import Metrics
from looma_engines.gateway import http
from looma_engines.gateway.kube import client
from looma_engines.gateway.kube.client import ConflictError, GoneError, Kube, MissingError
from support.control_plane import free_port


async def _answer(request: web.Request) -> web.StreamResponse:
    name = request.path.rsplit("/", 1)[1]
    if name == "echo":
        text = await request.text()
        return web.json_response(
            {"query": dict(request.query), "type": request.headers["Content-Type"], "body": text}
        )
    if name == "slow":
        await asyncio.sleep(30)
    if name.isdigit():
        return web.json_response({"message": f"this is {name}"}, status=int(name))
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"one\ntwo\n")
    if name == "cut":
        assert request.transport is not None
        request.transport.abort()
    if name == "silent":
        await asyncio.sleep(30)
    return response


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    """A client of a server that answers by the last part of the path."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", _answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{port}"
    made = Kube(configuration)
    yield made
    await made.close()
    await runner.cleanup()


async def lines(kube: Kube, name: str) -> list[bytes]:
    return [line async for line in kube.lines(f"/watch/{name}", query={"watch": "true"})]


async def test_a_request_carries_what_it_is_given(kube: Kube) -> None:
    text = await kube.request(
        "PATCH", "/api/echo", query={"a": "b c"}, body=[{"op": "test"}], content_type=client.JSON_PATCH
    )
    assert text == (
        b'{"query": {"a": "b c"}, "type": "application/json-patch+json", "body": "[{\\"op\\": \\"test\\"}]"}'
    )


@pytest.mark.parametrize(
    ("code", "kind"), [(404, MissingError), (409, ConflictError), (410, GoneError), (500, KubeError)]
)
async def test_an_error_is_told_by_its_kind(kube: Kube, code: int, kind: type[KubeError]) -> None:
    with pytest.raises(kind, match=f"this is {code}"):
        await kube.request("GET", f"/api/{code}")
    with pytest.raises(kind, match=f"this is {code}"):
        await lines(kube, str(code))


async def test_lines_come_until_the_server_ends(kube: Kube) -> None:
    assert await lines(kube, "stream") == [b"one\n", b"two\n"]


async def test_a_server_that_is_away_or_silent_is_an_error(
    kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.2)
    with pytest.raises(KubeError) as caught:
        await kube.request("GET", "/api/slow")
    assert caught.value.code == 0
    for name in ("silent", "cut"):
        with pytest.raises(KubeError) as caught:
            await lines(kube, name)
        assert caught.value.code == 0
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{free_port()}"
    nobody = Kube(configuration)
    with pytest.raises(KubeError) as caught:
        await nobody.request("GET", "/api/x")
    assert caught.value.code == 0
    await nobody.close()


async def test_the_controllers_own_http() -> None:
    health, port = http.Health(Metrics(service="gateway", revision="r1")), free_port()
    seen = GatewayTraffic(gateway="gateway-1", age_seconds=None)
    task = asyncio.create_task(http.serve(health, lambda: seen, host="127.0.0.1", port=port))
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session, asyncio.timeout(10):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get("/healthz") as answer:
                        assert answer.status == 200
                        break
                await asyncio.sleep(0.01)
            async with session.get("/readyz") as answer:
                assert (answer.status, "waits for the cluster" in await answer.text()) == (503, True)
            async with session.get("/metrics") as answer:
                assert "python_info" in await answer.text()
            async with session.get("/traffic") as answer:
                assert msgspec.json.decode(await answer.read(), type=GatewayTraffic) == seen
            async with session.get("/openapi.json") as answer:
                document = await answer.json()
                assert set(document["components"]["schemas"]) == {
                    "GatewayTraffic",
                    "ServiceTraffic",
                    "RevisionTraffic",
                }
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
