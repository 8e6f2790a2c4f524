"""How long rollouts took: each is told once, when it ends, with what came of it."""

from __future__ import annotations

import pytest

from looma_operator.plan.durations import Ended, rollout_ended
from support.operator_world import World, ask, spec, turn

CANARY = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}], "progressDeadlineSeconds": 60}
BLUE_GREEN = {"strategy": "BlueGreen", "progressDeadlineSeconds": 60}


def told(world: World, rounds: int = 30) -> list[Ended]:
    """What so many looks tell of."""
    found = []
    for _ in range(rounds):
        before, now = world.read_status, world.now
        turn(world)
        if (ended := rollout_ended(before, world.read_status, now=now)) is not None:
            found.append(ended)
    return found


def results(found: list[Ended]) -> list[tuple[str, str]]:
    return [(ended.strategy, ended.result) for ended in found]


@pytest.fixture
def canary() -> World:
    """A service at r1, whose first rollout was told."""
    world = World(spec=spec(rollout=CANARY))
    told(world)
    return world


@pytest.mark.parametrize(
    "rollout", [CANARY, BLUE_GREEN, spec()["rollout"]], ids=lambda found: found["strategy"]
)
def test_a_rollout_is_told_once_when_its_revision_serves_with_its_time(rollout):
    world = World(spec=spec(rollout=rollout))
    assert results(told(world)) == [("Rolling", "Completed")], "the first revision has none beside it"
    world.change(image="looma-engine:2")
    begun = world.now
    found = told(world, 20)
    if rollout["strategy"] != "Rolling":
        assert found == [], "it waits for somebody"
        ask(world, "promote-full")
        found = told(world)
    assert results(found) == [(rollout["strategy"], "Completed")]
    assert 0 < found[0].seconds <= (world.now - begun).total_seconds()
    if rollout["strategy"] != "Rolling":
        assert found[0].seconds >= 20, "the time in which it waited is in it"


def test_going_back_is_told_as_a_rollback(canary):
    canary.change(image="looma-engine:2")
    told(canary)
    ask(canary, "promote-full")
    assert results(told(canary)) == [("Canary", "Completed")]
    canary.change(image="looma-engine:1")
    assert results(told(canary)) == [("Canary", "RolledBack")]
    canary.change(image="looma-engine:3")
    told(canary)
    ask(canary, "promote-full", 2)
    assert results(told(canary)) == [("Canary", "Completed")], "the rollback before is over"


def test_an_abort_is_told_once_and_a_retry_is_another_rollout(canary):
    canary.change(image="looma-engine:2")
    told(canary)
    ask(canary, "abort")
    assert results(told(canary)) == [("Canary", "Aborted")]
    ask(canary, "retry")
    assert told(canary) == []
    ask(canary, "promote-full")
    assert results(told(canary)) == [("Canary", "Completed")]


def test_one_that_gets_no_further_is_told_as_failed(canary):
    canary.broken = {"looma-engine:2"}
    canary.change(image="looma-engine:2")
    (failed,) = told(canary, 90)
    assert failed.result == "Failed"
    assert failed.seconds >= CANARY["progressDeadlineSeconds"]


@pytest.mark.parametrize("image", ["looma-engine:3", "looma-engine:1"])
def test_one_whose_spec_is_changed_halfway_is_told_as_replaced(canary, image):
    canary.change(image="looma-engine:2")
    told(canary)
    canary.change(image=image)
    assert results(told(canary)) == [("Canary", "Replaced")]
