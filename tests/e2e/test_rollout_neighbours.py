"""What else acts on a service while it is rolled out: an autoscaler, a drain, Looma's own upgrade, helm's rollback.

Requests go on throughout; whatever happens, none fails. All of these are left to `make scenarios`, for their time.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from looma_cluster import binaries
from support.canaries import CANARY, REPLICAS, current, gone, to_the_pause, waits_at
from support.cluster import Cluster, Object
from support.faults import more
from support.probe_service import Probe, probing, uids
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]
OPERATOR = "looma-operator"
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "looma"
OPERATIONS = ROOT / "docs" / "operations.md"
POD_RESTART_SECONDS = 120
AUTOSCALED_SECONDS = 240  # Pods are measured after a window of metrics, and looked at every 15 s.


@pytest.fixture
def asked(cluster: Cluster) -> Iterator[tuple[Probe, Traffic]]:
    """A probe at r1 whose versions come in steps, with requests going on; none may have failed at the end."""
    with probing(cluster, "beside") as probe:
        probe.apply(replicas=REPLICAS, rollout=CANARY)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        with cluster.api() as api, Traffic(api, probe.path) as traffic:
            more(traffic, 20)
            yield probe, traffic
            more(traffic, 50)
        assert traffic.failures() == []


def rows(service: Object) -> dict[str, int]:
    """Pods that answer, by revision."""
    return {row["name"]: row.get("availableReplicas", 0) for row in service["status"].get("revisions", [])}


def test_given_a_canary_when_its_scale_subresource_is_written_then_stable_follows_and_the_canary_has_its_share(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    to_the_pause(cluster, probe)
    # As an autoscaler of any kind does: it reads and writes the scale subresource, and finds pods by its selector.
    cluster.kubectl("scale", "aiservice", probe.name, f"--replicas={2 * REPLICAS}")
    scale = json.loads(
        cluster.kubectl("get", "aiservice", probe.name, "--subresource=scale", "--output", "json")
    )
    assert scale["spec"]["replicas"] == 2 * REPLICAS
    assert probe.name in scale["status"]["selector"]

    def holds(service: Object) -> bool:
        answer = rows(service)
        return current(service) and waits_at(3, "r2")(service) and answer.get("r1", 0) == 2 * REPLICAS

    found = cluster.watch(
        "aiservice",
        probe.name,
        holds,
        sentence="stable has the new number, the canary its share",
        seconds=120,
    )
    # Half of the requests: half of the pods that they would need alone.
    assert rows(found)["r2"] == REPLICAS
    cluster.kubectl("scale", "aiservice", probe.name, f"--replicas={REPLICAS}")
    cluster.watch(
        "aiservice",
        probe.name,
        lambda service: (
            current(service) and rows(service).get("r1") == REPLICAS and waits_at(3, "r2")(service)
        ),
        sentence="both go back, and the step stays",
        seconds=120,
    )
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the canary takes over")


def documented_autoscaler(probe: Probe, **changes: object) -> Object:
    """The HorizontalPodAutoscaler of docs/operations.md, for this probe, with changes of its spec."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", OPERATIONS.read_text(), flags=re.MULTILINE | re.DOTALL)
    (text,) = [block for block in blocks if "kind: HorizontalPodAutoscaler" in block]
    found: Object = yaml.safe_load(text)
    found["metadata"]["name"] = found["spec"]["scaleTargetRef"]["name"] = probe.name
    found["spec"].update(changes)
    return found


def test_given_a_canary_when_a_horizontal_pod_autoscaler_asks_for_more_then_stable_follows_and_the_canary_has_its_share(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    to_the_pause(cluster, probe)
    # One percent of the request is less than any pod uses that answers somebody, so it asks for all it may.
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}}
    most = REPLICAS + 1
    autoscaler = documented_autoscaler(
        probe, minReplicas=REPLICAS, maxReplicas=most, metrics=[{"type": "Resource", "resource": cpu}]
    )
    cluster.apply(autoscaler)
    try:
        found = cluster.watch(
            "aiservice",
            probe.name,
            lambda service: (
                current(service) and waits_at(3, "r2")(service) and rows(service).get("r1", 0) == most
            ),
            sentence="stable has the pods that the autoscaler asks for, and the step stays",
            seconds=AUTOSCALED_SECONDS,
        )
        assert found["spec"]["replicas"] == most
        assert rows(found)["r2"] == math.ceil(most / 2), "half of the requests, half of the pods"
        seen = cluster.watch(
            "horizontalpodautoscaler",
            probe.name,
            lambda one: one.get("status", {}).get("currentReplicas") == most,
            sentence="the autoscaler knows of it",
            seconds=AUTOSCALED_SECONDS,
        )
        conditions = {item["type"]: item["status"] for item in seen["status"]["conditions"]}
        assert conditions["AbleToScale"] == conditions["ScalingActive"] == "True"
        cluster.kubectl_looma("promote", probe.name)
        probe.wait(stable="r2", sentence="the canary takes over")
        done = gone(cluster, probe, "r1")
        assert rows(done)["r2"] == done["spec"]["replicas"] == most
    finally:
        cluster.kubectl("delete", "horizontalpodautoscaler", probe.name, "--ignore-not-found")


