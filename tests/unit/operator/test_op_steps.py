"""Steps of a canary: no step is skipped, capacity comes before traffic, and each one ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.plan.steps import Progress, StepDecision, decide_step, pods_for
from looma_operator.resources import Pause, RolloutStep

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
STEPS = (
    RolloutStep(set_weight=10),
    RolloutStep(pause=Pause(seconds=60)),
    RolloutStep(set_weight=50),
    RolloutStep(pause=Pause()),
)


def at(step: int, *, weight: int = 0, seconds: float = 0) -> Progress:
    """At a step, begun so many seconds ago."""
    return Progress(step=step, since=NOW - timedelta(seconds=seconds), weight=weight)


def decide(before: Progress, *, serving: int = 0, share: float | None = 0.0, **more) -> StepDecision:
    given_ = {"steps": STEPS, "replicas": 4, "now": NOW} | more
    return decide_step(before=before, serving=serving, share=share, **given_)


@pytest.mark.parametrize(
    ("replicas", "weight", "pods"),
    [(4, 0, 1), (4, 25, 1), (4, 26, 2), (4, 100, 4), (0, 50, 0), (1, 1, 1), (10, 11, 2)],
)
def test_pods_carry_their_part_and_are_one_at_least(replicas, weight, pods):
    assert pods_for(weight, replicas) == pods


@pytest.mark.parametrize(
    ("before", "observed", "step", "weight", "pods", "waits"),
    [
        (at(0), {}, 0, 0, 1, "1 of its pods to answer"),
        (at(0), {"serving": 1}, 0, 10, 1, "the gateways to give it 10 %"),
        (at(0, weight=10), {"serving": 1, "share": None}, 0, 10, 1, "the gateways to say what they give it"),
        (at(0, weight=10), {"serving": 1, "share": 10.0}, 1, 10, 1, ""),
        (at(1, weight=10, seconds=59), {"serving": 1, "share": 10.0}, 1, 10, 1, "the end of its pause"),
        (at(1, weight=10, seconds=60), {"serving": 1, "share": 10.0}, 2, 10, 1, ""),
        (at(1, weight=10), {"promoted": True}, 2, 10, 1, ""),
        (at(2, weight=10), {"serving": 1, "share": 10.0}, 2, 10, 2, "2 of its pods to answer"),
        (at(2, weight=10), {"serving": 2, "share": 10.0}, 2, 50, 2, "the gateways to give it 50 %"),
        (at(3, weight=50, seconds=9999), {"serving": 2, "share": 50.0}, 3, 50, 2, "somebody to promote it"),
        (at(3, weight=50), {"promoted": True, "serving": 2}, 4, 50, 2, ""),
        (at(1, weight=10), {"promoted_fully": True, "serving": 1}, 4, 10, 4, "4 of its pods to answer"),
        (at(4, weight=50), {"serving": 4, "share": 50.0}, 4, 100, 4, "the gateways to give it everything"),
        # A pod of the canary died: what it cannot carry it does not get.
        (at(2, weight=80), {"serving": 1, "share": 80.0}, 2, 50, 4, "2 of its pods to answer"),
    ],
)
def test_a_step(  # noqa: PLR0917 - a table
    before, observed, step, weight, pods, waits
):
    decision = decide(before, **observed)
    assert (decision.progress.step, decision.progress.weight) == (step, weight)
    assert (decision.pods, decision.waits, decision.arrived) == (pods, waits, False)


def test_a_pause_is_looked_at_when_it_is_over():
    wake = decide(at(1, seconds=20)).wake_after
    assert wake is not None
    assert 40 <= wake < 41
    assert decide(at(3, seconds=20)).wake_after is None


def test_all_of_it_has_arrived():
    assert decide(at(4, weight=100), serving=4, share=100.0).arrived
    assert not decide(at(4, weight=100), serving=3, share=100.0).arrived
    assert not decide(at(4, weight=100), serving=4, share=None).arrived


def test_steps_that_became_fewer_are_over():
    decision = decide(at(4, weight=50), steps=STEPS[:1], serving=4)
    assert (decision.progress.step, decision.progress.weight) == (1, 100)


steps_ = st.lists(
    st.one_of(
        st.integers(0, 100).map(lambda weight: RolloutStep(set_weight=weight)),
        st.integers(1, 100).map(lambda seconds: RolloutStep(pause=Pause(seconds=seconds))),
        st.just(RolloutStep(pause=Pause())),
    ),
    max_size=6,
).map(tuple)


@given(
    steps=steps_,
    step=st.integers(0, 8),
    weight=st.integers(0, 100),
    replicas=st.integers(0, 20),
    serving=st.integers(0, 20),
    share=st.one_of(st.none(), st.floats(0, 100)),
    seconds=st.floats(0, 200),
    promoted=st.booleans(),
)
def test_no_step_is_skipped_and_nothing_gets_more_than_it_carries(  # noqa: PLR0917 - drawn by name
    steps, step, weight, replicas, serving, share, seconds, promoted
):
    before = at(step, weight=weight, seconds=seconds)
    decision = decide(before, steps=steps, replicas=replicas, serving=serving, share=share, promoted=promoted)
    assert decision.progress.step <= min(step, len(steps)) + 1
    assert 0 <= decision.progress.weight <= 100
    assert decision.pods >= pods_for(decision.progress.weight, replicas)
    if decision.progress.weight > weight:
        assert serving >= pods_for(decision.progress.weight, replicas)
    if decision.arrived:
        assert share is not None
        assert share > 99
        assert serving >= replicas
    # Asked again at once, with nothing changed but what it decided, it goes on or stays: never back.
    again = decide(decision.progress, steps=steps, replicas=replicas, serving=serving, share=share)
    assert again.progress.step >= decision.progress.step


@given(steps=steps_, replicas=st.integers(1, 20))
def test_every_canary_ends_where_pods_start_and_gateways_follow(steps, replicas):
    now, progress, serving, share = NOW, at(0), 0, 0.0
    for _ in range(4 * len(steps) + 6):
        decision = decide_step(
            steps=steps,
            before=progress,
            replicas=replicas,
            serving=serving,
            share=share,
            now=now,
            promoted=decision_waits_for_somebody(steps, progress),
        )
        progress, serving, share = decision.progress, decision.pods, float(decision.progress.weight)
        if decision.arrived:
            return
        now += timedelta(seconds=decision.wake_after or 0)
    raise AssertionError(f"not over: {progress}")


def decision_waits_for_somebody(steps, progress: Progress) -> bool:
    if progress.step >= len(steps):
        return False
    pause = steps[progress.step].pause
    return pause is not None and pause.seconds is None
