"""Analyses of canaries on a real cluster: the release's own Prometheus, the gateway's own counters, real requests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from support.canaries import REPLICAS, current, gone
from support.cluster import Cluster, Object, settled, settled_on
from support.faults import more
from support.judged_probe import ERRORS, QUICK, SLOW, analysed, ask_by_job, found, given_up, make_ill
from support.probe_service import Probe
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]


def ill(cluster: Cluster, probe: Probe, **told: Any) -> None:
    """Apply a version, and make its pods ill as soon as they are there."""

    def there(service: Object) -> bool:
        rows = {row["name"]: row["availableReplicas"] for row in service["status"].get("revisions", [])}
        return rows.get("r2", 0) > 0

    probe.apply(replicas=REPLICAS, rollout=analysed(ERRORS, SLOW), version="2")
    cluster.watch("aiservice", probe.name, there, sentence="the canary has a pod", seconds=90)
    make_ill(cluster, probe, "r2", **told)


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


def by_job(probe: Probe) -> Object:
    """A rollout whose canary is asked by a Job before anybody gets it."""
    analysis = {
        "metrics": [ask_by_job(probe)],
        "count": 1,
        "initialDelaySeconds": 0,
        "consecutiveErrorLimit": 0,
    }
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
