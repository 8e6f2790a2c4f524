"""What holds of every rollout, whatever is asked for in between: of Rolling, Canary and BlueGreen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.operator_world import World, ask, spec, turn, weights

STEPS = [{"setWeight": 25}, {"pause": {"seconds": 30}}, {"setWeight": 50}, {"pause": {}}]
ROLLING = {"strategy": "Rolling", "progressDeadlineSeconds": 60}
CANARY = {"strategy": "Canary", "steps": STEPS, "progressDeadlineSeconds": 60}
REDUCED = CANARY | {"steps": [{"setWeight": 75}, {"pause": {"seconds": 2}}, {"setWeight": 25}, {"pause": {}}]}
BLUE_GREEN = {"strategy": "BlueGreen", "progressDeadlineSeconds": 60, "preview": {"header": "X-Preview"}}

# "look" three times: most of the time nothing happens, and a rollout gets on.
EVENTS = ["look", "look", "look", "new", "back", "scale", "crash"]
REQUESTS = ["abort", "retry", "promote", "promote-full", "pause", "resume"]
events = st.lists(st.sampled_from(EVENTS + REQUESTS), min_size=5, max_size=40)
unscaled = events.map(lambda drawn: [event for event in drawn if event != "scale"])


def happen(world: World, event: str, number: int) -> None:
    """One of the events above; the number makes contents, requests and sizes differ."""
    match event:
        case "new":
            world.change(image=f"looma-engine:{number + 10}")
        case "back":
            world.change(image="looma-engine:1")
        case "scale":
            world.change(replicas=1 + number % 6)
        case "crash":
            world.look(crash_after=number % 3)
        case "abort" | "retry" | "promote" | "promote-full" | "pause" | "resume":
            ask(world, event, number)


@settings(max_examples=settings().max_examples // 5)
@given(events=events, rollout=st.sampled_from([CANARY, BLUE_GREEN]))
def test_whatever_happens_weights_are_whole_carried_and_all_ends(events, rollout):
    world = World(spec=spec(rollout=rollout))
    turn(world, rounds=12)
    for number, event in enumerate(events):
        happen(world, event, number)
        turn(world, rounds=3)
        parts = weights(world)
        assert sum(parts.values()) == 100
        for name, weight in parts.items():
            if weight:
                assert world.counts.get(name, 0) > 0
        assert sum(parts[name] for name in parts if world.counts.get(name)) == 100
    # Every state has a way to the end: the spec of the first revision, and time.
    world.change(image="looma-engine:1")
    ask(world, "retry", 999)
    turn(world, rounds=80)
    ask(world, "promote-full", 1000)
    turn(world, rounds=40)
    assert world.status["phase"] == "Ready"
    assert weights(world) == {world.status["stableRevision"]: 100}


@settings(max_examples=settings().max_examples // 2)
@given(
    events=events,
    rollout=st.sampled_from([CANARY, REDUCED, BLUE_GREEN]),
    prefixes=st.sampled_from([["/api/v1/resumes"], []]),
)
def test_whatever_happens_no_pod_that_serves_is_taken_below_the_spec(events, rollout, prefixes):
    """With a gateway and without one, where pods are the weights."""
    world = World(spec=spec(rollout=rollout, route={"pathPrefixes": prefixes}))
    turn(world, rounds=12)
    for number, event in enumerate(events):
        happen(world, event, number)
        for _ in range(3):
            before = world.serving
            turn(world)
            assert world.serving >= min(before, world.spec["replicas"])


@settings(max_examples=settings().max_examples // 2)
@given(events=unscaled, rollout=st.sampled_from([CANARY, BLUE_GREEN]))
def test_a_weight_is_carried_by_pods_that_serve(events, rollout):
    """A revision has as many pods that answer as its weight asks for, rounded up. Sizes stay: growing takes a while."""
    world = World(spec=spec(rollout=rollout))
    turn(world, rounds=12)
    for number, event in enumerate(events):
        happen(world, event, number)
        for _ in range(3):
            turn(world)
            for name, weight in weights(world).items():
                needed = -(-world.spec["replicas"] * weight // 100)
                assert world.serving_of[name] >= needed, (name, weight)


@settings(max_examples=settings().max_examples // 2)
@given(events=events, rollout=st.sampled_from([ROLLING, CANARY, BLUE_GREEN]))
def test_asked_again_at_the_same_moment_it_writes_nothing_more(events, rollout):
    """Idempotent: with nothing new to see, looks come to rest, and then each decides on nothing."""
    world = World(spec=spec(rollout=rollout))
    turn(world, rounds=12)
    for number, event in enumerate(events):
        happen(world, event, number)
        turn(world, rounds=2)
        for _ in range(8):
            world.look()
        before = world.writes
        world.look()
        world.look()
        assert world.writes == before


@pytest.mark.parametrize("rollout", [ROLLING, CANARY, BLUE_GREEN], ids=lambda rollout: rollout["strategy"])
@pytest.mark.parametrize("falls_ill", ["before", "halfway"])
@pytest.mark.parametrize("to", ["looma-engine:3", "looma-engine:1"], ids=["forward", "back"])
def test_a_stable_revision_that_answers_no_more_is_left_behind(rollout, falls_ill, to):
    """What serves is broken, whether before the way out of it was asked for or after: it holds up nothing."""
    world = World(spec=spec(rollout=rollout))
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=20)
    ask(world, "promote-full", 1)
    turn(world, rounds=60)
    assert world.status["stableRevision"] == "r2"
    if falls_ill == "before":
        world.ill = {"looma-engine:2"}
        turn(world, rounds=5)
        assert world.status["phase"] != "Ready"
    world.change(image=to)
    if falls_ill == "halfway":
        turn(world)
        assert world.status["stableRevision"] == "r2", "it is only halfway"
        world.ill = {"looma-engine:2"}
    turn(world, rounds=10)
    ask(world, "promote-full", 2)
    turn(world, rounds=60)
    assert world.status["stableRevision"] == ("r3" if to == "looma-engine:3" else "r1")
    assert world.status["phase"] == "Ready"
    assert world.serving_of[world.status["stableRevision"]] == 4
