"""How full a revision's pods are, and how it answers copies: limits, queries and verdicts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from looma_operator.plan.judging import Case, Reading, Sample, judge
from looma_operator.plan.queries import Scene, resolve
from looma_operator.plan.saturation import Limits, limits_of
from looma_operator.resources import AIServiceSpec
from looma_operator.resources_analysis import Measurement, Metric, Verdict

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
FULL = Metric(name="full", built_in="saturation", max=80)
OTHERWISE = Metric(name="otherwise", built_in="shadowDifference", max=2)


def spec(resources: dict, laid_over: dict | None = None) -> AIServiceSpec:
    containers = [{"name": "beside", "resources": {"limits": {"cpu": "9", "memory": "9Gi"}}}]
    if laid_over is not None:
        containers.append({"name": "engine", "resources": laid_over})
    template = {"spec": {"containers": containers}}
    return AIServiceSpec(engine="resume", image="a", resources=resources, pod_template=template)


ASKED = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}


@pytest.mark.parametrize(
    ("resources", "laid_over", "limits"),
    [
        (ASKED, None, Limits(cpu=2, memory=2**31)),
        ({"requests": {"cpu": "500m"}, "limits": {"memory": "1G"}}, None, Limits(cpu=0.5, memory=10**9)),
        ({"requests": {"memory": "1Gi"}}, None, Limits()),
        ({"limits": {"cpu": 0, "memory": "much"}}, None, Limits()),
        (ASKED, {"limits": {"cpu": 1}}, Limits(cpu=1, memory=2**31)),
        ({}, None, Limits()),
    ],
)
def test_of_what_the_share_is(resources, laid_over, limits):
    assert limits_of(spec(resources, laid_over)) == limits


def scene(**changes) -> Scene:
    return Scene(
        **{
            "namespace": "looma",
            "service": "people",
            "engine": "resume",
            "revision": "r2",
            "stable": "r1",
            "routed": True,
            "window": 60,
            "limits": Limits(cpu=0.5, memory=2**30),
            **changes,
        }
    )


def test_what_is_asked_of_prometheus():
    query = resolve(FULL, scene())
    assert "100 / 0.5 * (max by (revision) (rate(looma_container_cpu_seconds_total{" in query
    assert "or max by (revision) (rate(process_cpu_seconds_total{" in query
    assert "100 / 1073741824" in query
    assert "max_over_time(looma_container_memory_bytes{" in query
    assert "looma_gateway_attempts_total" in query
    assert "looma_gateway" not in resolve(FULL, scene(routed=False))
    assert '"cpu"' not in resolve(FULL, scene(limits=Limits(memory=1)))
    copies = resolve(OTHERWISE, scene())
    assert 'looma_shadow_requests_total{service="people",' in copies
    assert 'shadow="people/r2"' in copies


def judged(metric: Metric, *samples: Sample, least: int = 20) -> Measurement:
    case = Case(revision="r2", stable="r1", min_samples=least, level=0.002, at=NOW)
    return judge(metric, Reading(samples=samples), case)


def used(revision: str = "r2", **values: float) -> list[Sample]:
    return [
        Sample(value=value, labels={"revision": revision, "resource": name}) for name, value in values.items()
    ]


@pytest.mark.parametrize(
    ("values", "verdict", "value"),
    [
        ({"cpu": 80, "memory": 20, "requests": 20}, Verdict.SUCCESSFUL, 80),
        ({"cpu": 20, "memory": 81, "requests": 20}, Verdict.FAILED, 81),
        ({"cpu": 400, "memory": 20, "requests": 20}, Verdict.FAILED, 400),
        ({"cpu": 80, "memory": 20, "requests": 19}, Verdict.INCONCLUSIVE, None),
        ({"cpu": 1, "memory": 1}, Verdict.INCONCLUSIVE, None),
        ({"memory": 20, "requests": 90}, Verdict.INCONCLUSIVE, None),
        ({"cpu": 20, "requests": 90}, Verdict.INCONCLUSIVE, None),
        ({"cpu": float("nan"), "memory": 20, "requests": 90}, Verdict.INCONCLUSIVE, None),
        ({"cpu": -1, "memory": 20, "requests": 90}, Verdict.ERROR, None),
    ],
)
def test_how_full_the_fullest_pod_is(values, verdict, value):
    # What stable uses is nothing to it.
    others = used("r1", cpu=500, memory=500, requests=900)
    found = judged(FULL, *used(**values), *others)
    assert (found.verdict, found.value) == (verdict, value)


def test_it_says_which_resource_is_short():
    found = judged(FULL, *used(cpu=12.5, memory=91, requests=240))
    assert found.message == "memory 91 % used (cpu 12.5 %) with 240 requests, more than 80"
    assert "of cpu and memory is not told" in judged(FULL, *used(requests=240)).message


def copies(**counts: float) -> list[Sample]:
    return [Sample(value=value, labels={"outcome": name}) for name, value in counts.items()]


@pytest.mark.parametrize(
    ("counts", "verdict", "value", "samples"),
    [
        ({"same": 98, "different": 2}, Verdict.SUCCESSFUL, 2, 100),
        ({"same": 97, "different": 3}, Verdict.FAILED, 3, 100),
        ({"same": 97, "failed": 3}, Verdict.FAILED, 3, 100),
        ({"same": 98, "different": 1, "failed": 1}, Verdict.SUCCESSFUL, 2, 100),
        ({"same": 20}, Verdict.SUCCESSFUL, 0, 20),
        ({"same": 19}, Verdict.INCONCLUSIVE, None, 19),
        ({"different": 19}, Verdict.INCONCLUSIVE, None, 19),
        # What was not compared is no sample.
        ({"same": 10, "dropped": 500, "not_compared": 500, "too_large": 500}, Verdict.INCONCLUSIVE, None, 10),
        ({}, Verdict.INCONCLUSIVE, None, 0),
        ({"same": -3}, Verdict.ERROR, None, None),
    ],
)
def test_how_many_copies_are_answered_otherwise(counts, verdict, value, samples):
    found = judged(OTHERWISE, *copies(**counts))
    assert (found.verdict, found.value, found.samples) == (verdict, value, samples)


def test_without_copies_it_says_what_to_set():
    assert "set route.shadow with canary: true" in judged(OTHERWISE).message
    assert "(2 not at all)" in judged(OTHERWISE, *copies(same=96, different=2, failed=2)).message
