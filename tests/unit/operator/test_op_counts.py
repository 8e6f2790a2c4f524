"""Replica counts of a rolling update: the docstring's examples, and what must hold for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.plan.counts import frozen_counts, next_counts, surge
from looma_operator.plan.observed import Pods


@pytest.mark.parametrize(
    ("wanted", "others", "following"),
    [
        ((0, 0), (4, 4), (1, 4)),
        ((1, 0), (4, 4), (1, 4)),
        ((1, 1), (4, 4), (1, 3)),
        ((1, 1), (3, 3), (2, 3)),
        ((4, 4), (1, 1), (4, 0)),
        ((1, 0), (4, 2), (1, 2)),
    ],
)
def test_worked_examples_of_the_docstring(wanted, others, following):
    pods = {"r2": Pods(spec=wanted[0], available=wanted[1]), "r1": Pods(spec=others[0], available=others[1])}
    assert next_counts(replicas=4, wanted="r2", pods=pods) == {"r2": following[0], "r1": following[1]}


@pytest.mark.parametrize(
    ("replicas", "stable", "other", "other_serving", "expected"),
    [
        (4, 4, 1, 0, {"r1": 4, "r2": 1}),
        (4, 3, 2, 0, {"r1": 4, "r2": 2}),
        (6, 3, 2, 2, {"r1": 4, "r2": 2}),
        (1, 3, 2, 2, {"r1": 1, "r2": 0}),
        (0, 3, 2, 2, {"r1": 0, "r2": 0}),
    ],
)
def test_scaling_under_a_pause_falls_to_the_stable_revision(replicas, stable, other, other_serving, expected):
    pods = {"r1": Pods(spec=stable, available=stable), "r2": Pods(spec=other, available=other_serving)}
    assert frozen_counts(replicas=replicas, stable="r1", pods=pods) == expected


@pytest.mark.parametrize(
    ("replicas", "expected"), [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (100, 25)]
)
def test_surge_is_a_quarter_rounded_up(replicas, expected):
    assert surge(replicas) == expected


def test_the_oldest_revision_gives_way_first():
    pods = {name: Pods(spec=2, available=2) for name in ("r10", "r9", "r2")}
    counts = next_counts(replicas=4, wanted="r10", pods=pods)
    assert counts["r2"] == 0
    assert counts["r9"] == 2


@st.composite
def fleets(draw):
    names = [f"r{number}" for number in range(1, draw(st.integers(1, 5)) + 1)]
    fleet = {}
    for name in names:
        spec = draw(st.integers(0, 12))
        fleet[name] = Pods(spec=spec, available=draw(st.integers(0, 14)))
    return fleet


@given(replicas=st.integers(0, 12), pods=fleets(), direct=st.booleans())
def test_capacity_never_drops_and_never_runs_away(replicas, pods, direct):
    wanted = "r1"
    counts = next_counts(replicas=replicas, wanted=wanted, pods=pods, direct=direct)
    assert set(counts) == set(pods)
    assert all(count >= 0 for count in counts.values())
    assert counts[wanted] <= replicas
    before = sum(state.serving for state in pods.values())
    after = sum(min(state.serving, counts[name]) for name, state in pods.items())
    assert after >= min(before, replicas)
    others = sum(state.spec for name, state in pods.items() if name != wanted)
    if not direct and others:
        total = sum(state.spec for state in pods.values())
        assert sum(counts.values()) <= max(replicas + surge(replicas), total)


@given(replicas=st.integers(0, 12), old=st.integers(0, 12), direct=st.booleans())
def test_a_healthy_takeover_ends(replicas, old, direct):
    pods = {"r1": Pods(spec=old, available=old), "r2": Pods()}
    for _ in range(60):
        counts = next_counts(replicas=replicas, wanted="r2", pods=pods, direct=direct)
        following = {name: Pods(spec=count, available=count) for name, count in counts.items()}
        if following == pods:
            break
        pods = following
    assert {name: state.spec for name, state in pods.items()} == {"r1": 0, "r2": replicas}


@given(replicas=st.integers(0, 12), pods=fleets())
def test_a_pause_keeps_what_serves_and_holds_no_more_than_it_may(replicas, pods):
    counts = frozen_counts(replicas=replicas, stable="r1", pods=pods)
    assert all(count >= 0 for count in counts.values())
    before = sum(state.serving for state in pods.values())
    after = sum(min(state.serving, counts[name]) for name, state in pods.items())
    assert after >= min(before, replicas)
    assert sum(counts.values()) >= replicas
    again = {name: Pods(spec=count, available=pods[name].available) for name, count in counts.items()}
    twice = frozen_counts(replicas=replicas, stable="r1", pods=again)
    settled = {name: Pods(spec=count, available=pods[name].available) for name, count in twice.items()}
    assert frozen_counts(replicas=replicas, stable="r1", pods=settled) == twice
