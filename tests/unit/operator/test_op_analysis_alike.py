"""A/A and A/bad, simulated: whole analyses of canaries that are as good as stable, and of some that are not."""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from looma_core.metrics import LATENCY_BUCKETS
from looma_operator.plan import judging
from looma_operator.plan.judging import Reading, Sample
from looma_operator.plan.metric import Measured, Order, with_measured
from looma_operator.resources_analysis import Analysis, Metric, MetricStatus, Verdict

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
BOUNDS = (*LATENCY_BUCKETS, math.inf)
FALSE_ALARM = 5.0  # Percent, so that a simulation of some hundred sees it.
MOST_LOOKS = 16  # Five that are good, ten that are suspicious, and one more of those.
ASKED = 0.02  # Share of those as good as stable of which a person is asked; up to one in a hundred was seen.


class Requests:
    """Requests that come in, of two revisions: how many of each code, and how many in each bucket."""

    def __init__(self, draw: random.Random, *, bad: float, slower: float) -> None:
        self._draw, self._bad, self._slower = draw, bad, slower
        self._codes = {"r1": [0, 0], "r2": [0, 0]}
        self._buckets = {"r1": [0] * len(BOUNDS), "r2": [0] * len(BOUNDS)}

    def come(self, stable: int, canary: int) -> None:
        for revision, number, bad, factor in (
            ("r1", stable, 0.01, 1.0),
            ("r2", canary, self._bad, self._slower),
        ):
            for _ in range(number):
                self._codes[revision][self._draw.random() < bad] += 1
                seconds = factor * self._draw.lognormvariate(-2.5, 0.7)
                self._buckets[revision][bisect.bisect_left(BOUNDS, seconds)] += 1

    def errors(self) -> Reading:
        return Reading(
            samples=tuple(
                Sample(value=number, labels={"revision": revision, "code": code})
                for revision, numbers in self._codes.items()
                for code, number in zip(("2xx", "5xx"), numbers, strict=True)
            )
        )

    def latency(self) -> Reading:
        return Reading(
            samples=tuple(
                Sample(value=sum(numbers[: index + 1]), labels={"revision": revision, "le": f"{bound:g}"})
                for revision, numbers in self._buckets.items()
                for index, bound in enumerate(BOUNDS)
            )
        )


def verdict(
    draw: random.Random,
    compare: str,
    *,
    count: int | None,
    looks: int,
    bad: float = 0.01,
    slower: float = 1.0,
    false_alarm: float = FALSE_ALARM,
) -> Verdict:
    """What one analysis comes to, with 20 requests of the canary and 80 of stable between two looks."""
    metric = Metric(name="m", compare=compare, false_alarm_percent=false_alarm)
    spec = Analysis(metrics=(metric,), min_samples=20, count=5 if count is None else count)
    entry = MetricStatus(run="step-1", metric="m", revision="r2", started_at=START)
    requests = Requests(draw, bad=bad, slower=slower)
    read: Callable[[], Reading] = requests.errors if compare == "errorRate" else requests.latency
    for look in range(looks):
        requests.come(80, 20)
        order = Order(run="step-1", metric=metric, started_at=START, number=look, query="q")
        measured = Measured(order=order, reading=read(), at=START + timedelta(seconds=30 * look))
        entry = with_measured(entry, measured, spec=spec, count=count, stable="r1")
        if entry.verdict is not Verdict.RUNNING:
            break
    return entry.verdict


@pytest.mark.parametrize("compare", ["errorRate", "latency"])
@pytest.mark.parametrize(("count", "looks"), [(5, MOST_LOOKS), (None, 15)], ids=["step", "background"])
@pytest.mark.parametrize("runs", [100, pytest.param(300, marks=pytest.mark.long)])
def test_canaries_that_are_as_good_are_given_up_no_more_often_than_was_asked_for(runs, compare, count, looks):
    draw = random.Random(f"{compare} {count}")  # noqa: S311 - a simulation
    verdicts = [verdict(draw, compare, count=count, looks=looks) for _ in range(runs)]
    alarms = verdicts.count(Verdict.FAILED)
    # The promise, and three standard deviations of chance.
    assert alarms <= runs * FALSE_ALARM / 100 + 3 * math.sqrt(runs * 0.05 * 0.95)
    asked = verdicts.count(Verdict.INCONCLUSIVE)
    assert asked <= runs * ASKED + 3 * math.sqrt(runs * ASKED * (1 - ASKED))
    passed = Verdict.RUNNING if count is None else Verdict.SUCCESSFUL
    assert verdicts.count(passed) == runs - alarms - asked


@pytest.mark.parametrize("compare", ["errorRate", "latency"])
@pytest.mark.parametrize("runs", [100, pytest.param(2000, marks=pytest.mark.long)])
def test_of_those_that_are_as_good_one_in_a_thousand_is_given_up_where_nothing_else_is_said(runs, compare):
    draw = random.Random(f"hundred {compare}")  # noqa: S311 - a simulation
    verdicts = [verdict(draw, compare, count=5, looks=MOST_LOOKS, false_alarm=0.1) for _ in range(runs)]
    alarms, asked = verdicts.count(Verdict.FAILED), verdicts.count(Verdict.INCONCLUSIVE)
    # As above; of a hundred that is one at most.
    assert alarms <= runs * 0.001 + 3 * math.sqrt(runs * 0.001 * 0.999)
    assert asked <= runs * ASKED + 3 * math.sqrt(runs * ASKED * (1 - ASKED))
    assert verdicts.count(Verdict.SUCCESSFUL) == runs - alarms - asked


@pytest.mark.parametrize(
    ("compare", "ill"),
    [("errorRate", {"bad": 0.25}), ("latency", {"slower": 3.0}), ("latency", {"slower": 2.0})],
)
def test_those_that_are_ill_are_found(compare, ill):
    draw = random.Random(f"{compare} {ill}")  # noqa: S311 - a simulation
    verdicts = [verdict(draw, compare, count=5, looks=MOST_LOOKS, false_alarm=0.1, **ill) for _ in range(100)]
    assert verdicts.count(Verdict.FAILED) == 100


def test_a_few_requests_do_not_show_a_few_failures_and_more_do():
    """With 100 requests of a canary, 500s at 5 % beside 1 % are not always more than chance; with 1,000 they are."""
    draw = random.Random("few")  # noqa: S311 - a simulation
    few = [verdict(draw, "errorRate", count=5, looks=5, bad=0.05) for _ in range(100)]
    many = [verdict(draw, "errorRate", count=50, looks=151, bad=0.05) for _ in range(100)]
    assert 0 < few.count(Verdict.FAILED) < 100
    assert many.count(Verdict.FAILED) > 95


def test_a_few_requests_let_far_fewer_ill_ones_pass_where_suspicion_measures_on(monkeypatch):
    def passed() -> int:
        draw = random.Random("suspicion")  # noqa: S311 - a simulation
        verdicts = [
            verdict(draw, "errorRate", count=5, looks=MOST_LOOKS, bad=0.05, false_alarm=0.1)
            for _ in range(100)
        ]
        return verdicts.count(Verdict.SUCCESSFUL)

    with_suspicion = passed()
    monkeypatch.setattr(judging, "SUSPICION", 0.0)
    assert with_suspicion < passed() / 2
