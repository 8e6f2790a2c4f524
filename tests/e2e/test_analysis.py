"""Analyses of canaries on a real cluster: the release's own Prometheus, the gateway's own counters, real requests."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.canaries import REPLICAS, current, gone
from support.cluster import Cluster, Object, settled, settled_on
from support.faults import more, pods
from support.probe_service import Probe, probing
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]
ERRORS = {"name": "errors", "compare": "errorRate"}
SLOW = {"name": "slow", "compare": "latency"}
QUICK = {"intervalSeconds": 5, "initialDelaySeconds": 8, "windowSeconds": 60, "minSamples": 50, "count": 3}


def analysed(*metrics: Object, **more_: Any) -> Object:
    """A rollout whose canary has half of the requests while it is measured, and takes over if it is well."""
    analysis = {"metrics": list(metrics), **QUICK, **more_}
    return {
        "strategy": "Canary",
        "steps": [{"setWeight": 50}, {"analysis": analysis}],
        "progressDeadlineSeconds": 120,
    }


@pytest.fixture
def judged(cluster: Cluster) -> Iterator[Probe]:
    """A probe at r1 whose new versions are measured against it."""
    with probing(cluster, "judged") as probe:
        probe.apply(replicas=REPLICAS, rollout=analysed(ERRORS, SLOW))
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        yield probe


def found(service: Object) -> dict[str, Object]:
    """What was found of the latest revision, by metric."""
    target = service["status"]["targetRevision"]
    return {one["metric"]: one for one in service["status"].get("analysis", []) if one["revision"] == target}


def given_up(service: Object) -> bool:
    status = service.get("status", {})
    degraded = {item["type"]: item for item in status.get("conditions", [])}.get("Degraded", {})
    return current(service) and degraded.get("reason") == "AnalysisFailed"


def ill(cluster: Cluster, probe: Probe, **told: Any) -> None:
    """Apply a version, and make its pods ill as soon as they are there."""

    def there(service: Object) -> bool:
        rows = {row["name"]: row["availableReplicas"] for row in service["status"].get("revisions", [])}
        return rows.get("r2", 0) > 0

    probe.apply(replicas=REPLICAS, rollout=analysed(ERRORS, SLOW), version="2")
    cluster.watch("aiservice", probe.name, there, sentence="the canary has a pod", seconds=90)
    for pod in pods(cluster, probe.name):
        if "-r2-" in pod:
            probe.tell(pod, **told)


def test_given_a_version_that_is_as_good_when_it_is_measured_then_it_takes_over_by_itself(
    cluster: Cluster, judged: Probe
):
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        judged.apply(replicas=REPLICAS, rollout=analysed(ERRORS, SLOW), version="2")
        service = judged.wait(stable="r2", sentence="the new version serves")
    assert traffic.failures() == []
    assert {name: one["verdict"] for name, one in found(service).items()} == {
        "errors": "Successful",
        "slow": "Successful",
    }
    for one in found(service).values():
        assert 'revision=~"r2|r1"' in one["query"], "the query as it was asked"
        assert one["measurements"][-1]["samples"] >= QUICK["minSamples"]


@pytest.mark.parametrize(
    ("told", "metric"), [({"status": 500}, "errors"), ({"seconds": 0.2}, "slow")], ids=["wrong", "late"]
)
def test_given_a_version_that_is_worse_when_it_is_measured_then_it_is_given_up_and_status_says_why(
    cluster: Cluster,
    judged: Probe,
    told: dict[str, Any],
    metric: str,
    record_property: Callable[[str, object], None],
):
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        more(traffic, 20)
        ill(cluster, judged, **told)
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=120)
        gone(cluster, judged, "r2")
        traffic.mark("off")
        more(traffic, 100)
    assert service["status"]["stableRevision"] == "r1"
    assert found(service)[metric]["verdict"] == "Failed"
    assert "p =" in service["status"]["rollout"]["analysisFailure"]
    assert set(traffic.revisions("off")) == {"r1"}
    assert [one for one in traffic.between("off") if one.status != 200] == []
    record_property("answers_of_the_bad_version", sum(one.revision == "r2" for one in traffic.answers))


ASK = """
import os, sys, urllib.request as request
with request.urlopen(os.environ["LOOMA_URL"] + sys.argv[1], timeout=10) as answer:
    of, version = answer.headers["X-Looma-Revision"], answer.headers["X-Probe-Version"]
if of != os.environ["LOOMA_REVISION"]:
    sys.exit(f"it is answered by {of}")
if version == "wrong":
    sys.exit(f"version {version} answers wrongly")
