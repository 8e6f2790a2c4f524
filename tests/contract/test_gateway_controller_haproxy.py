"""The gateway's controller between a real control plane and the real HAProxy: what callers get, and what is told."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

import aiohttp
import msgspec
import pytest

from looma_core.api.gateway import GatewayTraffic, RevisionTraffic
from looma_engines.gateway.main import run
from looma_engines.gateway.settings import GatewaySettings
from support import gateway_world as objects
from support.control_plane import ControlPlane
from support.gateway_cluster import WAIT_SECONDS, Pod, RealWorld, enter, until_answers
from support.haproxy import Haproxy, free_ports

pytestmark = pytest.mark.control_plane


@pytest.fixture
def real_world(
    control_plane: ControlPlane,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    new_haproxy: Callable[[], Haproxy],
) -> RealWorld:
    """As `world`, with the real HAProxy."""
    enter(control_plane, namespace, monkeypatch)
    haproxy = new_haproxy()
    return RealWorld(control_plane, namespace, haproxy.folder, real=haproxy)


async def test_shares_are_exact_and_move_without_a_reload_or_a_lost_request(real_world: RealWorld) -> None:
    world = real_world
    async with (
        Pod("stable").serve() as stable,
        Pod("canary").serve() as canary,
        aiohttp.ClientSession() as session,
    ):
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        world.slice("resume-canary", canary)
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            await world.until(lambda: world.traffic() == {"r1": 100, "r2": 0}, "it is told")
            worker = world.worker
            for percent in (5, 50):
                await asyncio.to_thread(world.weigh, percent)
                await world.until(
                    lambda percent=percent: world.traffic() == {"r1": 100 - percent, "r2": percent},
                    "it is told",
                )
                answers = [await world.ask(session) for _ in range(1000)]
                assert answers.count((200, "canary")) == percent * 10
                assert answers.count((200, "stable")) == 1000 - percent * 10
            assert world.worker == worker
            # A canary without a pod that answers gets nothing, and that is told as well.
            world.slice("resume-canary")
            await world.until(lambda: world.traffic() == {"r1": 50, "r2": 0}, "it is told")
            assert world.worker == worker
        # HAProxy goes on without its controller, and the next controller goes on from there.
        world.slice("resume-canary", canary)
        assert (await world.ask(session))[0] in (200, 503)
        async with world.controller():
            await asyncio.to_thread(world.weigh, 100)
            await until_answers(world, session, (200, "canary"))
            assert world.worker == worker


async def test_pods_are_replaced_while_requests_run(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("one").serve() as one, Pod("two").serve() as two, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", one)
        async with world.controller():
            await until_answers(world, session, (200, "one"))
            worker = world.worker
            answers: list[tuple[int, str]] = []
            over = asyncio.Event()

            async def load() -> None:
                while not over.is_set():
                    answers.append(await world.ask(session))

            caller = asyncio.create_task(load())
            # Each change is seen by HAProxy before the next: what is lost, is lost by a change.
            for pods, left in (((one, two), None), ((two,), "two"), ((one, two), None), ((one,), "one")):
                await asyncio.to_thread(world.slice, "resume-stable", *pods)
                if left is not None:
                    await until_answers(world, session, (200, left))
                    await world.until(lambda: len(world.servers()) == 1, "the other is gone")
                else:
                    await world.until(lambda: len(world.servers()) == 2, "both are there")
            over.set()
            await caller
            assert set(answers) == {(200, "one"), (200, "two")}
            assert world.worker == worker


async def test_what_somebody_else_changes_in_haproxy_is_put_right(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("stable").serve() as stable, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            await world.until(lambda: world.traffic() == {"r1": 100, "r2": 0}, "it is told")
            assert world.real is not None
            state = f"{world.namespace}_resume-stable_80/{world.servers()[0]}"
            assert world.real.command(f"set server {state} state maint") == ""
            assert ",MAINT," in world.real.command("show stat")
            await world.until(lambda: ",MAINT," not in world.real.command("show stat"), "it is put right")
            await until_answers(world, session, (200, "stable"))
            # And HAProxy that ends by itself comes back with the flow that it had, as its files have it.
            await asyncio.to_thread(world.weigh, 30)
            await world.until(lambda: world.traffic() == {"r1": 70, "r2": 0}, "it is told")
            world.real.stop()
            world.real.start()
            worker = world.worker
            await until_answers(world, session, (200, "stable"))
            first = world.get("AIService", "resume")["status"]["traffic"][0]["observedAt"]
            await world.until(
                lambda: world.get("AIService", "resume")["status"]["traffic"][0]["observedAt"] > first,
                "it was read back since",
            )
            assert (world.traffic(), world.worker) == ({"r1": 70, "r2": 0}, worker)


async def test_what_haproxy_refuses_is_told_and_the_rest_goes_on(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("stable").serve() as stable, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            # A key that is good enough for a certificate, and too short for HAProxy.
            certificate, key = objects.pem("short.example.org", bits=1024)
            world.apply(objects.secret("looma-gateway-tls", certificate=certificate, key=key))
            world.apply(world.gateway(objects.listener(), objects.https(of="looma-gateway-tls")))
            await world.until(
                lambda: world.condition("Gateway", "looma", "Programmed") == "False Invalid", "it is told"
            )
            (said,) = [
                item
                for item in world.get("Gateway", "looma")["status"]["conditions"]
                if item["type"] == "Programmed"
            ]
            assert "key too small" in said["message"]
            assert await world.ask(session) == (200, "stable")
            # HAProxy that ends now starts by files that it takes, and pods come and go all the same.
            assert world.real is not None
            world.real.stop()
            world.real.start()
            assert await world.ask(session) == (200, "stable")
            world.apply(objects.secret("looma-gateway-tls"))
            world.apply(world.gateway(objects.listener(), objects.https("tls", of="looma-gateway-tls")))
            await world.until(
                lambda: world.condition("Gateway", "looma", "Programmed") == "True Programmed", "all is well"
            )


async def test_a_route_of_the_https_listener_is_not_there_for_http(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("stable").serve() as stable, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        world.apply(objects.secret("looma-gateway-tls"))
        world.apply(world.gateway(objects.listener(), objects.https(of="looma-gateway-tls")))
        rule = objects.rule(objects.to("resume-stable"), matches=[objects.match("/secure")])
        world.apply(world.route(rule, name="secure", parents=[{"name": "looma", "sectionName": "https"}]))
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            secure = f"https://127.0.0.1:{world.ports[1]}/secure"
            async with session.get(secure, ssl=False) as answer:
                assert (answer.status, await answer.text()) == (200, "stable")
            for headers in ({}, {"X-Forwarded-Proto": "https"}):
                assert (await world.ask(session, "/secure", headers=headers))[0] == 404


async def test_the_whole_controller_tells_what_passes(real_world: RealWorld) -> None:
    world = real_world
    (own,) = free_ports(1)
    settings = GatewaySettings(
        service="gateway",
        namespace=world.namespace,
        revision="r7",
        host="127.0.0.1",
        pod="pod-a",
        gateway_class=world.class_name,
        gateway_folder=str(world.folder),
        gateway_http_port=world.ports[0],
        gateway_https_port=world.ports[1],
        gateway_controller_port=own,
        jwks_url="http://127.0.0.1:1/jwks",
    )
    async with Pod("stable").serve() as pod, aiohttp.ClientSession(f"http://127.0.0.1:{own}") as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", pod)
        task = asyncio.create_task(run(settings, world.link))
        try:
            async with aiohttp.ClientSession() as caller:
                await until_answers(world, caller, (200, "stable"))
                # From the first look on: what was before it, an earlier controller counted.
                await until_told(session, lambda told: told.window_seconds > 0 and told.services)
                for _ in range(20):
                    assert await world.ask(caller) == (200, "stable")
            # HAProxy drops samples that nobody has read yet; what it counts, it counts.
            told = await until_told(session, lambda told: sum(_stable(told).seconds) > 0)
            assert (told.gateway, told.services[0].service) == ("pod-a", "resume")
            assert (_stable(told).asked, _stable(told).given) == (100, 100)
            labels = f'code="2xx",retry="false",revision="r1",service="{world.namespace}/resume"'
            line = re.compile(rf"^looma_gateway_attempts_total\{{{labels}\}} (\S+)$", re.MULTILINE)
            async with asyncio.timeout(WAIT_SECONDS):
                counted = None
                while counted is None or float(counted[1]) < 20:
                    async with session.get("/metrics") as answer:
                        text = await answer.text()
                    counted = line.search(text)
                    await asyncio.sleep(0.05)
            assert f'looma_gateway_own_seconds_count{{service="{world.namespace}/resume"}}' in text
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _stable(told: GatewayTraffic) -> RevisionTraffic:
    found = {revision.revision: revision for service in told.services for revision in service.revisions}
    return found.get("r1", RevisionTraffic(revision="r1"))


async def until_told(
    session: aiohttp.ClientSession, holds: Callable[[GatewayTraffic], object]
) -> GatewayTraffic:
    """Ask the controller for its traffic until it is so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get("/traffic") as answer:
                    told = msgspec.json.decode(await answer.read(), type=GatewayTraffic)
                    if holds(told):
                        return told
            await asyncio.sleep(0.05)