def test_given_a_canary_when_its_node_is_drained_then_pods_go_as_the_budget_allows_and_the_step_stays(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    to_the_pause(cluster, probe)
    pods = [
        pod["metadata"]["name"]
        for pod in cluster.list("pod", f"app.kubernetes.io/instance={probe.name}")
        if "deletionTimestamp" not in pod["metadata"]
    ]

    def evict(pod: str) -> str:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": cluster.namespace},
        }
        path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"
        return cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)

    # All at once, as a drain asks: a quarter of the pods, rounded up, may go before others have come.
    answers = [evict(pod) for pod in pods]
    refused = [answer for answer in answers if "disruption budget" in answer]
    assert len(refused) == len(pods) - 1, answers
    cluster.watch(
        "aiservice",
        probe.name,
        lambda service: waits_at(3, "r2")(service) and sum(rows(service).values()) == len(pods),
        sentence="the evicted pod is replaced, and the canary waits where it was",
        seconds=POD_RESTART_SECONDS,
    )
    cluster.kubectl_looma("abort", probe.name)
    gone(cluster, probe, "r2")


def test_given_a_canary_when_the_operator_is_upgraded_then_no_pod_begins_anew_and_the_canary_goes_on(
    cluster: Cluster, asked: tuple[Probe, Traffic]
):
    probe, _ = asked
    to_the_pause(cluster, probe)
    before = uids(cluster, probe)
    versions = {
        item["metadata"]["name"]: item["metadata"]["generation"]
        for item in cluster.list("deployment", f"app.kubernetes.io/instance={probe.name}")
    }
    try:
        # Another pod template is what an upgrade is to the operator's own Deployment.
        cluster.kubectl("set", "env", f"deployment/{OPERATOR}", "LOOMA_LOG_LEVEL=debug")
        cluster.kubectl(
            "rollout", "status", f"deployment/{OPERATOR}", f"--timeout={POD_RESTART_SECONDS}s", timeout=150
        )
        cluster.watch(
            "aiservice", probe.name, waits_at(3, "r2"), sentence="the canary waits where it was", seconds=60
        )
        assert uids(cluster, probe) == before
        assert versions == {
            item["metadata"]["name"]: item["metadata"]["generation"]
            for item in cluster.list("deployment", f"app.kubernetes.io/instance={probe.name}")
        }
    finally:
        cluster.kubectl("set", "env", f"deployment/{OPERATOR}", "LOOMA_LOG_LEVEL-")
        cluster.kubectl(
            "rollout", "status", f"deployment/{OPERATOR}", f"--timeout={POD_RESTART_SECONDS}s", timeout=150
        )
    cluster.kubectl_looma("promote", probe.name)
    probe.wait(stable="r2", sentence="the operator that came last promotes it")


def test_given_a_release_with_a_canary_when_helm_rolls_it_back_then_the_first_version_serves_alone(
    cluster: Cluster, record_property: Callable[[str, object], None]
):
    """An engine of the release gets another version in steps; `helm rollback` is applying the spec that was before."""
    name = "resume"
    release = ("--namespace", cluster.namespace, "--kubeconfig", str(cluster.kubeconfig))
    service = cluster.get("aiservice", name)
    stable, path = service["status"]["stableRevision"], service["spec"]["route"]["pathPrefixes"][0]
    revision = json.loads(
        cluster.run(str(binaries.path("helm")), "status", "looma", "--output", "json", *release)
    )["version"]
    settings = [
        f"engines.services.{name}.spec.rollout.strategy=Canary",
        f"engines.services.{name}.spec.rollout.steps[0].setWeight=50",
        f"engines.services.{name}.spec.rollout.steps[1].pause.seconds=3600",
        f"engines.services.{name}.spec.config.maxPages=7",
    ]
    try:
        with cluster.api() as api, Traffic(api, path) as traffic:
            more(traffic, 10)
            cluster.run(
                *(str(binaries.path("helm")), "upgrade", "looma", str(CHART), "--reuse-values", *release),
                # Whoever changed the service before, by `kubectl patch`, has fields of it.
                "--force-conflicts",
                *(word for setting in settings for word in ("--set", setting)),
                timeout=300,
            )
            cluster.watch(
                "aiservice",
                name,
                lambda found: (
                    found["status"].get("canary", {}).get("step") == 1
                    and found["status"]["stableRevision"] == stable
                ),
                sentence="the new version waits with half of the requests",
                seconds=180,
            )
            began = time.monotonic()
            cluster.run(
                str(binaries.path("helm")),
                "rollback",
                "looma",
                str(revision),
                "--force-conflicts",
                *release,
                timeout=300,
            )
            cluster.watch(
                "aiservice",
                name,
                lambda found: (
                    current(found)
                    and found["status"].get("phase") == "Ready"
                    and found["status"]["targetRevision"] == found["status"]["stableRevision"] == stable
                    and "canary" not in found["status"]
                ),
                sentence="the version before serves alone",
                seconds=180,
            )
            record_property("helm_rollback_seconds", round(time.monotonic() - began, 1))
            more(traffic, 10)
        assert traffic.failures() == []
    finally:
        cluster.run(
            str(binaries.path("helm")), "rollback", "looma", str(revision), *release, check=False, timeout=300
        )
