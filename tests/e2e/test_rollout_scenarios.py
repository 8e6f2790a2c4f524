"""What may happen to a rollout, on a real cluster: every way of changing one's mind in the middle of it.

Requests go on throughout; whatever happens, none fails. All of these are left to `make scenarios`, for their time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from support.canaries import BLUE_GREEN, CANARY, REPLICAS, current, gone, to_the_pause, waits_at
from support.cluster import Cluster, ExpectationError, Object
from support.faults import more, until
from support.probe_service import Probe, probing
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]
BAD_IMAGE = "localhost/looma-no-such-image:1"


@pytest.fixture
def asked(cluster: Cluster) -> Iterator[tuple[Probe, Traffic]]:
    """A probe at r1 whose versions come in steps, with requests going on; none may have failed at the end."""
    with probing(cluster, "changed") as probe:
        probe.apply(replicas=REPLICAS, rollout=CANARY)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        with cluster.api() as api, Traffic(api, probe.path) as traffic:
            more(traffic, 20)
            yield probe, traffic
            more(traffic, 50)
        assert traffic.failures() == []


def conditions(service: Object) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in service["status"]["conditions"]}


def failed(cluster: Cluster, probe: Probe, *, replicas: int = REPLICAS) -> Object:
    """Apply a version that never starts, and wait until it is given up."""
    soon = CANARY | {"progressDeadlineSeconds": 10}
    probe.apply(replicas=replicas, rollout=soon, version="bad", image=BAD_IMAGE)
    return cluster.watch(
        "aiservice",
        probe.name,
        lambda found: current(found) and found["status"].get("phase") == "Degraded",
        sentence="the bad version is given up",
        seconds=90,
    )


def test_given_a_good_version_when_a_bad_one_fails_then_status_says_why_and_the_good_one_serves(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    found = failed(cluster, probe)
    assert found["status"]["stableRevision"] == "r1"
    assert conditions(found)["Degraded"][0] == "True"
    message = next(item["message"] for item in found["status"]["conditions"] if item["type"] == "Degraded")
    assert "looma-no-such-image" in message or "pull" in message.lower(), message
    traffic.mark("failed")
    more(traffic, 50)
    assert set(traffic.revisions("failed")) == {"r1"}


def test_given_no_room_for_a_canary_when_its_pods_fit_on_no_node_then_status_says_so_and_nobody_gets_anything_of_it(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    huge = {"requests": {"cpu": "500", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    probe.apply(replicas=REPLICAS, rollout=CANARY, version="2", resources=huge)

    def says_why(service: Object) -> bool:
        said = " ".join(item.get("message", "") for item in service["status"].get("conditions", []))
        return current(service) and "Unschedulable" in said and "Insufficient cpu" in said

    def told() -> str:
        events = cluster.list("events")
        return " ".join(
            event["message"]
            for event in events
            if event["reason"] == "NoRoom" and event["involvedObject"]["name"] == probe.name
        )

    until(lambda: bool(told()), "it is told when the rollout begins")
    assert re.search(
        r"r2: nodes: \d more pods need cpu 500, memory 32Mi each, and there is room for 0", told()
    )
    # The deadline is two minutes: a person knows long before it.
    found = cluster.watch("aiservice", probe.name, says_why, sentence="it says why", seconds=45)
    assert found["status"]["phase"] == "Progressing", "not given up yet"
    assert (found["status"].get("canary") or {}).get("weight", {}).get("requested", 0) == 0
    cluster.kubectl_looma("abort", probe.name, "--reason", "no node has 500 cores")
    gone(cluster, probe, "r2")
    assert {answer.revision for answer in traffic.answers} == {"r1"}
    # What fits goes the steps as if nothing was.
    to_the_pause(cluster, probe, version="3")


def test_given_a_bad_version_when_a_good_one_is_applied_then_it_goes_the_steps_and_serves(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    failed(cluster, probe)
    found = to_the_pause(cluster, probe, version="good")
    assert found["status"]["canary"]["revision"] == "r3"
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r3", sentence="the good version serves")


def test_given_a_bad_version_when_another_bad_one_is_applied_then_the_first_good_one_still_serves(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    failed(cluster, probe)
    soon = CANARY | {"progressDeadlineSeconds": 10}
    probe.apply(replicas=REPLICAS, rollout=soon, version="worse", image=BAD_IMAGE)
    found = cluster.watch(
        "aiservice",
        probe.name,
        lambda found: (
            current(found)
            and found["status"].get("targetRevision") == "r3"
            and found["status"].get("phase") == "Degraded"
        ),
        sentence="the second bad version is given up too",
        seconds=90,
    )
    assert found["status"]["stableRevision"] == "r1"
    traffic.mark("twice")
    more(traffic, 50)
    assert set(traffic.revisions("twice")) == {"r1"}


def test_given_a_spec_that_is_refused_when_it_is_mended_then_the_rollout_goes_as_if_nothing_was(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    wrong = CANARY | {"steps": [{"setWeight": 120}]}
    with pytest.raises(ExpectationError, match="setWeight"):
        probe.apply(replicas=REPLICAS, rollout=wrong, version="2")
    assert cluster.get("aiservice", probe.name)["status"]["targetRevision"] == "r1"
    to_the_pause(cluster, probe)
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the mended version serves")


def test_given_a_canary_when_spec_and_replicas_change_at_once_then_both_come(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    found = to_the_pause(cluster, probe, replicas=4)
    rows = {row["name"]: row["replicas"] for row in found["status"]["revisions"]}
    assert rows["r1"] == 4, "stable has the pods that are asked for now"
    assert rows["r2"] == 2, "half of the requests, half of the pods"
    cluster.kubectl_looma("promote", probe.name)
    done = probe.wait(stable="r2", sentence="the new version serves")
    assert done["status"]["readyReplicas"] >= 4


def test_given_a_canary_that_waits_when_it_is_scaled_then_both_revisions_follow_and_no_step_is_left_out(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    to_the_pause(cluster, probe)
    cluster.kubectl("scale", "ais", probe.name, "--replicas=4")

    def followed(service: Object) -> bool:
        rows = {row["name"]: row["availableReplicas"] for row in service["status"]["revisions"]}
        return waits_at(3)(service) and rows == {"r1": 4, "r2": 2}

    cluster.watch("aiservice", probe.name, followed, sentence="four and two pods", seconds=60)
    cluster.kubectl("scale", "ais", probe.name, "--replicas=1")

    def shrunk(service: Object) -> bool:
        rows = {row["name"]: row["replicas"] for row in service["status"]["revisions"]}
        return waits_at(3)(service) and rows == {"r1": 1, "r2": 1}

    cluster.watch("aiservice", probe.name, shrunk, sentence="one and one pod", seconds=60)
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the new version serves")


def test_given_a_canary_paused_by_request_when_the_operator_begins_anew_then_it_stays_until_resumed(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    slow = CANARY | {
        "steps": [{"setWeight": 20}, {"pause": {"seconds": 8}}, {"setWeight": 50}, {"pause": {}}]
    }
    probe.apply(replicas=REPLICAS, rollout=slow, version="2")
    cluster.watch("aiservice", probe.name, waits_at(1), sentence="the first pause", seconds=90)
    cluster.kubectl_looma("pause", probe.name, "--reason", "lunch")
    cluster.watch(
        "aiservice",
        probe.name,
        lambda found: conditions(found)["Paused"][0] == "True",
        sentence="it is paused",
    )
    cluster.kubectl("rollout", "restart", "deployment/looma-operator")
    cluster.kubectl("rollout", "status", "deployment/looma-operator", "--timeout=120s", timeout=150)
    with pytest.raises(ExpectationError):
        cluster.watch("aiservice", probe.name, waits_at(3), sentence="it goes on by itself", seconds=12)
    cluster.kubectl_looma("resume", probe.name)
    cluster.watch("aiservice", probe.name, waits_at(3), sentence="it goes on", seconds=60)


def test_given_a_canary_when_it_is_aborted_and_a_newer_version_applied_at_once_then_the_newer_one_goes_the_steps(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    to_the_pause(cluster, probe)
    manifest = probe.manifest(version="3", replicas=REPLICAS, rollout=CANARY)
    request = json.dumps({"id": "at-once", "action": "abort"})
    manifest["metadata"]["annotations"] = {"looma.dev/request": request}
    cluster.apply(manifest)
    found = cluster.watch(
        "aiservice", probe.name, waits_at(3, "r3"), sentence="the newer one waits halfway", seconds=120
    )
    assert found["status"]["stableRevision"] == "r1"
    traffic.mark("newer")
    more(traffic, 100)
    assert set(traffic.revisions("newer")) == {"r1", "r3"}


@pytest.mark.parametrize("window", [3, 0])
def test_given_a_version_that_took_over_when_the_older_file_is_applied_then_steps_are_for_those_outside_the_window(
    cluster: Cluster, asked: tuple[Probe, Traffic], window: int
):
    probe, _ = asked
    to_the_pause(cluster, probe, rollbackWindow=window)
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the second version serves")
    gone(cluster, probe, "r1")
    probe.apply(replicas=REPLICAS, rollout=CANARY, rollbackWindow=window)
    if window == 0:
        found = cluster.watch(
            "aiservice", probe.name, waits_at(3, "r1"), sentence="it waits at its steps", seconds=120
        )
        assert found["status"]["stableRevision"] == "r2"
        cluster.kubectl_looma("promote", probe.name)
    done = probe.wait(stable="r1", sentence="the first version serves again")
    assert done["status"]["lastRollback"]["to"] == "r1"


def test_given_a_rollback_when_it_is_taken_back_in_the_middle_then_the_newer_version_serves(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    to_the_pause(cluster, probe)
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the second version serves")
    gone(cluster, probe, "r1")
    # It has no pods, so that going back takes at least their start.
    probe.apply(replicas=REPLICAS, rollout=CANARY)
    middle = cluster.watch(
        "aiservice",
        probe.name,
        lambda found: current(found) and found["status"].get("targetRevision") == "r1",
        sentence="it goes back to the first version",
    )
    assert middle["status"]["stableRevision"] == "r2", "it is in the middle"
    assert middle["status"]["lastRollback"]["to"] == "r1"
    probe.apply(replicas=REPLICAS, rollout=CANARY, version="2")
    done = probe.wait(stable="r2", sentence="the second version serves again")
    rollback = done["status"]["lastRollback"]
    assert (rollback["from"], rollback["to"]) == ("r1", "r2")
    gone(cluster, probe, "r1")


def test_given_blue_green_when_it_is_promoted_then_all_requests_move_at_once_and_going_back_is_as_fast(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    kept = BLUE_GREEN | {"scaleDownDelaySeconds": 60}
    probe.apply(replicas=REPLICAS, rollout=kept, version="2")
    found = cluster.watch(
        "aiservice",
        probe.name,
        lambda service: (
            waits_at(0, "r2")(service)
            and {row["name"]: row["availableReplicas"] for row in service["status"]["revisions"]}.get("r2")
            == REPLICAS
        ),
        sentence="all pods of the new version are there",
        seconds=90,
    )
    assert found["status"]["canary"]["weight"]["requested"] == 0
    traffic.mark("before")
    more(traffic, 50)
    assert set(traffic.revisions("before")) == {"r1"}
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the new version serves")
    traffic.mark("promoted")
    more(traffic, 50)
    assert set(traffic.revisions("promoted")) == {"r2"}
    rows = {
        row["name"]: row["replicas"] for row in cluster.get("aiservice", probe.name)["status"]["revisions"]
    }
    assert rows["r1"] == REPLICAS, "the pods from before stay for a while"
    cluster.kubectl_looma("rollback", probe.name, "--reason", "wrong colour", "--watch")
    probe.wait(stable="r1", sentence="the first version serves again")


def test_given_blue_green_when_it_is_aborted_then_nobody_saw_the_new_version(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    probe.apply(replicas=REPLICAS, rollout=BLUE_GREEN, version="2")
    cluster.watch("aiservice", probe.name, waits_at(0, "r2"), sentence="it waits", seconds=90)
    cluster.kubectl_looma("abort", probe.name)
    gone(cluster, probe, "r2")
    assert {one.revision for one in traffic.answers} == {"r1"}


def test_given_a_canary_halfway_when_the_strategy_becomes_blue_green_then_it_serves_all_or_nothing(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, traffic = asked
    to_the_pause(cluster, probe)
    probe.apply(replicas=REPLICAS, rollout=BLUE_GREEN, version="2")

    def begins_anew(service: Object) -> bool:
        canary = service["status"].get("canary") or {}
        return (
            current(service)
            and canary.get("revision") == "r2"
            and canary["weight"] == {"requested": 0, "achieved": 0}
            and canary.get("waits") == "somebody to promote it"
        )

    cluster.watch("aiservice", probe.name, begins_anew, sentence="the requests went back", seconds=60)
    traffic.mark("back")
    more(traffic, 50)
    assert set(traffic.revisions("back")) == {"r1"}

    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="it took over")
    gone(cluster, probe, "r1")
    traffic.mark("done")
    more(traffic, 50)
    assert set(traffic.revisions("done")) == {"r2"}


def test_given_a_canary_without_a_gateway_when_its_weight_is_reduced_then_no_fewer_pods_than_asked_for_answer(
    cluster: Cluster,
):
    """Pods are the weights there: three of four are replaced, then two of those go back."""
    steps = [{"setWeight": 75}, {"pause": {"seconds": 2}}, {"setWeight": 25}, {"pause": {}}]
    rollout = CANARY | {"steps": steps}
    spec = {"replicas": 4, "rollout": rollout, "route": {"pathPrefixes": []}}
    reduced = Probe(cluster, "reduced")
    try:
        reduced.apply(**spec)
        reduced.wait(stable="r1", sentence="the first version serves")
        all_there = ("deployment/reduced-r1", "--for=jsonpath={.status.availableReplicas}=4", "--timeout=60s")
        cluster.kubectl("wait", *all_there)
        seen: list[dict[str, int]] = []

        def rests(service: Object) -> bool:
            found = cluster.list("deployments", f"app.kubernetes.io/instance={reduced.name}")
            seen.append(
                {
                    item["metadata"]["name"].removeprefix(f"{reduced.name}-"): item["status"].get(
                        "availableReplicas", 0
                    )
                    for item in found
                }
            )
            canary = service["status"].get("canary") or {}
            return current(service) and canary.get("step") == 3 and seen[-1] == {"r1": 3, "r2": 1}

        reduced.apply(**spec, version="2")
        cluster.watch(
            "aiservice", reduced.name, rests, sentence="a quarter is of the new version", seconds=150
        )
        assert any(pods.get("r2") == 3 for pods in seen), f"it had three quarters before: {seen}"
        assert min(sum(pods.values()) for pods in seen) >= 4, seen
        assert max(sum(pods.values()) for pods in seen) <= 4 + 3, "none beyond those that are to take over"
    finally:
        cluster.kubectl("delete", "aiservice", reduced.name, "--ignore-not-found", "--wait=false")
