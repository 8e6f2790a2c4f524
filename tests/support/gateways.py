"""The gateway of a running cluster with as many pods as a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.cluster import Cluster, Object


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
