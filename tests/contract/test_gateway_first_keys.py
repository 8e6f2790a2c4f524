"""A new gateway pod and an issuer that is late: the pod's readiness, as its probe asks for it, and what callers get."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import httpx
import pytest
from aiohttp import web

from looma_core.auth import public_jwks
from looma_engines.gateway import waiting
from looma_engines.gateway.main import run
from looma_engines.gateway.settings import GatewaySettings
from support import gateway_world as objects
from support.control_plane import ControlPlane
from support.gateway_cluster import WAIT_SECONDS, Pod, RealWorld, enter, until_answers
from support.haproxy import Haproxy, free_ports
from support.tokens import AUDIENCE, ISSUER, bearer, private_key

pytestmark = pytest.mark.control_plane


@dataclass
class LateIssuer:
    """An issuer's key set, which answers 503 until `up` is set."""

    up: bool = False
    asked: int = 0
    port: int = field(default_factory=lambda: free_ports(1)[0])

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(public_jwks(private_key())) if self.up else web.Response(status=503)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[LateIssuer]:
        """Serve for as long as it is asked for."""
        app = web.Application()
        app.router.add_get("/jwks", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
def world(
    control_plane: ControlPlane,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    new_haproxy: Callable[[], Haproxy],
) -> RealWorld:
    """A namespace whose one route asks for tokens."""
    enter(control_plane, namespace, monkeypatch)
    haproxy = new_haproxy()
    made = RealWorld(control_plane, namespace, haproxy.folder, real=haproxy)
    made.build()
    made.apply(objects.ai_service(pathPrefixes=["/api/v1/resumes"], auth={"required": True}))
    return made


@contextlib.asynccontextmanager
async def gateway(world: RealWorld, issuer: LateIssuer) -> AsyncIterator[None]:
    """The controller's process, in this one."""
    settings = GatewaySettings(
        service="gateway",
        namespace=world.namespace,
        host="127.0.0.1",
        pod="pod-a",
        gateway_class=world.class_name,
        gateway_folder=str(world.folder),
        gateway_http_port=world.ports[0],
        gateway_https_port=world.ports[1],
        gateway_controller_port=free_ports(1)[0],
        jwks_url=f"http://127.0.0.1:{issuer.port}/jwks",
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )
    task = asyncio.create_task(run(settings, world.link))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_ready(world: RealWorld) -> bool:
    """What the pod's readiness probe gets to know."""
    answer = httpx.get(f"http://127.0.0.1:{world.ports[2]}/readyz")
    assert answer.status_code in (200, 503)
    return answer.status_code == 200


async def test_a_pod_is_ready_with_the_first_keys_and_tells_nobody_that_it_has_none(world: RealWorld) -> None:
    async with (
        Pod("stable").serve() as stable,
        LateIssuer().serve() as issuer,
        aiohttp.ClientSession() as session,
    ):
        await asyncio.to_thread(world.slice, "resume-stable", stable)
        async with gateway(world, issuer):
            # A second failure comes after the first one's news were looked at.
            await world.until(lambda: issuer.asked > 1, "the issuer was asked")
            assert not await asyncio.to_thread(is_ready, world)
            issuer.up = True
            async with asyncio.timeout(WAIT_SECONDS):
                while not await asyncio.to_thread(is_ready, world):
                    # Whoever asks all the same finds nobody there, or an answer: never that there are no keys.
                    with contextlib.suppress(aiohttp.ClientConnectorError):
                        assert await world.ask(session, headers=bearer()) == (200, "stable")
                    await asyncio.sleep(0.02)
            assert await world.ask(session, headers=bearer()) == (200, "stable")
            assert (await world.ask(session))[0] == 401


async def test_an_issuer_that_is_down_keeps_no_pod_from_serving(
    world: RealWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half a minute in a pod.
    monkeypatch.setattr(waiting, "KEYS_SECONDS", 0.5)
    open_rule = objects.rule(objects.to("resume-stable"), matches=[objects.match("/api/v1/open")])
    async with (
        Pod("stable").serve() as stable,
        LateIssuer().serve() as issuer,
        aiohttp.ClientSession() as session,
    ):
        await asyncio.to_thread(world.slice, "resume-stable", stable)
        world.apply(objects.ai_service("open", pathPrefixes=["/api/v1/open"], auth={"required": False}))
        world.apply(world.route(open_rule, name="open", of="open"))
        async with gateway(world, issuer):
            await world.until(lambda: is_ready(world), "it is ready")
            assert await world.ask(session, "/api/v1/open") == (200, "stable")
            status, problem = await world.ask(session, headers=bearer())
            assert (status, "keys cannot be read" in problem) == (503, True)
            issuer.up = True
            await until_answers(world, session, (200, "stable"), headers=bearer())
