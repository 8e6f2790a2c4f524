"""The operator's leader killed, and put to sleep, in the middle of a rollout, with requests going on.

| fault | moment | promise |
| --- | --- | --- |
| SIGKILL of the leader | a rollout is under way | another leads within 6 s, the rollout ends, no request fails |
| SIGSTOP of the leader | a rollout is under way | the same; woken up, it writes nothing |
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster, Object
from support.probe_service import Probe, probing
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.beside]
TAKEOVER_SECONDS = 6.0
LONGEST_WRITE_SECONDS = (
    4  # A write that a stopped leader had under way ends before its leadership would have.
)


def holder(cluster: Cluster) -> str:
    return str(cluster.get("lease", "looma-operator")["spec"].get("holderIdentity", ""))


def process_of(pod: str) -> int:
    """The operator's process on this machine, found by the pod's name in its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"POD_NAME={pod}".encode() in environment and command.endswith(b"\0run\0"):
            return int(folder.name)
    pytest.skip(f"no process of {pod} on this machine: the cluster's node is elsewhere")


@pytest.fixture
def probe(cluster: Cluster) -> Iterator[Probe]:
    """One of another name than that of the gateway's faults, beside which these run."""
    with probing(cluster, "rolled") as made:
        yield made


def two_operators(cluster: Cluster) -> None:
    cluster.kubectl("rollout", "status", "deployment/looma-operator", "--timeout=120s", timeout=150)


def pods_of(service: Object, revision: str) -> int:
    rows = {row["name"]: row for row in service["status"]["revisions"]}
    return int(rows.get(revision, {}).get("availableReplicas", 0))


def in_the_middle(cluster: Cluster, probe: Probe, act: Callable[[], None]) -> None:
    """Begin a rollout of eight pods and act once one of the new ones answers."""
    probe.apply(version="2", replicas=4)
    cluster.watch(
        "aiservice",
        probe.name,
        lambda found: 0 < pods_of(found, "r2") < 4 and found["status"].get("rollout") is not None,
        sentence="the rollout is under way",
    )
    act()


def until(holds: Callable[[], bool], sentence: str, *, seconds: float) -> float:
    """Seconds until it held, asked as fast as kubectl answers.

    Raises:
        AssertionError: after `seconds`.
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if holds():
            return time.monotonic() - began
    raise AssertionError(f"{sentence}: not within {seconds:g} s")


@pytest.fixture
def four(cluster: Cluster, probe: Probe) -> Probe:
    two_operators(cluster)
    probe.apply(replicas=4)
    cluster.watch(
        "aiservice",
        probe.name,
        lambda found: found["status"].get("readyReplicas") == 4 and found["status"].get("phase") == "Ready",
        sentence="four pods answer",
    )
    return probe


def test_given_a_rollout_when_the_leader_is_killed_then_the_other_ends_it_and_no_request_fails(
    cluster: Cluster, four: Probe, record_property: Callable[[str, object], None]
) -> None:
    leader = holder(cluster)
    process = process_of(leader.rpartition("_")[0])
    with cluster.api() as api, Traffic(api, four.path) as traffic:
        traffic.wait_for_revision("r1")
        in_the_middle(cluster, four, lambda: os.kill(process, signal.SIGKILL))
        took = until(
            lambda: holder(cluster) not in ("", leader), "another replica leads", seconds=TAKEOVER_SECONDS
        )
        record_property("takeover_seconds", round(took, 2))
        print(f"takeover after SIGKILL: {took:.2f} s")
        four.wait(stable="r2", sentence="the rollout ends")
        traffic.wait_for_revision("r2")
    assert traffic.failures() == []


@pytest.mark.long  # The contract tests have two leaders and a sleep too, on a real API server.
def test_given_a_rollout_when_the_leader_sleeps_and_wakes_then_it_writes_nothing(
    cluster: Cluster, four: Probe
) -> None:
    leader = holder(cluster)
    process = process_of(leader.rpartition("_")[0])
    with cluster.api() as api, Traffic(api, four.path) as traffic:
        traffic.wait_for_revision("r1")
        in_the_middle(cluster, four, lambda: os.kill(process, signal.SIGSTOP))
        try:
            until(
                lambda: holder(cluster) not in ("", leader), "another replica leads", seconds=TAKEOVER_SECONDS
            )
            awake = holder(cluster)
            four.wait(stable="r2", sentence="the other ends the rollout")
            quiet = versions(cluster, four)
        finally:
            os.kill(process, signal.SIGCONT)
        woken = time.monotonic()
        until(lambda: time.monotonic() - woken > LONGEST_WRITE_SECONDS, "its old work runs out", seconds=30)
        assert versions(cluster, four) == quiet
        assert holder(cluster) == awake
        traffic.wait_for_revision("r2")
    assert traffic.failures() == []


def versions(cluster: Cluster, probe: Probe) -> dict[str, str]:
    """resourceVersion of everything that the operator writes for the probe, but what Kubernetes writes as well."""
    selector = f"app.kubernetes.io/instance={probe.name}"
    found = {
        f"{kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for kind in ("service", "controllerrevision", "serviceaccount", "networkpolicy")
        for item in cluster.list(kind, selector)
    }
    found |= {
        f"deployment/{item['metadata']['name']}": str(item["metadata"]["generation"])
        for item in cluster.list("deployment", selector)
    }
    # The gateways write their own entries of status.traffic meanwhile.
    status = {**cluster.get("aiservice", probe.name)["status"], "traffic": None}
    return found | {f"aiservice/{probe.name}": json.dumps(status, sort_keys=True)}
