"""What a person sees of the operator, on a real cluster, with requests going through the one address meanwhile."""

from __future__ import annotations

import pytest

from support.cluster import Cluster, ExpectationError
from support.probe_service import PATH, Probe
from support.traffic import Traffic

pytestmark = pytest.mark.cluster


@pytest.mark.long
def test_given_traffic_when_a_new_version_rolls_out_and_back_then_no_request_fails(
    cluster: Cluster, probe: Probe
):
    with cluster.api() as api, Traffic(api, PATH) as traffic:
        traffic.wait_for_revision("r1")
        probe.apply(version="2")
        probe.wait(stable="r2", sentence="the second version serves")
        traffic.wait_for_revision("r2")
        out = cluster.kubectl_looma("rollback", "probe", "--reason", "it is slower", "--watch")
        traffic.wait_for_revision("r1")
    assert "back from r2 to r1" in out
    assert traffic.failures() == []
    back = probe.wait(stable="r1", sentence="the first serves again")["status"]["lastRollback"]
    assert (back["from"], back["to"], back["reason"]) == ("r2", "r1", "it is slower")
    assert back["completedAt"] > back["startedAt"]
    history = cluster.kubectl_looma("history", "probe")
    assert history.splitlines()[1].split()[:2] == ["r1", "Stable"]
    assert "it is slower" in history
    difference = cluster.kubectl_looma("diff", "probe", "r1", "r2", check=False)
    version = "podTemplate.spec.containers[engine].env[PROBE_VERSION].value"
    assert ["*", version, "1", "2"] in [line.split() for line in difference.splitlines()]


@pytest.mark.long
def test_given_a_version_that_never_starts_when_its_deadline_passes_then_the_old_one_serves(
    cluster: Cluster, probe: Probe
):
    with cluster.api() as api, Traffic(api, PATH) as traffic:
        traffic.wait_for_revision("r1")
        deadline = {"progressDeadlineSeconds": 10}
        probe.apply(version="2", image="localhost/looma-no-such-image:1", rollout=deadline)
        service = probe.wait_phase("Degraded", sentence="the rollout is given up")
        degraded = next(item for item in service["status"]["conditions"] if item["type"] == "Degraded")
        assert degraded["reason"] == "ProgressDeadlineExceeded"
        assert "r1 keeps serving" in degraded["message"]
        cluster.kubectl_looma("rollback", "probe", "--reason", "no such image", "--watch")
    assert traffic.failures() == []
    assert {answer.revision for answer in traffic.answers} == {"r1"}


def test_given_three_asked_for_by_the_scale_subresource_then_three_answer_and_no_revision_is_made(
    cluster: Cluster, probe: Probe
):
    cluster.kubectl("scale", "ais", "probe", "--replicas=3")
    service = cluster.watch(
        "aiservice",
        "probe",
        lambda found: found["status"].get("readyReplicas") == 3 and found["status"]["phase"] == "Ready",
        sentence="three pods answer",
    )
    assert [row["name"] for row in service["status"]["revisions"]] == ["r1"]


def test_given_children_changed_and_deleted_by_hand_then_they_come_back(cluster: Cluster, probe: Probe):
    with cluster.api() as api, Traffic(api, PATH) as traffic:
        traffic.wait_for_revision("r1")
        before = cluster.get("deployment", "probe-r1")
        cluster.kubectl("scale", "deployment", "probe-r1", "--replicas=5")
        cluster.watch(
            "deployment",
            "probe-r1",
            lambda found: (
                found["spec"]["replicas"] == 2
                and found["metadata"]["generation"] > before["metadata"]["generation"]
            ),
            sentence="the Deployment has its two replicas again",
        )
        cluster.kubectl("delete", "pdb", "probe")
        cluster.watch("pdb", "probe", bool, sentence="the budget is there again")
    assert traffic.failures() == []
    cluster.kubectl("delete", "deployment", "probe-r1", "--wait=false")
    cluster.watch(
        "deployment",
        "probe-r1",
        lambda found: found["metadata"]["uid"] != before["metadata"]["uid"],
        sentence="the Deployment is there again",
    )
    probe.wait(stable="r1", sentence="and serves")


def test_given_one_replica_then_a_drain_is_not_blocked(cluster: Cluster, probe: Probe):
    cluster.kubectl("scale", "ais", "probe", "--replicas=1")
    cluster.watch(
        "pdb",
        "probe",
        lambda found: (
            found.get("status", {}).get("expectedPods") == 1
            and found["status"].get("disruptionsAllowed") == 1
        ),
        sentence="the one pod may be drained",
    )


def test_given_a_path_of_another_service_when_it_is_applied_then_it_is_refused(
    cluster: Cluster, probe: Probe
):
    thief = probe.manifest()
    thief["metadata"]["name"] = "thief"
    with pytest.raises(ExpectationError, match=f"{PATH} belongs to AIService probe; write another path"):
        cluster.apply(thief)


def test_given_a_deleted_service_then_nothing_of_it_stays(cluster: Cluster, probe: Probe):
    cluster.kubectl("delete", "aiservice", "probe", "--wait")
    kinds = "deployment,service,serviceaccount,pdb,networkpolicy,controllerrevision,pod"
    cluster.kubectl(
        "wait", "--for=delete", kinds, "-l", "app.kubernetes.io/instance=probe", "--timeout=120s", timeout=150
    )


def test_the_operator_stays_small(cluster: Cluster):
    """150 MiB is the promise (docs/architecture.md); the kernel's own figure, from inside the container."""
    names = cluster.kubectl(
        "get", "pods", "-l", "app.kubernetes.io/name=looma-operator", "-o", "name"
    ).split()
    assert names
    for name in names:
        status = cluster.kubectl("exec", name, "--", "python3", "-c", "print(open('/proc/1/status').read())")
        peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
        assert peak < 150 * 1024, f"{name}: {peak} KiB"
