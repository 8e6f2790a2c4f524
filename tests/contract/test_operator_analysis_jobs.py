"""Analyses by Jobs, with Kubernetes' own controller of Jobs; the kubelet is played, and the gateway is not Looma's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from looma_core.kube import load_configuration
from looma_operator.analysis.jobs import OVERDUE, Jobs
from looma_operator.kube.client import Kube
from looma_operator.plan.judging import Reading
from looma_operator.render.analysis_job import KEPT_SUCCESSFUL, render_analysis_job
from looma_operator.resources import AIService, AIServiceSpec, Metadata
from looma_operator.resources_analysis import JobTemplate
from support.analysed import apply, begun, play, rollout_of
from support.control_plane import ControlPlane
from support.job_controllers import ends, pods
from support.operator_process import PLAY_SECONDS, Looma, make

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("job_controllers")]
Object = dict[str, Any]
BATCH = "batch/v1"
POD = {
    "containers": [
        {"name": "ask", "image": "checker:1", "args": ["$(LOOMA_URL)"], "env": [{"name": "K", "value": "9"}]}
    ]
}


def checked(*, count: int = 1, pod: Object | None = None, limit: int = 0, **job: Any) -> Object:
    """A canary that is asked by a Job for each measurement."""
    metric = {"name": "answers", "job": {"podSpec": pod or POD, **job}}
    analysis = {
        "metrics": [metric],
        "count": count,
        "intervalSeconds": 2,
        "initialDelaySeconds": 0,
        "consecutiveErrorLimit": limit,
    }
    return {"strategy": "Canary", "steps": [{"setWeight": 25}, {"analysis": analysis}, {"pause": {}}]}


@pytest.fixture(scope="module")
def asking(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looma]:
    """A namespace that takes only restricted pods, with one replica of the operator."""
    made = make(control_plane, tmp_path_factory.mktemp("operator"))
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    place = f"/api/v1/namespaces/{made.namespace}"
    assert control_plane.request("PATCH", place, label, content_type="application/merge-patch+json")[0] == 200
    try:
        made.start()
        yield made
    finally:
        made.stop()


def jobs(looma: Looma, name: str) -> dict[str, Object]:
    items = looma.plane.request("GET", looma.path("jobs", group=BATCH))[1]["items"]
    return {
        item["metadata"]["name"]: item
        for item in items
        if item["metadata"]["labels"]["app.kubernetes.io/instance"] == name
    }


def the_pod(looma: Looma, name: str, number: int = 0) -> Object:
    """The pod of a service's Job with that number, once it is there."""

    def found() -> list[Object]:
        return [pod for job in jobs(looma, name) if job.endswith(f"-{number}") for pod in pods(looma, job)]

    play(looma, name, lambda: bool(found()), f"Job {number} has a pod")
    return found()[0]


def entry(looma: Looma, name: str) -> Object:
    return next(iter(looma.status(name).get("analysis", [])), {})


def test_a_canary_goes_on_when_its_jobs_succeed(asking: Looma):
    begun(asking, "well", checked(count=2))
    pod = the_pod(asking, "well")
    told = {item["name"]: item.get("value", "") for item in pod["spec"]["containers"][0]["env"]}
    assert told == {
        "LOOMA_NAMESPACE": asking.namespace,
        "LOOMA_SERVICE": "well",
        "LOOMA_REVISION": "r2",
        "LOOMA_STABLE": "r1",
        "LOOMA_URL": f"http://well-r2.{asking.namespace}.svc",
        "LOOMA_STABLE_URL": f"http://well-r1.{asking.namespace}.svc",
        "K": "9",
    }
    service = asking.plane.request("GET", asking.path("services", "well-r2", group="v1"))[1]
    labels = pod["metadata"]["labels"]
    assert not all(labels.get(key) == value for key, value in service["spec"]["selector"].items()), (
        "its pod answers no requests of the service"
    )
    (job,) = jobs(asking, "well").values()
    owner = job["metadata"]["ownerReferences"][0]
    assert (owner["uid"], owner["controller"]) == (asking.get("well")["metadata"]["uid"], True)
    assert rollout_of(asking, "well")["step"] == 1
    assert entry(asking, "well").get("successful", 0) == 0, "it waits for the Job"
    ends(asking, pod, 0)
    ends(asking, the_pod(asking, "well", 1), 0)
    play(asking, "well", lambda: rollout_of(asking, "well").get("step") == 2, "it goes on")
    found = entry(asking, "well")
    assert (found["verdict"], found["successful"], found.get("failed", 0)) == ("Successful", 2, 0)
    assert found["query"].startswith("Job well-check-")
    assert "succeeded after" in found["message"]
    assert len(jobs(asking, "well")) == 2
    metrics = asking.replicas[-1].get("/metrics")
    assert 'looma_operator_analysis_verdicts_total{metric="job",verdict="Successful"} 2.0' in metrics


