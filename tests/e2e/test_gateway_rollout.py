"""A rollout as the gateways see it: what status calls achieved is what a client counts, or it is called unknown."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from support.asking import times
from support.cluster import Cluster, Object
from support.faults import more, processes_of, until
from support.gateways import scaled
from support.probe_service import Probe, probing
from support.traffic import Traffic

pytestmark = pytest.mark.cluster
REPLICAS = 4
ASKED = 1000
SPARED = 200


def canary(service: Object) -> Object:
    found: Object = service.get("status", {}).get("canary") or {}
    return found


def is_known(service: Object) -> bool:
    """Whether the gateways give what is asked for, and have said so."""
    weight = canary(service).get("weight", {})
    return weight.get("achieved") == weight.get("requested") is not None


def available(service: Object, revision: str) -> int:
    rows = {row["name"]: row for row in service["status"].get("revisions", [])}
    return int(rows.get(revision, {}).get("availableReplicas", 0))


@pytest.fixture(scope="module")
def halfway(cluster: Cluster) -> Iterator[Probe]:
    """A probe whose second version is held in the middle of its rollout, behind two gateway pods.

    The scenarios leave it so, but for the last one.
    """
    with scaled(cluster, 2), probing(cluster, "halfway") as probe:
        probe.apply(replicas=REPLICAS)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.apply(replicas=REPLICAS, version="2")
        cluster.watch(
            "aiservice", probe.name, lambda service: available(service, "r2") >= 1, sentence="r2 has a pod"
        )
        probe.apply(replicas=REPLICAS, version="2", paused=True)
        cluster.watch("aiservice", probe.name, is_known, sentence="the gateways say what r2 gets", seconds=60)
        yield probe


def test_given_a_rollout_halfway_when_requests_are_counted_then_the_share_is_what_status_says(
    cluster: Cluster, halfway: Probe, record_property: Callable[[str, object], None]
):
    before = canary(cluster.get("aiservice", halfway.name))

    def shared() -> bool:
        first = Counter(one.revision for one in times(f"{cluster.address}{halfway.path}", SPARED))
        return first["r2"] >= SPARED * before["weight"]["achieved"] / 100 * 0.8

    # A new pod is spared at first: only then is its share what the gateways give it.
    until(shared, "r2 is spared no more")
    seen = Counter(one.revision for one in times(f"{cluster.address}{halfway.path}", ASKED))
    after = canary(cluster.get("aiservice", halfway.name))
    record_property("counted", dict(seen))
    record_property("status", before)
    assert before == after, "the rollout is held"
    assert before["revision"] == "r2"
    assert 0 < before["weight"]["achieved"] < 100
    assert set(seen) == {"r1", "r2"}, seen
    assert abs(seen["r2"] - ASKED * before["weight"]["achieved"] / 100) <= 0.03 * ASKED, (seen, before)


def test_given_a_rollout_halfway_when_a_gateway_pod_is_frozen_then_status_calls_the_share_unknown(
    cluster: Cluster, halfway: Probe
):
    frozen = cluster.list("pods", "app.kubernetes.io/instance=gateway")[0]["metadata"]["name"]
    processes = processes_of(frozen, command="")
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        found = cluster.watch(
            "aiservice",
            halfway.name,
            lambda service: "achieved" not in canary(service)["weight"],
            sentence="the share is unknown",
            seconds=30,
        )
        assert canary(found)["message"] == "1 of 2 gateway pods said within 5 s what they do"
        assert "unknown: 1 of 2" in cluster.kubectl_looma("status", halfway.name)
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    cluster.watch("aiservice", halfway.name, is_known, sentence="the share is known again", seconds=60)


def test_given_a_rollout_halfway_when_it_is_rolled_back_then_no_answer_is_of_the_new_revision_once_status_says_so(
    cluster: Cluster, halfway: Probe, record_property: Callable[[str, object], None]
):
    with cluster.api() as api, Traffic(api, halfway.path, clients=4) as traffic:
        until(
            lambda: {"r1", "r2"} <= {answer.revision for answer in list(traffic.answers)[-50:]}, "both answer"
        )
        halfway.apply(replicas=REPLICAS, version="1")
        traffic.mark("accepted")
        cluster.watch(
            "aiservice",
            halfway.name,
            lambda service: (
                service["status"].get("targetRevision") == "r1"
                and canary(service).get("weight", {"achieved": 0}).get("achieved") == 0
            ),
            sentence="nothing of r2 gets requests any more",
        )
        traffic.mark("off")
        more(traffic, 200)
    last = max(answer.at for answer in traffic.between("accepted") if answer.revision == "r2")
    record_property("last_answer_of_r2_after_ms", round((last - traffic.marks["accepted"]) * 1000))
    record_property(
        "status_said_so_after_ms", round((traffic.marks["off"] - traffic.marks["accepted"]) * 1000)
    )
    assert traffic.failures() == []
    assert set(traffic.revisions("off")) == {"r1"}
