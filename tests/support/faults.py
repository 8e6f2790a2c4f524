"""What the fault tests share: the processes of pods on this machine, waiting, and two gateway pods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.gateways import scaled
from support.traffic import Traffic


def running_of(pod: str, *, command: str = "") -> list[int]:
    """The processes of a pod's containers on this machine whose command line has `command` in it, the oldest first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes()
            born = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
        except OSError:
            continue
        if f"HOSTNAME={pod}".encode() in environment and command.encode() in words:
            found.append((born, int(folder.name)))
    return [number for _, number in sorted(found)]


def processes_of(pod: str, *, command: str = "") -> list[int]:
    """Those of `running_of`; skips the test if there are none: then the cluster's node is elsewhere."""
    found = running_of(pod, command=command)
    if not found:
        pytest.skip(f"no process of {pod} on this machine: the cluster's node is elsewhere")
    return found


def process_of(pod: str, *, command: str) -> int:
    """The oldest of `processes_of`."""
    return processes_of(pod, command=command)[0]


def pods(cluster: Cluster, service: str) -> list[str]:
    """Names of a service's pods but those that end."""
    listed = cluster.list("pods", f"app.kubernetes.io/instance={service}")
    return [pod["metadata"]["name"] for pod in listed if not pod["metadata"].get("deletionTimestamp")]


def restarts(cluster: Cluster, pod: str, container: str) -> int:
    """How often the kubelet began this container anew."""
    statuses = cluster.get("pod", pod)["status"]["containerStatuses"]
    return int(next(item["restartCount"] for item in statuses if item["name"] == container))


def until(holds: Callable[[], bool], sentence: str, *, seconds: float = 60) -> float:
    """Seconds until it held.

    Raises:
        AssertionError: after `seconds`.
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if holds():
            return time.monotonic() - began
        time.sleep(0.1)
    raise AssertionError(f"{sentence}: not within {seconds:g} s")


def more(traffic: Traffic, count: int) -> None:
    """Wait for that many further answers: the road is open."""
    begun = len(traffic.answers)
    until(lambda: len(traffic.answers) >= begun + count, f"{count} further answers")


@pytest.fixture
def two_gateways(cluster: Cluster) -> Iterator[list[str]]:
    """Names of two gateway pods that serve; as many as before afterwards."""
    with scaled(cluster, 2) as names:
        yield names
