"""Worse than chance explains: exact values, what must hold for all, and how often two that are alike are told apart."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from looma_operator.plan.comparing import fails_more, is_slower, level_for, quantile, slower_share

counts = st.lists(st.integers(0, 60), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("false_alarm", "look", "looks", "answer"),
    [(0.01, 1, 5, 0.002), (0.01, 5, 5, 0.002), (0.01, 1, None, 0.005), (0.01, 4, None, 0.0005)],
)
def test_a_level(false_alarm, look, looks, answer):
    assert level_for(false_alarm=false_alarm, look=look, looks=looks) == pytest.approx(answer)


@given(looks=st.integers(1, 500))
def test_all_looks_together_have_the_level_that_was_asked_for(looks):
    known = sum(level_for(false_alarm=0.01, look=look + 1, looks=looks) for look in range(looks))
    endless = sum(level_for(false_alarm=0.01, look=look + 1, looks=None) for look in range(looks))
    assert known == pytest.approx(0.01)
    assert endless < 0.01


# By scipy.stats.fisher_exact(..., alternative="greater"), of scipy 1.17.1.
FISHER = [
    ((3, 100, 0, 900), 0.0009731174059831373),
    ((5, 300, 4, 2700), 0.0008690078463539288),
    ((15, 300, 20, 2700), 3.6194241060717707e-07),
    ((60, 1000, 450, 9000), 0.10073934371749876),
    ((1, 20, 0, 20), 0.5),
]


@pytest.mark.parametrize(("case", "answer"), FISHER)
def test_fishers_test_is_that_of_another_library(case, answer):
    bad, of, stable_bad, stable_of = case
    found = fails_more(bad=bad, of=of, stable_bad=stable_bad, stable_of=stable_of)
    assert found == pytest.approx(answer, rel=1e-6)


tables = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda whole: st.tuples(
        st.integers(0, whole[0]), st.just(whole[0]), st.integers(0, whole[1]), st.just(whole[1])
    )
)


@given(table=tables)
def test_fishers_test_is_the_sum_of_all_tables_as_extreme(table):
    bad, of, stable_bad, stable_of = table
    assume(bad * stable_of > stable_bad * of)
    failures = bad + stable_bad
    whole = math.comb(of + stable_of, failures)
    exact = sum(
        Fraction(math.comb(of, k) * math.comb(stable_of, failures - k), whole)
        for k in range(bad, min(of, failures) + 1)
    )
    found = fails_more(bad=bad, of=of, stable_bad=stable_bad, stable_of=stable_of)
    assert found == pytest.approx(float(exact), rel=1e-9)


@given(table=tables)
def test_one_failure_more_never_speaks_for_the_canary(table):
    bad, of, stable_bad, stable_of = table
    assume(bad < of)
    fewer = fails_more(bad=bad, of=of, stable_bad=stable_bad, stable_of=stable_of)
    more = fails_more(bad=bad + 1, of=of, stable_bad=stable_bad, stable_of=stable_of)
    assert 0 < more <= fewer + 1e-9
    assert fewer <= 1


@given(bad=st.integers(0, 50), of=st.integers(0, 50), factor=st.integers(1, 9))
def test_a_canary_that_fails_as_often_is_never_worse(bad, of, factor):
    assume(bad <= of)
    assert fails_more(bad=bad, of=of, stable_bad=bad * factor, stable_of=of * factor) == 1


def test_a_million_requests_are_no_trouble():
    few = fails_more(bad=50_500, of=500_000, stable_bad=50_000, stable_of=500_000)
    assert few == pytest.approx(0.0479, abs=0.001)
    assert fails_more(bad=55_000, of=500_000, stable_bad=50_000, stable_of=500_000) < 1e-50


@pytest.mark.parametrize("bad", [-1, 6])
def test_more_failures_than_requests_are_no_table(bad):
    with pytest.raises(ValueError, match="failures must be"):
        fails_more(bad=bad, of=5, stable_bad=0, stable_of=5)


# By scipy.stats.mannwhitneyu(..., alternative="greater", method="asymptotic"), of scipy 1.17.1.
RANKS = [
    (([5, 5, 15], [15, 5, 5]), 0.0009040704616676376),
    (([10, 80, 10, 0], [80, 20, 0, 0]), 1.4750952585306896e-23),
    (([12, 9, 4], [55, 30, 15]), 0.29305781081700605),
    (([7, 7, 8], [8, 7, 7]), 0.3637219600720727),
]


@pytest.mark.parametrize(("case", "answer"), RANKS)
def test_the_rank_test_is_that_of_another_library(case, answer):
    assert is_slower(*case) == pytest.approx(answer, rel=1e-6)


@given(canary=counts)
def test_a_canary_as_fast_is_never_slower(canary):
    assert is_slower(canary, canary) == 1
    if sum(canary):
        assert slower_share(canary, canary) == pytest.approx(0.5)


@given(canary=counts, stable=counts, bucket=st.integers(0, 11))
def test_a_slower_request_never_speaks_for_the_canary(canary, stable, bucket):
    size = min(len(canary), len(stable))
    canary, stable = canary[:size], stable[:size]
    bucket %= size - 1
    assume(canary[bucket] and sum(canary) >= 20 and sum(stable) >= 20)
    slower = list(canary)
    slower[bucket] -= 1
    slower[bucket + 1] += 1
    assert slower_share(slower, stable) >= slower_share(canary, stable) - 1e-12


def test_too_few_are_never_slower():
    assert is_slower([0, 19], [500, 0]) == 1
    assert is_slower([0, 20], [500, 0]) < 1e-6
    assert is_slower([0, 30], [0, 30]) == 1, "all in one bucket"


BOUNDS = [0.1, 0.2, 0.5, math.inf]


@pytest.mark.parametrize(
    ("counts", "q", "answer"),
    [
        ([100, 0, 0, 0], 0.95, 0.095),
        ([50, 50, 0, 0], 0.75, 0.15),
        ([90, 0, 10, 0], 0.95, 0.35),
        ([90, 0, 0, 10], 0.95, math.inf),
        ([0, 100, 0, 0], 0.0, 0.1),
    ],
)
def test_a_quantile_lies_in_its_bucket(counts, q, answer):
    assert quantile(BOUNDS, counts, q) == pytest.approx(answer)


def test_nothing_has_no_quantile():
    with pytest.raises(ValueError, match="no requests"):
        quantile(BOUNDS, [0, 0, 0, 0], 0.5)


LOOKS = 5


@pytest.mark.parametrize("runs", [130, pytest.param(400, marks=pytest.mark.long)])
def test_two_that_are_alike_are_told_apart_no_more_often_than_was_asked_for(runs):
    """A/A: both fail and are slow alike, looked at while requests come in. The level is 5 %, to see it at all."""
    draw = random.Random(20261126)  # noqa: S311 - a simulation
    alarms = {"errors": 0, "latency": 0}
    for _ in range(runs):
        errors = _alarms(draw, _failures, 0.05)
        latency = _alarms(draw, _latencies, 0.05)
        alarms["errors"] += errors
        alarms["latency"] += latency
    # Within three standard deviations of 5 %: the bound is the promise, a few more would be chance.
    bound = 0.05 * runs + 3 * math.sqrt(runs * 0.05 * 0.95)
    assert alarms["errors"] <= bound
    assert alarms["latency"] <= bound
    # And without the correction for looking again it would be seen: the test can fail.
    careless = sum(_alarms(draw, _latencies, 0.05 * LOOKS) for _ in range(runs))
    assert careless > bound


def _alarms(draw: random.Random, look, false_alarm: float) -> bool:
    """Whether one of the looks, each at all that came until then, finds a canary worse that is not."""
    canary: list[float] = []
    stable: list[float] = []
    for number in range(LOOKS):
        canary += [draw.lognormvariate(-2, 0.5) for _ in range(30)]
        stable += [draw.lognormvariate(-2, 0.5) for _ in range(120)]
        if look(canary, stable) < level_for(false_alarm=false_alarm, look=number + 1, looks=LOOKS):
            return True
    return False


def _failures(canary: list[float], stable: list[float]) -> float:
    """Those over 0.27 s, which are a twelfth or so, count as failures."""
    return fails_more(
        bad=sum(value > 0.27 for value in canary),
        of=len(canary),
        stable_bad=sum(value > 0.27 for value in stable),
        stable_of=len(stable),
    )


def _latencies(canary: list[float], stable: list[float]) -> float:
    bounds = (0.05, 0.1, 0.25, 0.5, math.inf)

    def bucketed(values: list[float]) -> list[int]:
        return [
            sum(low < value <= high for value in values)
            for low, high in zip((0, *bounds), bounds, strict=False)
        ]

    return is_slower(bucketed(canary), bucketed(stable))


@pytest.mark.parametrize("seed", range(20))
def test_a_canary_that_fails_five_of_a_hundred_is_found(seed):
    """500s at 5 % beside a stable that has none, with 300 requests, at the level of one look of five."""
    draw = random.Random(seed)  # noqa: S311 - a simulation
    bad = sum(draw.random() < 0.05 for _ in range(300))
    assert fails_more(bad=bad, of=300, stable_bad=0, stable_of=2700) < 0.01 / 5
