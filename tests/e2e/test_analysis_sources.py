"""What an analysis reads, on a real cluster: no number, no Prometheus, an address that wants a secret, and probes.

Nothing of it may let a version through that is not known to be good. All of these are left to `make scenarios`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from support.canaries import REPLICAS, current, gone
from support.cluster import Cluster, Object
from support.faults import more
from support.judged_probe import ERRORS, analysed, found, given_up
from support.probe_service import Probe
from support.receiver_pod import receiving
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]

PROMETHEUS = "deployment/looma-prometheus"
SCORES = "scores"
ONCE = {"count": 1, "initialDelaySeconds": 0, "intervalSeconds": 5}


def has_verdict(metric: str, verdict: str) -> Any:
    """Holds when the metric has that verdict, for the spec as it is now."""

    def holds(service: Object) -> bool:
        return current(service) and found(service).get(metric, {}).get("verdict") == verdict

    return holds


def test_given_a_query_that_answers_no_number_when_a_version_is_measured_then_a_person_decides(
    cluster: Cluster, judged: Probe
):
    nothing = {"name": "nothing", "prometheus": {"query": "0 / 0"}, "max": 1}
    rollout = analysed(nothing, **ONCE, inconclusiveLimit=1)
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        judged.apply(replicas=REPLICAS, rollout=rollout, version="2")
        waits = has_verdict("nothing", "Inconclusive")
        service = cluster.watch("aiservice", judged.name, waits, sentence="nothing is known", seconds=90)
        assert "nan, no number" in found(service)["nothing"]["message"]
        assert "value" not in found(service)["nothing"]["measurements"][-1]
        assert service["status"]["stableRevision"] == "r1"
        assert service["status"]["canary"]["step"] == 1
        cluster.kubectl_looma("promote", judged.name, "--reason", "looked at by hand")
        judged.wait(stable="r2", sentence="the person's word lets it go on")
    assert traffic.failures() == []


@pytest.fixture
def no_prometheus(cluster: Cluster) -> Iterator[None]:
    """The release's Prometheus has no pod; it has one again afterwards."""
    cluster.kubectl("scale", PROMETHEUS, "--replicas=0")
    cluster.kubectl(
        "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=looma-prometheus", "--timeout=90s"
    )
    yield
    cluster.kubectl("scale", PROMETHEUS, "--replicas=1")
    cluster.kubectl("rollout", "status", PROMETHEUS, "--timeout=120s", timeout=130)


def test_given_no_prometheus_when_a_version_is_measured_then_it_is_given_up_and_status_says_what_was_not_reached(
    cluster: Cluster, judged: Probe, no_prometheus: None
):
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        rollout = analysed(ERRORS, consecutiveErrorLimit=1)
        judged.apply(replicas=REPLICAS, rollout=rollout, version="2")
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=120)
        gone(cluster, judged, "r2")
        traffic.mark("off")
        more(traffic, 50)
    one = found(service)["errors"]
    assert one["verdict"] == "Error"
    assert "not reached" in service["status"]["rollout"]["analysisFailure"] or "no answer" in one["message"]
    assert service["status"]["stableRevision"] == "r1"
    assert set(traffic.revisions("off")) == {"r1"}
    assert traffic.failures() == []


@pytest.fixture
def token(cluster: Cluster) -> Iterator[str]:
    """What the address of scores wants; the Secret looma-analysis has it."""
    made = f"Bearer {secrets.token_urlsafe(24)}"
    cluster.kubectl("delete", "secret", "looma-analysis", "--ignore-not-found")
    cluster.kubectl("create", "secret", "generic", "looma-analysis", f"--from-literal=scores={made}")
    yield made
    cluster.kubectl("delete", "secret", "looma-analysis", "--ignore-not-found")


def test_given_an_address_that_wants_a_secret_when_a_version_is_measured_then_it_gets_it_and_nobody_else_sees_it(
    cluster: Cluster, judged: Probe, token: str
):
    with receiving(cluster, SCORES, wanted=token, answer={"results": [{"score": 0.97}]}) as receiver:
        metric = {
            "name": "score",
            "http": {
                "url": f"{receiver.url}/$(SERVICE)/$(REVISION)",
                "pointer": "/results/0/score",
                "header": {"name": "Authorization", "secretKey": "scores"},
            },
            "min": 0.9,
        }
        judged.apply(replicas=REPLICAS, rollout=analysed(metric, **ONCE), version="2")
        service = judged.wait(stable="r2", sentence="its score is good")
        asked = receiver.got()
        # The same address without the key: an error, and no version that nobody knows to be good.
        without = {
            **metric,
            "http": {**metric["http"], "header": {"name": "Authorization", "secretKey": "no"}},
        }
        rollout = analysed(without, **ONCE, consecutiveErrorLimit=0)
        judged.apply(replicas=REPLICAS, rollout=rollout, version="3")
        refused = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=90)
    assert found(service)["score"]["measurements"][-1]["value"] == 0.97
    assert {one["path"] for one in asked} == {f"/{judged.name}/r2"}
    assert {one["headers"]["authorization"] for one in asked} == {token}
    assert "there is no such key" in refused["status"]["rollout"]["analysisFailure"]
    assert refused["status"]["stableRevision"] == "r2"
    of_operator = ("-l", "app.kubernetes.io/name=looma-operator", "--tail=-1", "--prefix")
    told = [
        json.dumps(cluster.list("aiservices")),
        cluster.kubectl("get", "events", "--output", "json"),
        cluster.kubectl("logs", *of_operator),
    ]
    assert all(one for one in told)
    assert not [one for one in told if token.removeprefix("Bearer ") in one]


PROBES = [{"name": "ada", "path": "/api/v1/judged", "method": "GET", "expect": {"/score": 1, "/by": "ada"}}]


@pytest.fixture
def questions(cluster: Cluster) -> Iterator[str]:
    """Key of the set of probes whose right answers are known."""
    cluster.kubectl("delete", "configmap", "looma-probes", "--ignore-not-found")
    words = f"--from-literal=people.json={json.dumps(PROBES)}"
    cluster.kubectl("create", "configmap", "looma-probes", words)
    yield "people.json"
    cluster.kubectl("delete", "configmap", "looma-probes", "--ignore-not-found")


def test_given_questions_with_known_answers_when_a_version_answers_wrongly_then_it_is_given_up_before_anybody_asks_it(
    cluster: Cluster, judged: Probe, questions: str
):
    answers = {"name": "answers", "probes": {"set": questions}, "min": 100}
    rollout = analysed(answers, **ONCE) | {
        "steps": [{"setWeight": 0}, {"analysis": {"metrics": [answers], **ONCE}}]
    }
    right = {"score": 1, "by": "ada"}
    with cluster.api() as api, Traffic(api, judged.path) as traffic:
        judged.apply(replicas=REPLICAS, rollout=rollout, version="2", told={"answer": right})
        judged.wait(stable="r2", sentence="what answers rightly takes over")
        traffic.wait_for_revision("r2")
        traffic.mark("right")
        judged.apply(replicas=REPLICAS, rollout=rollout, version="3", told={"answer": right | {"score": 0}})
        service = cluster.watch("aiservice", judged.name, given_up, sentence="it is given up", seconds=120)
        gone(cluster, judged, "r3")
        more(traffic, 50)
    (one,) = found(service).values()
    assert one["verdict"] == "Failed"
    assert "ada /score" in one["message"], "which question and where, and no word of the answer"
    assert one["measurements"][-1]["value"] == 50
    assert set(traffic.revisions("right")) == {"r2"}
    assert traffic.failures() == []
