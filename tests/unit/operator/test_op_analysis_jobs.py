"""Analyses by Jobs, in memory: what is ordered, under which name, and that a Job that runs is no answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from looma_operator.plan.analysis import JOB_SECONDS
from looma_operator.plan.judging import Case, Reading, judge
from looma_operator.render.analysis_job import job_name, render_analysis_job
from looma_operator.resources import AIService, AIServiceSpec, Metadata
from looma_operator.resources_analysis import JobTemplate, Metric, Verdict
from support.operator_world import World, spec

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
TEMPLATE = JobTemplate(pod_spec={"containers": [{"name": "ask", "image": "checker:1"}]})
ROLLOUT = {
    "strategy": "Canary",
    "steps": [
        {
            "analysis": {
                "metrics": [{"name": "answers", "job": {"podSpec": TEMPLATE.pod_spec}}],
                "count": 1,
                "initialDelaySeconds": 0,
                "intervalSeconds": 10,
            }
        },
        {"pause": {}},
    ],
    "progressDeadlineSeconds": 60,
}
SERVICE = AIService(
    metadata=Metadata(name="people", namespace="looma", uid="u1"),
    spec=AIServiceSpec(engine="resume", image="a"),
)


def rendered(template: JobTemplate = TEMPLATE, *, routed: bool = True) -> dict:
    return render_analysis_job(
        SERVICE, template, name="people-check-1-0", metric="m", revision="r2", stable="r1", routed=routed
    )


def ordered() -> World:
    """A canary whose analysis waits for a Job."""
    world = World(spec=spec(rollout=ROLLOUT, route={}))
    for _ in range(12):
        world.look()
        world.tick()
    world.answer = lambda _: Reading(pending=True)
    world.change(image="looma-engine:2")
    for _ in range(200):
        world.look()
        if world.orders:
            return world
        world.tick()
        world.measured = ()
    raise AssertionError(world.status)


def test_the_same_job_is_ordered_until_it_has_ended():
    world = ordered()
    (first,) = world.orders
    for _ in range(5):
        world.now = world.now.replace(microsecond=0)
        wake = world.look()
        (again,) = world.orders
        assert again.job == first.job
        assert again.query == f"Job {first.job['metadata']['name']}"
        assert wake is not None
        assert wake <= JOB_SECONDS
    assert world.status["canary"]["waits"] == "its analysis"


def test_after_a_crash_it_is_ordered_under_its_name():
    world = ordered()
    (first,) = world.orders
    world.look(crash_after=0)
    world.look()
    (again,) = world.orders
    assert again.job == first.job


@pytest.mark.parametrize(
    ("passed", "verdict"),
    [(True, Verdict.SUCCESSFUL), (False, Verdict.FAILED), (None, Verdict.ERROR)],
)
def test_how_a_job_ended_is_the_verdict(passed, verdict):
    case = Case(revision="r2", stable="r1", min_samples=20, level=0.002, at=NOW)
    found = judge(Metric(name="m", job=TEMPLATE), Reading(passed=passed, note="said"), case)
    assert found.verdict is verdict
    assert Metric(name="m", job=TEMPLATE).source == "job"


def test_each_thing_that_is_measured_has_a_name_of_its_own():
    same = {"run": "step-1", "metric": "m", "revision": "r2", "started_at": NOW}
    name = job_name(SERVICE, TEMPLATE, **same)
    others = [
        job_name(SERVICE, TEMPLATE, **{**same, **change})
        for change in (
            {"run": "background"},
            {"metric": "n"},
            {"revision": "r3"},
            {"started_at": NOW.replace(second=1)},
        )
    ]
    other = JobTemplate(pod_spec=TEMPLATE.pod_spec, backoff_limit=1)
    assert len({name, *others, job_name(SERVICE, other, **same)}) == 6
    assert name == job_name(SERVICE, TEMPLATE, **same)
    longest = AIService(metadata=Metadata(name="a" * 40, uid="u"), spec=SERVICE.spec)
    assert len(f"{job_name(longest, TEMPLATE, **same)}-999999") <= 63


def test_a_users_pod_is_laid_over_what_looma_says():
    theirs = {
        "restartPolicy": "Never",
        "initContainers": [{"name": "get", "image": "get:1"}],
        "containers": [
            {
                "name": "ask",
                "image": "checker:1",
                "securityContext": {"readOnlyRootFilesystem": False},
                "env": [{"name": "K", "value": "$(LOOMA_URL)"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    pod = rendered(JobTemplate(pod_spec=theirs))["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp", "data"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["env"][0] == {"name": "LOOMA_NAMESPACE", "value": "looma"}
    ask = pod["containers"][0]
    assert ask["securityContext"]["readOnlyRootFilesystem"] is False
    # After what it refers to, or Kubernetes would not fill it in.
    assert [item["name"] for item in ask["env"]][-1] == "K"
    assert pod["automountServiceAccountToken"] is False


def test_a_revision_without_a_service_of_its_own_has_no_address():
    def address(*, routed: bool) -> str:
        container = rendered(routed=routed)["spec"]["template"]["spec"]["containers"][0]
        return next(item["value"] for item in container["env"] if item["name"] == "LOOMA_URL")

    assert address(routed=True) == "http://people-r2.looma.svc"
    assert address(routed=False) == ""
