"""What the controller writes into statuses: once where it says the same, again in time, and nothing ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from looma_core.kube import KubeError
from looma_core.metrics import Metrics
from looma_engines.gateway import controller as loops
from looma_engines.gateway.kube.client import ConflictError, MissingError
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.telling import REPEAT_SECONDS, Teller, View
from support.gateway_controller import World, canary, until
from support.gateway_world import Object, gateway


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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
