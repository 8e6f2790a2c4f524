"""Ending what runs in a node, in the one order that lets each part end well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from looma_cluster.builtin import facts, node
from looma_cluster.builtin.components import Component
from looma_cluster.commands import run
from looma_cluster.paths import Instance
from looma_cluster.processes import Known
from looma_cluster.steps import Report

# What a database gets to close its files; then the pods are killed.
POD_GRACE_SECONDS = 10
DEFAULT_GRACE_SECONDS = 5.0
GRACE_SECONDS = {"kube-apiserver": 15.0, "etcd": 10.0, "containerd": 10.0}


def order(names: list[str]) -> list[str]:
    """The order in which components stop, from the one in which they start.

    The kubelet first, or it starts again what we stop; then from the top down, so that the API server never loses
    etcd first (it lingers for a minute then, and holds its port).
    """
    return ["kubelet", *(name for name in reversed(names) if name != "kubelet")]


def stop_all(
    instance: Instance, init: Known, parts: Mapping[str, Component], *, programs: Path, report: Report
) -> None:
    """Stop every component that runs, and the pods as soon as the kubelet is gone.

    Raises:
        TimeoutError: if one does not end even when killed.
    """
    for name in order(list(parts)):
        report(name)
        stop(init, parts[name])
        if name == "kubelet" and node.running(init, parts["containerd"]) is not None:
            report("pods")
            _stop_pods(instance, init, programs)


def stop(init: Known, part: Component) -> None:
    """Stop one component and wait until it is gone.

    Raises:
        TimeoutError: if it does not end even when killed.
    """
    node.stop(init, part, grace=GRACE_SECONDS.get(part.name, DEFAULT_GRACE_SECONDS))


def _stop_pods(instance: Instance, init: Known, programs: Path) -> None:
    program = programs / "looma-stop-pods"
    if not program.exists():
        return
    run(
        [*node.inside(init), program, f"unix://{facts.CONTAINERD_SOCKET}", str(POD_GRACE_SECONDS)],
        log=instance.logs / "looma-stop-pods.log",
        # Pods that do not stop are ended with the node.
        check=False,
    )
