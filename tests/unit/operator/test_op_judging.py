"""One measurement, judged: what is not known to be good is never Successful."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_operator.plan.judging import Case, Reading, Sample, judge
from looma_operator.plan.queries import Scene, fill_in, resolve
from looma_operator.resources_analysis import (
    HttpSource,
    Measurement,
    Metric,
    ProbeSet,
    PrometheusQuery,
    Verdict,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ERRORS = Metric(name="errors", built_in="errorRate", max=5)
FAILS_MORE = Metric(name="fails-more", compare="errorRate")
SLOW = Metric(name="slow", built_in="latencyP95", max=0.5)
SLOWER = Metric(name="slower", compare="latency")
OWN = Metric(name="own", prometheus=PrometheusQuery(query="x"), max=5, min=1)
QUALITY = Metric(name="quality", http=HttpSource(url="http://quality/"), min=0.9)
PEOPLE = Metric(name="people", probes=ProbeSet(set="people"), min=95)
FULL = Metric(name="full", built_in="saturation", max=80)
OTHERWISE = Metric(name="otherwise", built_in="shadowDifference", max=2)
ALL = [ERRORS, FAILS_MORE, SLOW, SLOWER, OWN, QUALITY, PEOPLE, FULL, OTHERWISE]


def judged(metric: Metric, *samples: Sample, error: str = "", least: int = 20) -> Measurement:
    case = Case(revision="r2", stable="r1", min_samples=least, level=0.002, at=NOW)
    return judge(metric, Reading(samples=samples, error=error), case)


def answers(revision: str, **codes: float) -> list[Sample]:
    """Requests by the class or code of their answer: x200=90, x5xx=10."""
    return [
        Sample(value=value, labels={"revision": revision, "code": code.removeprefix("x")})
        for code, value in codes.items()
    ]


def buckets(revision: str, *counts: float, bounds=("0.1", "0.5", "1", "+Inf")) -> list[Sample]:
    """A histogram as Prometheus has it: each bucket with all below it."""
    return [
        Sample(value=sum(counts[: index + 1]), labels={"revision": revision, "le": bound})
        for index, bound in enumerate(bounds)
    ]


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_nothing_is_never_a_success(metric):
    assert judged(metric).verdict is Verdict.INCONCLUSIVE
    assert judged(metric, error="not reached").verdict is Verdict.ERROR
    nan = Sample(value=math.nan, labels={"revision": "r2", "code": "2xx", "le": "+Inf"})
    assert judged(metric, nan).verdict is Verdict.INCONCLUSIVE
    zero = Sample(value=0, labels={"revision": "r2", "code": "2xx", "le": "+Inf"})
    if metric not in (OWN, QUALITY, PEOPLE):
        assert judged(metric, zero, least=1).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("codes", "verdict", "value", "samples"),
    [
        ({"x2xx": 95, "x5xx": 5}, Verdict.SUCCESSFUL, 5.0, 100),
        ({"x2xx": 94, "x5xx": 6}, Verdict.FAILED, 6.0, 100),
        ({"x200": 94, "x503": 6}, Verdict.FAILED, 6.0, 100),
        ({"x2xx": 94, "none": 6}, Verdict.FAILED, 6.0, 100),
        ({"x2xx": 90, "x4xx": 10}, Verdict.SUCCESSFUL, 0.0, 100),
        ({"x2xx": 19}, Verdict.INCONCLUSIVE, None, 19),
        ({"x5xx": 19}, Verdict.INCONCLUSIVE, None, 19),
        ({"x2xx": 19.6}, Verdict.SUCCESSFUL, 0.0, 20),
        ({"x2xx": -3}, Verdict.ERROR, None, None),
    ],
)
def test_an_error_rate(codes, verdict, value, samples):
    found = judged(ERRORS, *answers("r2", **codes), *answers("r1", x2xx=1000))
    assert (found.verdict, found.value, found.samples) == (verdict, value, samples)


def test_failures_of_the_stable_revision_are_not_the_canarys():
    assert judged(ERRORS, *answers("r2", x2xx=100), *answers("r1", x5xx=1000)).value == 0


@pytest.mark.parametrize(
    ("canary", "stable", "verdict"),
    [
        ({"x2xx": 285, "x5xx": 15}, {"x2xx": 2700}, Verdict.FAILED),
        ({"x2xx": 285, "x5xx": 15}, {"x2xx": 2565, "x5xx": 135}, Verdict.SUCCESSFUL),
        ({"x2xx": 300}, {"x2xx": 2565, "x5xx": 135}, Verdict.SUCCESSFUL),
        # By chance with p = 0.03, and with 0.06.
        ({"x2xx": 95, "x5xx": 5}, {"x2xx": 100}, Verdict.SUSPICIOUS),
        ({"x2xx": 96, "x5xx": 4}, {"x2xx": 100}, Verdict.SUCCESSFUL),
        ({"x2xx": 19}, {"x2xx": 2700}, Verdict.INCONCLUSIVE),
        ({"x2xx": 300}, {"x2xx": 19}, Verdict.INCONCLUSIVE),
        ({"x2xx": 300}, {}, Verdict.INCONCLUSIVE),
        # Beyond chance, and no difference that anybody would notice.
        ({"x2xx": 999_400, "x5xx": 600}, {"x2xx": 9_999_000, "x5xx": 1000}, Verdict.SUCCESSFUL),
    ],
)
def test_error_rates_compared(canary, stable, verdict):
    found = judged(FAILS_MORE, *answers("r2", **canary), *answers("r1", **stable))
    assert found.verdict is verdict
    if verdict is Verdict.FAILED:
        assert (found.value, found.baseline, found.samples) == (5.0, 0.0, 300)
        assert "by chance with p =" in found.message
    assert ("more requests must tell" in found.message) == (verdict is Verdict.SUSPICIOUS)


@pytest.mark.parametrize(
    ("counts", "verdict", "value"),
    [
        ((100, 0, 0, 0), Verdict.SUCCESSFUL, 0.095),
        ((90, 0, 10, 0), Verdict.FAILED, 0.75),
        ((90, 0, 0, 10), Verdict.FAILED, None),
        ((19, 0, 0, 0), Verdict.INCONCLUSIVE, None),
    ],
)
def test_a_latency(counts, verdict, value):
    found = judged(SLOW, *buckets("r2", *counts), *buckets("r1", 1000, 0, 0, 0))
    assert (found.verdict, found.value) == (verdict, value)


def test_a_latency_beyond_the_last_bucket_keeps_no_limit():
    generous = Metric(name="slow", built_in="latencyP95", max=3600)
    found = judged(generous, *buckets("r2", 90, 0, 0, 10))
    assert found.verdict is Verdict.FAILED
    assert "over 1 s" in found.message


def test_a_histogram_without_its_last_bucket_is_no_data():
    torn = buckets("r2", 100, 0, 0, 0)[:-1]
    assert judged(SLOW, *torn).verdict is Verdict.INCONCLUSIVE
    assert judged(SLOWER, *torn, *buckets("r1", 100, 0, 0, 0)).verdict is Verdict.INCONCLUSIVE


def test_releases_with_other_buckets_are_compared_by_those_that_both_have():
    finer = buckets("r2", 50, 50, 50, 0, bounds=("0.1", "0.2", "0.5", "+Inf"))
    found = judged(SLOWER, *finer, *buckets("r1", 50, 100, 0, bounds=("0.1", "0.5", "+Inf")))
    assert "in 50 % of all pairs" in found.message
    assert found.verdict is Verdict.SUCCESSFUL


@pytest.mark.parametrize(
    ("canary", "stable", "verdict"),
    [
        ((10, 80, 10, 0), (80, 20, 0, 0), Verdict.FAILED),
        ((80, 20, 0, 0), (800, 200, 0, 0), Verdict.SUCCESSFUL),
        ((100, 0, 0, 0), (10, 80, 10, 0), Verdict.SUCCESSFUL),
        # Of 20 each, slower in 64 % of all pairs and more, with p = 0.03; and in 62 %, with 0.06.
        ((9, 11, 0, 0), (15, 5, 0, 0), Verdict.SUSPICIOUS),
        ((10, 10, 0, 0), (15, 5, 0, 0), Verdict.SUCCESSFUL),
        ((0, 19, 0, 0), (100, 0, 0, 0), Verdict.INCONCLUSIVE),
        ((0, 100, 0, 0), (19, 0, 0, 0), Verdict.INCONCLUSIVE),
        # Beyond chance, and a little slower only.
        ((7000, 3000, 0, 0), (7500, 2500, 0, 0), Verdict.SUCCESSFUL),
    ],
)
def test_latencies_compared(canary, stable, verdict):
    found = judged(SLOWER, *buckets("r2", *canary), *buckets("r1", *stable), least=1)
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (1, Verdict.SUCCESSFUL),
        (5, Verdict.SUCCESSFUL),
        (0.9, Verdict.FAILED),
        (5.1, Verdict.FAILED),
        (math.inf, Verdict.INCONCLUSIVE),
        (-math.inf, Verdict.INCONCLUSIVE),
    ],
)
def test_a_value_of_ones_own(value, verdict):
    assert judged(OWN, Sample(value=value)).verdict is verdict


def test_a_score_says_what_was_wrong():
    case = Case(revision="r2", stable="r1", min_samples=20, level=0.01, at=NOW)
    found = judge(PEOPLE, Reading(samples=(Sample(value=90),), count=4, note="1 of 10 wrong: 3 /name"), case)
    assert (found.verdict, found.samples) == (Verdict.FAILED, 4)
    assert found.message == "90 (1 of 10 wrong: 3 /name), less than 95"


def test_several_values_are_no_value():
    found = judged(OWN, Sample(value=1), Sample(value=2))
    assert found.verdict is Verdict.ERROR
    assert "2 values" in found.message


def test_what_has_no_limit_or_no_source_is_an_error():
    assert (
        judged(Metric(name="a", prometheus=PrometheusQuery(query="x")), Sample(value=1)).verdict
        is Verdict.ERROR
    )
    assert (
        judged(Metric(name="a", built_in="of-a-later-release", max=1), Sample(value=1)).verdict
        is Verdict.ERROR
    )


def test_a_number_that_no_window_can_have_is_no_count():
    found = judged(
        FAILS_MORE,
        Sample(value=171, labels={"revision": "r1", "code": "2xx"}),
        Sample(value=1.8e18, labels={"revision": "r2", "code": "5xx"}),
        least=1,
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.samples == 0


values = st.one_of(st.floats(), st.integers(-5, 500).map(float))
samples_ = st.lists(
    st.builds(
        Sample,
        value=values,
        labels=st.fixed_dictionaries(
            {
                "revision": st.sampled_from(["r1", "r2", "r3", ""]),
                "code": st.sampled_from(["2xx", "5xx", "none", "500", ""]),
                "le": st.sampled_from(["0.1", "1", "+Inf", "", "much"]),
            }
        ),
    ),
    max_size=8,
)


@given(metric=st.sampled_from(ALL), samples=samples_, least=st.integers(1, 600))
def test_whatever_is_read_success_takes_enough_requests_and_can_be_written_down(metric, samples, least):
    found = judged(metric, *samples, least=least)
    if found.verdict is Verdict.SUCCESSFUL and (metric.built_in or metric.compare):
        assert found.samples is not None
        assert found.samples >= least
    for number in (found.value, found.baseline):
        assert number is None or math.isfinite(number)
    assert len(found.message) <= 300


SCENE = Scene(
    namespace="hr", service="resume", engine="resume", revision="r2", stable="r1", routed=True, window=120
)


def test_names_are_filled_in_and_others_stay():
    text = 'a{ns="$(NAMESPACE)",s="$(SERVICE)",r=~"$(REVISION)|$(STABLE)"}[$(WINDOW)] $(OTHER) $REVISION'
    assert fill_in(text, SCENE) == 'a{ns="hr",s="resume",r=~"r2|r1"}[120s] $(OTHER) $REVISION'


@pytest.mark.parametrize(
    ("metric", "engine", "routed", "words"),
    [
        (ERRORS, "resume", True, 'looma_gateway_attempts_total{service="hr/resume",revision=~"r2|r1"}[120s]'),
        (FAILS_MORE, "custom", True, "sum by (revision, code) ((increase(looma_gateway_attempts_total{"),
        (ERRORS, "resume", False, 'looma_http_request_seconds_count{service="resume",revision=~"r2|r1",name'),
        (SLOW, "resume", True, 'looma_http_request_seconds_bucket{service="resume",revision=~"r2|r1",name'),
        (SLOWER, "custom", True, 'looma_gateway_first_byte_seconds_bucket{service="hr/resume",revision'),
        (QUALITY, "resume", True, "http://quality/"),
        (PEOPLE, "resume", True, "http://resume-r2.hr.svc"),
    ],
)
def test_where_a_metric_is_read(metric, engine, routed, words):
    scene = Scene(
        namespace="hr",
        service="resume",
        engine=engine,
        revision="r2",
        stable="r1",
        routed=routed,
        window=120,
    )
    assert words in resolve(metric, scene)