def test_a_canary_whose_job_fails_is_given_up_with_its_last_words(asking: Looma):
    begun(asking, "ill", checked())
    ends(asking, the_pod(asking, "ill"), 3, "warming up\nexpected 12 matches,\nfound 0\n")
    play(asking, "ill", lambda: rollout_of(asking, "ill").get("failed", False), "it is given up")
    why = rollout_of(asking, "ill")["analysisFailure"]
    assert "ask ended with 3: warming up expected 12 matches, found 0" in why
    assert entry(asking, "ill")["verdict"] == "Failed"
    asking.is_told("ill", "AnalysisFailed")


@pytest.mark.long
def test_an_operator_that_is_killed_finds_the_job_that_it_made(asking: Looma):
    begun(asking, "killed", checked())
    pod = the_pod(asking, "killed")
    (before,) = jobs(asking, "killed").values()
    asking.replicas[-1].signal(signal.SIGKILL)
    asking.replicas[-1].process.wait()
    ends(asking, pod, 0)
    asking.start()
    play(asking, "killed", lambda: rollout_of(asking, "killed").get("step") == 2, "it goes on")
    (after,) = jobs(asking, "killed").values()
    assert after["metadata"]["uid"] == before["metadata"]["uid"], "no second one was made"


@pytest.mark.long
def test_a_job_that_does_not_end_is_no_success(asking: Looma):
    begun(asking, "hangs", checked(activeDeadlineSeconds=5))
    the_pod(asking, "hangs")
    play(asking, "hangs", lambda: rollout_of(asking, "hangs").get("failed", False), "it is given up")
    assert "did not end within 5 s" in rollout_of(asking, "hangs")["analysisFailure"]
    assert entry(asking, "hangs")["verdict"] == "Error"


@pytest.mark.long
def test_a_job_that_the_api_server_refuses_is_no_success(asking: Looma):
    wrong = {"containers": [{"name": "Not A Name", "image": "checker:1"}]}
    begun(asking, "wrong", checked(pod=wrong))
    play(asking, "wrong", lambda: rollout_of(asking, "wrong").get("failed", False), "it is given up")
    why = rollout_of(asking, "wrong")["analysisFailure"]
    assert "was refused" in why
    assert "containers[0].name" in why
    assert jobs(asking, "wrong") == {}


@pytest.mark.long
def test_another_template_is_another_measurement(asking: Looma):
    begun(asking, "changed", checked())
    first = the_pod(asking, "changed")
    other = {"containers": [{**POD["containers"][0], "image": "checker:2"}]}
    apply(asking, "changed", "engine:2", checked(pod=other))
    play(asking, "changed", lambda: len(jobs(asking, "changed")) == 2, "there is another Job")
    # What is asked for no more is not heard.
    ends(asking, first, 1)
    second = next(
        pod
        for job, made in jobs(asking, "changed").items()
        if made["spec"]["template"]["spec"]["containers"][0]["image"] == "checker:2"
        for pod in pods(asking, job)
    )
    ends(asking, second, 0)
    play(asking, "changed", lambda: rollout_of(asking, "changed").get("step") == 2, "it goes on")
    assert entry(asking, "changed").get("failed", 0) == 0


