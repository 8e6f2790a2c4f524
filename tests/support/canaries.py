"""What the scenarios of canaries share: a probe whose versions come in steps, and where it is to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from support.cluster import Cluster, Object
from support.probe_service import Probe

REPLICAS = 2
STEPS = [{"setWeight": 20}, {"pause": {"seconds": 2}}, {"setWeight": 50}, {"pause": {}}]
CANARY = {"strategy": "Canary", "steps": STEPS, "progressDeadlineSeconds": 120}
BLUE_GREEN = {"strategy": "BlueGreen", "scaleDownDelaySeconds": 3, "progressDeadlineSeconds": 120}


def current(service: Object) -> bool:
    """The operator has seen the spec as it is now."""
    return bool(service.get("status", {}).get("observedGeneration") == service["metadata"]["generation"])


def serves_alone(
    service: Object, pods: Mapping[str, int], *, phase: str, revision: str, replicas: int
) -> bool:
    """Only one revision has pods (`pods` has their numbers) and requests, and status says so of the spec as it is."""
    status = service.get("status") or {}
    return (
        current(service)
        and (status.get("phase"), status.get("stableRevision")) == (phase, revision)
        and status.get("readyReplicas") == status.get("replicas") == replicas
        and "canary" not in status
        and "retained" not in status
        and all(bool(count) == (name == revision) for name, count in pods.items())
    )


def waits_at(step: int, revision: str = "") -> Callable[[Object], bool]:
    """Holds when the canary waits in that step, with the gateways giving what is asked for."""

    def holds(service: Object) -> bool:
        canary = service.get("status", {}).get("canary") or {}
        weight = canary.get("weight", {})
        return (
            current(service)
            and canary.get("step") == step
            and (not revision or canary.get("revision") == revision)
            and weight.get("achieved") == weight.get("requested")
        )

    return holds


def to_the_pause(cluster: Cluster, probe: Probe, *, version: str = "2", **changes: Any) -> Object:
    """Apply a new version and wait until half of the requests are its own."""
    probe.apply(**{"replicas": REPLICAS, "rollout": CANARY, "version": version, **changes})
    return cluster.watch(
        "aiservice",
        probe.name,
        waits_at(3),
        sentence="the canary waits with half of the requests",
        seconds=120,
    )


def gone(cluster: Cluster, probe: Probe, revision: str, *, seconds: float = 60) -> Object:
    """Wait until a revision has no pods any more and no canary is under way."""

    def holds(service: Object) -> bool:
        rows = {row["name"]: row for row in service["status"].get("revisions", [])}
        return not rows.get(revision, {}).get("replicas") and "canary" not in service["status"]

    return cluster.watch("aiservice", probe.name, holds, sentence=f"{revision} has no pods", seconds=seconds)
