"""The new revision's part of the requests: asked for, and as the gateways give it; what they do not say is unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.plan.canary import FRESH, decide_achieved
from looma_operator.resources import Traffic
from support.operator_world import START, World


def said(gateway: str, revision: str, weight: float, *, seconds_ago: float = 1) -> Traffic:
    at = START - timedelta(seconds=seconds_ago)
    return Traffic(gateway=gateway, revision=revision, weight=weight, observed_at=at)


BOTH = (said("a", "r1", 50), said("a", "r2", 50), said("b", "r1", 50), said("b", "r2", 50))


@pytest.mark.parametrize(
    ("gateways", "entries", "percent"),
    [
        (2, BOTH, 50),
        (2, (said("a", "r2", 50), said("b", "r2", 40)), 45),
        (2, (said("a", "r2", 50), said("b", "r1", 100)), 25),
        (2, (said("a", "r1", 100), said("b", "r1", 100)), 0),
        (1, (said("a", "r2", 33.3),), 33.3),
        # One that ends beside the one that stays.
        (1, (said("a", "r2", 50), said("b", "r2", 40)), 45),
        (2, (said("a", "r2", 50),), None),
        (2, (said("a", "r2", 50), said("b", "r2", 50, seconds_ago=5.1)), None),
        (2, (said("a", "r2", 50), said("b", "r2", 50, seconds_ago=5)), 50),
        # A clock that is far ahead says nothing of now either.
        (2, (said("a", "r2", 50), said("b", "r2", 50, seconds_ago=-5.1)), None),
        (1, (Traffic(gateway="a", revision="r2", weight=50),), None),
        (1, (), None),
        (0, BOTH, None),
        (None, BOTH, None),
    ],
)
def test_what_is_achieved(gateways, entries, percent):
    found = decide_achieved(entries, revision="r2", gateways=gateways, now=START)
    assert found.percent == percent
    assert bool(found.why) is (percent is None)


entries = st.lists(
    st.builds(
        said,
        st.sampled_from("abc"),
        st.sampled_from(["r1", "r2"]),
        st.floats(0, 100),
        seconds_ago=st.floats(-20, 20),
    ),
    max_size=6,
    unique_by=lambda entry: (entry.gateway, entry.revision),
)


@given(entries, st.integers(1, 4))
def test_nothing_is_known_unless_as_many_gateways_as_there_are_have_just_said_it(known, gateways):
    fresh = {one.gateway for one in known if abs(START - one.observed_at) <= FRESH}
    found = decide_achieved(known, revision="r2", gateways=gateways, now=START)
    assert (found.percent is not None) is (len(fresh) >= gateways)
    if found.percent is not None:
        weights = [one.weight for one in known if one.revision == "r2" and one.gateway in fresh]
        assert 0 <= found.percent <= max([0, *weights]) + 0.05


@given(entries, st.integers(1, 4))
def test_the_answer_stands_as_long_as_it_says_and_no_longer(known, gateways):
    def at(seconds):
        return decide_achieved(
            known, revision="r2", gateways=gateways, now=START + timedelta(seconds=seconds)
        )

    found = at(0)
    if found.holds_for is None:
        assert found.percent is None
        return
    assert 0 < found.holds_for <= 2 * FRESH.total_seconds() + 1
    # What is so far ahead that it does not count yet may come to count, and changes nothing before that.
    ahead = any(one.observed_at - START > FRESH for one in known)
    if not ahead:
        assert at(max(0.0, found.holds_for - 0.06)).percent == found.percent
        later = at(found.holds_for)
        assert later.percent is None or later.percent != found.percent or len(known) > gateways


def rolling() -> World:
    world = World()
    world.settle()
    world.change(image="looma-engine:2")
    world.look()
    return world


def test_status_says_what_is_asked_for_and_what_is_achieved():
    world = World()
    world.settle()
    assert "canary" not in world.status
    world.change(image="looma-engine:2")
    world.look()
    assert world.status["canary"]["revision"] == "r2"
    assert world.status["canary"]["weight"] == {"requested": 20.0}
    assert "0 of 1 gateway pods" in world.status["canary"]["message"]
    world.tick()
    world.gateway_gives("a", r1=80, r2=20)
    wake = world.look()
    assert world.status["canary"]["weight"]["achieved"] == 20
    assert "message" not in world.status["canary"]
    assert wake is not None
    assert wake <= FRESH.total_seconds() + 1


def test_what_nobody_confirms_becomes_unknown_by_itself():
    world = rolling()
    world.broken = {"looma-engine:2"}
    world.gateway_gives("a", r1=100, r2=0)
    wake = world.look()
    assert world.status["canary"]["weight"]["achieved"] == 0
    assert wake is not None
    world.now += timedelta(seconds=wake)
    world.look()
    assert "achieved" not in world.status["canary"]["weight"]


def test_with_two_gateways_one_alone_is_not_believed():
    world = rolling()
    world.gateways = 2
    world.gateway_gives("a", r1=80, r2=20)
    world.look()
    assert "achieved" not in world.status["canary"]["weight"]
    assert "1 of 2 gateway pods" in world.status["canary"]["message"]
    world.gateway_gives("b", r1=60, r2=40)
    world.look()
    assert world.status["canary"]["weight"]["achieved"] == 30


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"gateways": 0}, "no gateway of Looma's"),
        ({"gateways": None}, "is not known"),
        ({"gateway_api": False}, "no path"),
    ],
)
def test_where_nobody_could_say_it_why_is_told(change, word):
    world = rolling()
    for name, value in change.items():
        setattr(world, name, value)
    world.gateway_gives("a", r1=80, r2=20)
    world.look()
    assert word in world.status["canary"]["message"]
    assert "achieved" not in world.status["canary"]["weight"]


def test_a_rollout_that_ended_or_was_given_up_has_no_canary_any_more():
    world = World()
    world.settle()
    world.change(image="looma-engine:2")
    world.settle()
    assert "canary" not in world.status
    world.broken = {"looma-engine:3"}
    world.change(image="looma-engine:3")
    for _ in range(80):
        world.look()
        world.tick(2)
    assert world.status["rollout"]["failed"]
    assert "canary" not in world.status


def test_a_revision_that_is_taken_back_is_told_of_until_its_last_pod_has_ended():
    world = rolling()
    world.tick()
    world.gateway_gives("a", r1=80, r2=20)
    world.look()
    world.change(image="looma-engine:1")
    seen = []
    for _ in range(6):
        world.look()
        assert "rollout" not in world.status
        seen.append((world.status.get("canary", {}).get("weight", {}).get("requested"), world.counts["r2"]))
        world.tick()
        world.gateway_gives("a", r1=100, r2=0)
    # As long as it has pods, and for the look at which the last of them is told to end.
    assert seen[0][0] is not None
    assert all(requested is not None for requested, pods in seen if pods)
    assert (0.0, 0) in seen
    assert seen[-1] == (None, 0)


def test_the_first_revision_is_no_canary():
    world = World(broken={"looma-engine:1"})
    world.look()
    world.tick()
    world.look()
    assert "rollout" in world.status
    assert "canary" not in world.status