"""


def by_job(probe: Probe) -> Object:
    """A rollout whose canary is asked by a Job before anybody gets it."""
    image = probe.manifest()["spec"]["image"]
    container = {"name": "ask", "image": image, "command": ["python3", "-c", ASK, probe.path]}
    metric = {
        "name": "asked",
        "job": {"podSpec": {"containers": [container]}, "activeDeadlineSeconds": 90},
    }
    analysis = {"metrics": [metric], "count": 1, "initialDelaySeconds": 0, "consecutiveErrorLimit": 0}
    return {
        "strategy": "Canary",
        "steps": [{"setWeight": 0}, {"analysis": analysis}],
        "progressDeadlineSeconds": 120,
    }


def test_given_a_version_when_a_job_asks_it_and_succeeds_then_it_takes_over(cluster: Cluster, judged: Probe):
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        judged.apply(replicas=REPLICAS, rollout=by_job(judged), version="2")
        service = judged.wait(stable="r2", sentence="the new version serves")
    assert traffic.failures() == []
    one = found(service)["asked"]
    assert (one["verdict"], one["successful"]) == ("Successful", 1)
    job = cluster.get("job", one["query"].removeprefix("Job "))
    assert job["metadata"]["ownerReferences"][0]["uid"] == service["metadata"]["uid"]
    assert job["status"]["succeeded"] == 1


def test_given_a_version_when_a_job_asks_it_and_fails_then_it_is_given_up_and_status_says_why(
    cluster: Cluster, judged: Probe
):
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        judged.apply(replicas=REPLICAS, rollout=by_job(judged), version="wrong")
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=150)
        gone(cluster, judged, "r2")
        more(traffic, 20)
    assert "version wrong answers wrongly" in service["status"]["rollout"]["analysisFailure"]
    assert found(service)["asked"]["verdict"] == "Failed"
    assert {answer.revision for answer in traffic.answers} == {"r1"}, "nobody got an answer of it"
    assert traffic.failures() == []


def test_given_no_requests_when_a_version_is_measured_then_it_waits_for_somebody(
    cluster: Cluster, judged: Probe
):
    judged.apply(replicas=REPLICAS, rollout=analysed(ERRORS, inconclusiveLimit=0), version="2")

    def waits(service: Object) -> bool:
        one = found(service).get("errors", {}) if current(service) else {}
        return one.get("verdict") == "Inconclusive"

    service = cluster.watch("aiservice", judged.name, waits, sentence="nothing is known", seconds=90)
    assert service["status"]["stableRevision"] == "r1"
    assert "no data" in found(service)["errors"]["message"]
    cluster.kubectl_looma("abort", judged.name, "--reason", "nobody asks it")
    gone(cluster, judged, "r2")


def test_given_a_version_that_gets_copies_when_their_answers_are_the_same_then_it_takes_over_unseen_until_then(
    cluster: Cluster, resume_service: Object
):
    first = resume_service["status"]["stableRevision"]
    metric = {"name": "other-answers", "builtIn": "shadowDifference", "max": 2}
    rollout = {
        "strategy": "Canary",
        "steps": [{"setWeight": 0}, {"analysis": {"metrics": [metric], **QUICK}}],
        "progressDeadlineSeconds": 300,
    }
    route = resume_service["spec"]["route"] | {"shadow": {"canary": True, "percent": 100}}
    # A change of these alone is no new version.
    cluster.apply(_resume(resume_service, route=route, rollout=rollout))
    cluster.watch("aiservice", "resume", settled_on(first), sentence="the route has its shadow")

    with cluster.api() as api, Traffic(api, "/api/v1/resumes?limit=1") as traffic:
        traffic.wait_for_revision(first)
        traffic.mark("apply")
        note = {"metadata": {"annotations": {"example.org/note": secrets.token_hex(4)}}}
        cluster.apply(_resume(resume_service, route=route, rollout=rollout, podTemplate=note))
        service = cluster.watch(
            "aiservice",
            "resume",
            lambda found: settled(found) and found["status"]["stableRevision"] != first,
            sentence="the new version took over",
            seconds=240,
        )
        second = service["status"]["stableRevision"]
        traffic.wait_for_revision(second)
    assert traffic.failures() == []
    (one,) = found(service).values()
    assert (one["metric"], one["verdict"]) == ("other-answers", "Successful")
    assert all(measured["samples"] >= QUICK["minSamples"] for measured in one["measurements"])
    # Each measurement was of copies: nobody was answered by the new version until the last of them.
    answers = [answer.revision for answer in traffic.between("apply")]
    assert answers.index(second) >= QUICK["minSamples"]


def _resume(service: Object, **changes: Any) -> Object:
    """The résumé engine's file with another spec."""
    head = {"apiVersion": "looma.dev/v1alpha1", "kind": "AIService", "metadata": {"name": "resume"}}
    return head | {"spec": service["spec"] | changes}
