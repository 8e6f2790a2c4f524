"""The controller's loop: what it waits for, what it does, what it tells, and that nothing ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from looma_engines.gateway import controller as loops
from looma_engines.gateway.http import STUCK_SECONDS
from looma_engines.gateway.model import DataPlane, TokenKey
from looma_engines.gateway.objects import Snapshot
from looma_engines.gateway.waiting import HOLD_SECONDS, Missing
from support.gateway_controller import World, canary, until
from support.gateway_haproxy import FakeHaproxy
from support.gateway_world import (
    endpoint,
    gateway,
    match,
    route,
    rule,
    service,
    slice_of,
    small_world,
    to,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_nothing_is_done_before_the_cluster_is_known(world: World) -> None:
    world.cluster.waits_for = ["/api/v1/namespaces/looma/services"]
    await world.controller.step()
    assert (world.haproxy.reloads, world.views) == (0, [])
    assert world.health.waits_for == ["/api/v1/namespaces/looma/services"]
    world.cluster.waits_for = []
    world.cluster.show(*small_world())
    await world.controller.step()
    assert world.running.ready
    assert [item.name for item in world.running.rules] == ["looma_resume_0_0"]
    assert world.health.waits_for == []
    # What is looked for later holds nothing up.
    world.cluster.waits_for = ["secret looma/new"]
    world.cluster.show(gateway())
    await world.controller.step()
    assert world.running.rules == ()


async def test_a_weight_is_one_step_without_a_reload_and_told_at_once(world: World) -> None:
    world.cluster.show(*canary(0))
    await world.controller.step()
    world.cluster.show(*canary(20))
    await world.controller.step()
    assert (world.haproxy.reloads, len(world.haproxy.commands)) == (1, 1)
    (rule_name,) = [item.name for item in world.running.rules]
    assert world.views[-1].actual[rule_name] == (800, 200)
    assert world.counted('looma_gateway_changes_total{kind="weights"}') == 1
    assert world.counted('looma_gateway_reloads_total{result="done"}') == 1
    assert world.counted('looma_gateway_endpoints{service="looma_resume-stable_80",state="up"}') == 1
    assert world.counted("looma_gateway_apply_seconds_count") == 2


async def test_new_keys_are_taken(world: World) -> None:
    world.cluster.show(*small_world())
    await world.controller.step()
    world.keys = (TokenKey(id="k", pem="P"),)
    world.cluster.changed.set()
    await world.controller.step()
    assert world.running.tokens.keys == world.keys


async def test_a_look_without_news_reads_back_and_repairs(world: World) -> None:
    world.cluster.show(*small_world())
    await world.controller.step()
    asked = world.running
    world.haproxy.running = DataPlane()
    await world.controller.step()
    assert world.running == asked
    assert world.haproxy.reloads == 2
    assert len(world.views) == 2


async def test_what_is_missing_is_waited_for_a_moment(world: World) -> None:
    world.cluster.show(*small_world())
    await world.controller.step()
    # The route comes before its Service.
    new = route(rule(to("new-stable"), matches=[match("/new")]), name="new")
    world.cluster.show(*small_world(), new)
    assert await world.controller.step() == pytest.approx(HOLD_SECONDS)
    assert world.haproxy.reloads == 1
    world.now += HOLD_SECONDS / 2
    world.cluster.show(*small_world(), new, service("new-stable"), slice_of("new-stable"))
    await world.controller.step()
    assert [item.targets[0].backend for item in world.running.rules] == [
        "looma_new-stable_80",
        "looma_resume-stable_80",
    ]


async def test_what_stays_missing_holds_nothing_up(world: World) -> None:
    new = route(rule(to("nobody"), matches=[match("/new")]), name="new")
    world.cluster.show(*small_world(), new)
    await world.controller.step()
    world.now += 2 * HOLD_SECONDS
    await world.controller.step()
    assert [item.targets[0].backend for item in world.running.rules] == ["", "looma_resume-stable_80"]
    # Nor does it later.
    world.cluster.show(*canary(5), new)
    await world.controller.step()
    assert len(world.running.backends) == 2


def test_how_long_to_wait() -> None:
    missing = Missing()
    assert missing.hold(set(), 0) == 0
    assert missing.hold({"a"}, 10) == pytest.approx(HOLD_SECONDS)
    assert missing.hold({"a"}, 10.1) == pytest.approx(HOLD_SECONDS - 0.1)
    assert missing.hold({"a"}, 11) == 0
    assert missing.hold({"a", "b"}, 11) == pytest.approx(HOLD_SECONDS)
    assert missing.hold(set(), 12) == 0
    assert missing.hold({"a"}, 12) == pytest.approx(HOLD_SECONDS)


class Bad(FakeHaproxy):
    """Takes no route called `bad`."""

    def _check(self, plane: DataPlane) -> None:
        if any("_bad_" in item.name for item in plane.rules):
            from looma_engines.gateway.applying import RefusedError

            raise RefusedError("line 9: bad")


async def test_a_refusal_is_told_and_pods_come_and_go_all_the_same(world: World) -> None:
    world.haproxy.__class__ = Bad
    world.cluster.show(*small_world())
    await world.controller.step()
    bad = route(rule(to("resume-stable"), matches=[match("/b")]), name="bad")
    world.cluster.show(*small_world(), bad)
    await world.controller.step()
    assert not world.views[-1].applied.holds
    assert world.views[-1].applied.message == "line 9: bad"
    assert world.health.waits_for == ["HAProxy"]
    assert world.counted('looma_gateway_reloads_total{result="refused"}') == 1
    # It is not tried again for the same, until a while has passed.
    await world.controller.step()
    assert world.counted('looma_gateway_reloads_total{result="refused"}') == 1
    world.now += loops.REFUSED_SECONDS
    await world.controller.step()
    assert world.counted('looma_gateway_reloads_total{result="refused"}') == 2
    # Another pod is taken.
    more = [item for item in small_world() if item["kind"] != "EndpointSlice"]
    world.cluster.show(*more, slice_of("resume-stable", endpoint("10.0.0.8")), bad)
    await world.controller.step()
    assert [item.address for item in world.running.backends[0].endpoints] == ["10.0.0.8"]
    # Without it all is well again.
    world.cluster.show(*small_world())
    await world.controller.step()
    assert world.views[-1].applied.holds
    assert world.health.waits_for == []


async def test_no_error_ends_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "RETRY_SECONDS", (0.0,))
    monkeypatch.setattr(loops, "TICK_SECONDS", 0.0)
    world.haproxy.running = None
    world.cluster.show(*small_world())
    task = asyncio.create_task(world.controller.run())
    try:
        await until(lambda: world.health.waits_for == ["HAProxy does not answer"])
        world.haproxy.start()
        await until(lambda: world.health.waits_for == [])
        assert world.running.ready

        def broken() -> Snapshot:
            raise RuntimeError("a bug")

        monkeypatch.setattr(world.cluster, "snapshot", broken)
        world.cluster.changed.set()
        await until(lambda: world.health.waits_for == ["a step failed"])
        monkeypatch.undo()
        monkeypatch.setattr(loops, "TICK_SECONDS", 0.0)
        world.cluster.show(gateway())
        await until(lambda: world.health.waits_for == [] and not world.running.rules)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_news_does_not_make_a_failing_step_a_busy_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == len(loops.RETRY_SECONDS) + 1:
            raise Enough

    def broken() -> Snapshot:
        raise RuntimeError("a bug")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(world.cluster, "snapshot", broken)
    world.cluster.changed.set()
    with pytest.raises(Enough):
        await world.controller.run()
    assert pauses == [*loops.RETRY_SECONDS, loops.RETRY_SECONDS[-1]]


async def test_a_cancellation_that_comes_with_news_is_not_lost(world: World) -> None:
    world.cluster.waits_for = ["something"]
    task = asyncio.create_task(world.controller.run())
    await asyncio.sleep(0.01)
    world.cluster.changed.set()
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task


# HTTP


async def body(answer: Any) -> tuple[int, str]:
    response = await answer(make_mocked_request("GET", "/"))
    return response.status, response.text or ""


async def test_health_readiness_and_metrics(world: World) -> None:
    assert await body(world.health.healthz) == (200, '{"status": "ok"}')
    assert (await body(world.health.readyz))[0] == 503
    world.health.waits_for = []
    assert (await body(world.health.readyz))[0] == 200
    world.now += STUCK_SECONDS
    assert (await body(world.health.healthz))[0] == 500
    response = await world.health.metrics(make_mocked_request("GET", "/metrics"))
    assert b"looma_gateway_reloads_total" in (response.body or b"")
