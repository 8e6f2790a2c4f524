"""The controller's loop: what it waits for, what it does, what it tells, and that nothing ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from looma_core.metrics import Metrics
from looma_engines.gateway import controller as loops
from looma_engines.gateway.applying import Applier, write_first
from looma_engines.gateway.controller import Controller
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.http import STUCK_SECONDS, Health
from looma_engines.gateway.kube.client import ConflictError, KubeError, MissingError
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import DataPlane, TokenKey
from looma_engines.gateway.objects import Snapshot
from looma_engines.gateway.telling import REPEAT_SECONDS, Teller, View
from looma_engines.gateway.translate import Here
from looma_engines.gateway.waiting import HOLD_SECONDS, Missing
from support.gateway_haproxy import FakeHaproxy
from support.gateway_world import (
    Object,
    ai_service,
    endpoint,
    gateway,
    match,
    route,
    rule,
    service,
    slice_of,
    small_world,
    snapshot,
    to,
)


class Cluster:
    """What is known of the cluster, as the test says."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.waits_for: list[str] = []
        self.documents: list[Object] = []

    def show(self, *documents: Object) -> None:
        self.documents = list(documents)
        self.changed.set()

    def snapshot(self) -> Snapshot:
        return snapshot(*self.documents)


class World:
    """A controller with a HAProxy and a cluster of the test's own, and a clock that stands."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.cluster = Cluster()
        self.haproxy = FakeHaproxy(folder)
        self.keys: tuple[TokenKey, ...] = ()
        self.views: list[View] = []
        self.metrics = Metrics(service="gateway", revision="r1")
        self.health = Health(self.metrics, clock=lambda: self.now)
        counted = GatewayMetrics(self.metrics)
        write_first(self.haproxy, folder, pod="pod-a")
        self.haproxy.start()
        self.applier = Applier(self.haproxy, folder, on_step=counted.count)
        self.controller = Controller(
            cluster=self.cluster,
            applier=self.applier,
            here=Here(pod="pod-a"),
            keys=lambda: self.keys,
            ends=lambda one: thresholds(one.targets),
            tell=self.views.append,
            health=self.health,
            metrics=counted,
            clock=lambda: self.now,
        )

    @property
    def running(self) -> DataPlane:
        assert self.haproxy.running is not None
        return self.haproxy.running

    def counted(self, series: str) -> float:
        for line in self.metrics.exposition().decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def canary(weight: int) -> list[Object]:
    """A world in which a rollout goes on."""
    return [
        gateway(),
        ai_service(),
        service(of="resume", revision="r1"),
        service("resume-canary", of="resume", revision="r2"),
        slice_of("resume-stable", endpoint("10.0.0.1")),
        slice_of("resume-canary", endpoint("10.0.0.2")),
        route(rule(to("resume-stable", 100 - weight), to("resume-canary", weight)), of="resume"),
    ]


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


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what holds is the code's own state, which tells nobody
            await asyncio.sleep(0)


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


# Telling


class Api:
    """Takes writes, and answers them as the test says."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, str, Any, Mapping[str, str]]] = []
        self.error: KubeError | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> bytes:
        self.writes.append((path.rsplit("/", 2)[1], content_type.split("/")[1], body, dict(query or {})))
        if self.error is not None:
            raise self.error
        return b"{}"

    def taken(self) -> list[tuple[str, str]]:
        """Names and kinds of the writes since the last call."""
        found = [(name, kind) for name, kind, _, _ in self.writes]
        self.writes.clear()
        return sorted(found)


class Clock:
    """A time that the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2025, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def view_of(world: World, *documents: Object) -> View:
    world.cluster.show(*documents)
    world.now += 1
    while await world.controller.step() < loops.TICK_SECONDS:
        world.now += 1
    return world.views[-1]


_STATUS = [("looma", "merge-patch+json"), ("resume", "merge-patch+json")]
_TRAFFIC = ("resume", "apply-patch+yaml")


async def test_statuses_and_traffic_are_written_once_and_a_rollout_is_told_again(world: World) -> None:
    api, clock = Api(), Clock()
    teller = Teller(api, pod="pod-a", now=clock)
    view = await view_of(world, *canary(20))
    await teller.write(view)
    name, _, document, query = next(item for item in api.writes if item[1] == "apply-patch+yaml")
    assert (name, query) == ("resume", {"fieldManager": "looma-gateway-pod-a", "force": "true"})
    assert [(item["revision"], item["weight"]) for item in document["status"]["traffic"]] == [
        ("r1", 80),
        ("r2", 20),
    ]
    assert api.taken() == sorted([*_STATUS, _TRAFFIC])
    # The watch has not brought them yet: nothing is written twice, but for the rollout's entries in time.
    clock.pass_by(1)
    await teller.write(view)
    assert api.taken() == []
    clock.pass_by(1)
    await teller.write(view)
    assert api.taken() == [_TRAFFIC]


async def test_two_pods_that_differ_take_turns_slowly(world: World) -> None:
    api, clock = Api(), Clock()
    teller = Teller(api, pod="pod-a", now=clock)
    view = await view_of(world, gateway())
    await teller.write(view)
    assert api.taken() == [("looma", "merge-patch+json")]
    clock.pass_by(REPEAT_SECONDS - 1)
    await teller.write(view)
    assert api.taken() == []
    clock.pass_by(1)
    await teller.write(view)
    assert api.taken() == [("looma", "merge-patch+json")]


@pytest.mark.parametrize(
    "error", [ConflictError(409, "changed"), MissingError(404, "gone"), KubeError(0, "away")]
)
async def test_a_write_that_fails_is_tried_again_and_ends_nothing(world: World, error: KubeError) -> None:
    api, clock = Api(), Clock()
    teller = Teller(api, pod="pod-a", now=clock)
    view = await view_of(world, *canary(20))
    api.error = error
    await teller.write(view)
    first = api.taken()
    await teller.write(view)
    assert api.taken() == first == sorted([*_STATUS, _TRAFFIC])
    api.error = None
    await teller.write(view)
    assert api.taken() == first
    await teller.write(view)
    assert api.taken() == []


async def test_a_pod_that_ends_takes_its_entries_back(world: World) -> None:
    api = Api()
    teller = Teller(api, pod="pod-a", now=Clock())
    await teller.take_back()
    assert api.writes == []
    teller.tell(await view_of(world, *canary(20)))
    task = asyncio.create_task(teller.run())
    await until(lambda: len(api.writes) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    api.writes.clear()
    await teller.take_back()
    ((_, _, document, _),) = api.writes
    assert document["status"]["traffic"] == []


async def test_entries_of_pods_that_are_gone_are_taken_away(world: World) -> None:
    api = Api()
    teller = Teller(api, pod="pod-a", now=Clock())
    documents = canary(0)
    gone = {"gateway": "gone", "revision": "r1", "weight": 1, "observedAt": "2025-02-01T00:00:00Z"}
    documents[1]["status"] = {"traffic": [gone]}
    await teller.write(await view_of(world, *documents))
    assert ("resume", "json-patch+json") in api.taken()


async def test_what_is_told_is_shown_as_a_metric(world: World) -> None:
    shown = GatewayMetrics(Metrics(service="gateway", revision="r1"))
    teller = Teller(Api(), pod="pod-a", show=shown.show_weights, now=Clock())
    await teller.write(await view_of(world, *canary(5)))
    found = shown._metrics.exposition().decode()
    assert 'looma_gateway_weight{revision="r2",service="looma/resume"} 5.0' in found
