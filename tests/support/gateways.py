"""The gateway of a running cluster with as many pods as a test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from support.cluster import Cluster, ExpectationError, Object

AGREED = 30
"""Requests in a row that tell of all pods: of two, one is left out by a chance of one in a thousand million."""


def gateway_pods(cluster: Cluster) -> list[str]:
    """Names of the gateway's pods but those that end."""
    found = cluster.list("pods", "app.kubernetes.io/instance=gateway")
    return sorted(pod["metadata"]["name"] for pod in found if not pod["metadata"].get("deletionTimestamp"))


def scale_gateway(cluster: Cluster, count: int) -> None:
    """Bring the gateway to that many pods that serve, with none left that ends."""

    def serve(found: Object) -> bool:
        status = found["status"]
        return (
            status.get("readyReplicas") == status.get("replicas") == count and status.get("phase") == "Ready"
        )

    cluster.kubectl("scale", "ais", "gateway", f"--replicas={count}")
    cluster.watch("aiservice", "gateway", serve, sentence=f"{count} gateway pods serve", seconds=150)


@contextmanager
def scaled(cluster: Cluster, count: int) -> Iterator[list[str]]:
    """Names of that many gateway pods that serve; as many as before afterwards."""
    before = cluster.get("aiservice", "gateway")["spec"]["replicas"]
    scale_gateway(cluster, count)
    try:
        yield gateway_pods(cluster)
    finally:
        scale_gateway(cluster, before)


def route_split(cluster: Cluster, name: str, *, path: str, shares: Mapping[str, int]) -> None:
    """Split the requests to a path between services, by weight, and wait until the gateway has taken that."""
    targets = [
        {"name": f"{service}-stable", "port": 80, "weight": weight} for service, weight in shares.items()
    ]
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": targets}
    cluster.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name},
            "spec": {"parentRefs": [{"name": "looma"}], "rules": [rule]},
        }
    )

    def accepted(found: Object) -> bool:
        generation = found["metadata"]["generation"]
        return any(
            item["type"] == "Accepted"
            and item["status"] == "True"
            and item["observedGeneration"] == generation
            for parent in found.get("status", {}).get("parents", [])
            for item in parent["conditions"]
        )

    cluster.watch("httproute", name, accepted, sentence=f"the gateway takes the split {name}", seconds=30)
    # The word is that of the first pod that took it. Each new connection leads to one of them, by chance.
    deadline = time.monotonic() + 30
    while not all(_leads_somewhere(cluster, path) for _ in range(AGREED)):
        if time.monotonic() > deadline:
            raise ExpectationError(f"a pod of the gateway does not know {path}")


def _leads_somewhere(cluster: Cluster, path: str) -> bool:
    return httpx.get(f"{cluster.address}{path}", timeout=20).status_code != httpx.codes.NOT_FOUND