@pytest.mark.long
def test_a_services_jobs_go_with_it(asking: Looma):
    begun(asking, "gone", checked())
    the_pod(asking, "gone")
    assert asking.plane.request("DELETE", asking.path("aiservices", "gone"))[0] == 200
    asking.until(lambda: jobs(asking, "gone") == {}, "they are gone")


def manifest(looma: Looma, number: int, *, uid: str = "owner") -> Object:
    service = AIService(
        metadata=Metadata(name="owner", namespace=looma.namespace, uid=uid),
        spec=AIServiceSpec(engine="custom", image="engine:1"),
    )
    template = JobTemplate(pod_spec=POD, active_deadline_seconds=60)
    made = render_analysis_job(
        service,
        template,
        name=f"owner-check-0-{number}",
        metric="answers",
        revision="r2",
        stable="r1",
        routed=True,
    )
    # The collector of garbage would take away what an owner has that never was.
    return made if uid else made | {"metadata": {**made["metadata"], "ownerReferences": []}}


@pytest.fixture
async def kube(asking: Looma):
    made = Kube(await load_configuration(str(asking.plane.kubeconfig)))
    yield made
    await made.close()


async def until_read(look: Jobs, job: Object) -> Reading:
    for _ in range(200):
        reading = await look.read(job)
        if not reading.pending:
            return reading
        await asyncio.sleep(PLAY_SECONDS)
    raise AssertionError("pending")


def owned(looma: Looma, number: int) -> Object:
    """A Job of a service that is there, so that nobody takes it away."""
    looma.apply("owner")
    return manifest(looma, number, uid=looma.get("owner")["metadata"]["uid"])


async def test_a_job_that_nobody_ends_is_deleted_and_no_success(asking: Looma, kube: Kube):
    job = owned(asking, 0)
    assert (await Jobs(kube, clock=lambda: datetime.now(UTC)).read(job)).pending
    suspended = {"spec": {"suspend": True}}
    place = asking.path("jobs", "owner-check-0-0", group=BATCH)
    asking.plane.request("PATCH", place, suspended, content_type="application/merge-patch+json")
    soon = datetime.now(UTC) + timedelta(seconds=59)
    assert (await Jobs(kube, clock=lambda: soon).read(job)).pending
    late = datetime.now(UTC) + timedelta(seconds=61) + OVERDUE
    # Its controller may be writing it: then the next look deletes it.
    reading = await until_read(Jobs(kube, clock=lambda: late), job)
    assert "did not end within 60 s, and is suspended" in reading.error
    asking.until(lambda: asking.plane.request("GET", place)[0] == 404, "it is gone")


async def test_somebody_elses_job_is_left_alone(asking: Looma, kube: Kube):
    look = Jobs(kube, clock=lambda: datetime.now(UTC))
    theirs = manifest(asking, 1, uid="")
    assert asking.plane.request("POST", asking.path("jobs", group=BATCH), theirs)[0] == 201
    reading = await look.read(owned(asking, 1))
    assert "does not belong to this AIService" in reading.error


@pytest.mark.long
async def test_a_few_jobs_that_succeeded_are_kept(asking: Looma, kube: Kube):
    look = Jobs(kube, clock=lambda: datetime.now(UTC))
    last = KEPT_SUCCESSFUL + 10
    for number in range(10, last + 1):
        job = owned(asking, number)
        await look.read(job)
        name = job["metadata"]["name"]
        asking.until(lambda name=name: bool(pods(asking, name)), "it has a pod")
        ends(asking, pods(asking, name)[0], 0)
        asking.until(
            lambda name=name: "completionTime" in (asking.child("jobs", name, BATCH)[1].get("status") or {}),
            "it is complete",
        )
        assert (await until_read(look, job)).passed
    kept = {name for name in jobs(asking, "owner") if int(name.rpartition("-")[2]) >= 10}
    assert kept == {f"owner-check-0-{number}" for number in range(11, last + 1)}
