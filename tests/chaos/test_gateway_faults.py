"""Faults at the one address: processes of engines and gateways end or hang while requests go through.

Each test states how many requests may fail; times are told, never asserted.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable

import httpx
import msgspec
import pytest

from looma_core.api.gateway import FRESH_SECONDS, GatewayTraffic
from support.cluster import Cluster
from support.console_visits import visiting
from support.faults import more, pods, process_of, processes_of, restarts, running_of, until
from support.probe_service import PATH, Probe
from support.traffic import Traffic

pytestmark = pytest.mark.cluster
LONG = pytest.mark.long
CLIENTS = 2
CONTROLLER = "looma-engine\0gateway"
Record = Callable[[str, object], None]


def test_given_requests_when_an_engine_pod_is_killed_then_none_fails(cluster: Cluster, probe: Probe):
    victim = pods(cluster, probe.name)[0]
    before = restarts(cluster, victim, "engine")
    with cluster.api() as api, Traffic(api, PATH, clients=CLIENTS) as traffic:
        traffic.wait_for_revision("r1")
        os.kill(process_of(victim, command="python3"), signal.SIGKILL)
        until(lambda: restarts(cluster, victim, "engine") > before, "the kubelet starts it again")
        more(traffic, 100)
    assert traffic.failures() == []


def test_given_requests_when_an_engine_pod_hangs_then_the_others_answer_and_none_fails(
    cluster: Cluster, probe: Probe, record_property: Record
):
    """What the pod had when it began to hang waits for it; new requests go elsewhere once its check has failed."""
    process = process_of(pods(cluster, probe.name)[0], command="python3")
    # Each client may lose itself to the hanging pod once before it is out of rotation.
    with cluster.api() as api, Traffic(api, PATH, clients=8) as traffic:
        traffic.wait_for_revision("r1")
        os.kill(process, signal.SIGSTOP)
        traffic.mark("hangs")
        try:
            time.sleep(2)  # The time in which a pod that hangs is out of rotation, docs/gateway.md.
            traffic.mark("out")
            more(traffic, 100)
        finally:
            os.kill(process, signal.SIGCONT)
        traffic.mark("wakes")
        more(traffic, 100)
    record_property("answers_while_one_of_two_hung", len(traffic.between("hangs", "wakes")))
    assert traffic.failures() == []
    assert len(traffic.between("out", "wakes")) >= 100


def test_given_requests_when_the_gateways_controller_is_killed_then_none_fails_and_changes_are_taken_again(
    cluster: Cluster, probe: Probe
):
    """Three times, as the kubelet waits longer each time before it begins a container again."""
    gateway = pods(cluster, "gateway")[0]
    started = [restarts(cluster, gateway, container) for container in ("engine", "controller")]
    with (
        cluster.api() as api,
        Traffic(api, PATH, clients=CLIENTS) as kept,
        Traffic(api, PATH, clients=1, anew=True) as anew,
    ):
        kept.wait_for_revision("r1")
        for _ in range(3):
            # The container's shell has the words in its command as well, but not as arguments.
            killed = process_of(gateway, command=CONTROLLER)
            os.kill(killed, signal.SIGKILL)
            until(
                lambda: bool({*running_of(gateway, command=CONTROLLER)} - {killed}),  # noqa: B023 - run at once
                "it begins again",
            )
            more(anew, 100)
        probe.apply(version="2")
        probe.wait(stable="r2", sentence="the second version serves")
        for traffic in (kept, anew):
            traffic.wait_for_revision("r2")
    assert kept.failures() == []
    assert anew.failures() == [], "connections are let in all the while"
    now = [restarts(cluster, gateway, container) for container in ("engine", "controller")]
    assert now == started, "HAProxy went on, and the pod stayed where the Service leads"


@LONG
def test_given_two_gateways_when_haproxy_of_one_is_killed_then_only_what_it_had_fails(
    cluster: Cluster, two_gateways: list[str], probe: Probe, record_property: Record
):
    with cluster.api() as api, Traffic(api, PATH, clients=CLIENTS) as traffic:
        traffic.wait_for_revision("r1")
        for gateway in two_gateways:
            before = restarts(cluster, gateway, "engine")
            os.kill(process_of(gateway, command="haproxy"), signal.SIGKILL)
            until(lambda: restarts(cluster, gateway, "engine") == before + 1, "the kubelet starts it again")  # noqa: B023 - run at once
            cluster.kubectl("wait", "--for=condition=Ready", f"pod/{gateway}", "--timeout=60s")
            more(traffic, 100)
    failed = traffic.failures()
    record_property("failed_when_haproxy_was_killed", len(failed))
    # Until the node's tables know, a new connection may still be sent to the pod that has no HAProxy.
    assert all(answer.status == 0 for answer in failed), failed
    assert len(failed) < len(traffic.answers) / 10


@LONG
@pytest.mark.parametrize("hangs", ["haproxy", ""], ids=["haproxy", "all-of-the-pod"])
def test_given_two_gateways_when_one_hangs_then_the_other_serves_and_its_part_is_unknown(
    cluster: Cluster, two_gateways: list[str], probe: Probe, record_property: Record, hangs: str
):
    """It must wake before the kubelet's liveness probe has failed three times, or it is started anew instead."""
    frozen, other = two_gateways
    processes = processes_of(frozen, command=hangs)
    # Not at the address: a connection that the node sends to the pod that hangs waits until that is out of rotation.
    with (
        cluster.forward(f"pod/{other}", 8080) as address,
        cluster.api() as api,
        httpx.Client(base_url=address, headers=api.headers, timeout=20) as direct,
        Traffic(direct, PATH, clients=CLIENTS) as traffic,
        visiting(cluster, address) as visitor,
    ):
        traffic.wait_for_revision("r1")
        until(lambda: unknown(visitor) == 0, "both are known")
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        traffic.mark("hangs")
        try:
            until(lambda: unknown(visitor) == 1, "the console calls its part unknown")
            seen = told(cluster, frozen)
            more(traffic, 100)
        finally:
            traffic.mark("wakes")
            for process in processes:
                os.kill(process, signal.SIGCONT)
        seconds = until(lambda: unknown(visitor) == 0, "both are known again")
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{frozen}", "--timeout=60s")
        more(traffic, 100)
        again = told(cluster, frozen)
    record_property("requests", len(traffic.answers))
    record_property("failed", len(traffic.failures()))
    record_property("recovery_seconds", round(seconds, 2))
    assert traffic.failures() == []
    assert len(traffic.between("hangs", "wakes")) >= 100
    # A controller that hangs as well tells nothing; one that goes on tells how long ago it read HAProxy.
    assert (seen is None) is (hangs == "")
    assert seen is None or (seen.age_seconds or 0) > FRESH_SECONDS
    assert again is not None
    assert again.age_seconds is not None
    assert again.age_seconds <= FRESH_SECONDS


def unknown(visitor: httpx.Client) -> int:
    """Of how many gateway pods the page says that it does not know what they do."""
    page = visitor.get("/gateway").raise_for_status().text
    assert 'id="pods-known"' in page, page
    said = re.search(r'id="pods-unknown">.*?<span>(\d+) gateway pod', page, re.DOTALL)
    return int(said[1]) if said else 0


def told(cluster: Cluster, gateway: str) -> GatewayTraffic | None:
    """What a gateway pod tells of its traffic; None if it does not answer."""
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{gateway}:8081/proxy/traffic"
    answer = cluster.kubectl("get", "--raw", path, "--request-timeout=5s", check=False)
    try:
        return msgspec.json.decode(answer, type=GatewayTraffic)
    except msgspec.MsgspecError:
        return None


@LONG
def test_given_requests_when_the_route_changes_again_and_again_then_none_fails(
    cluster: Cluster, probe: Probe
):
    """Changes of a rule are reloads of HAProxy, and changes of replicas come at run time."""
    with cluster.api() as api, Traffic(api, PATH, clients=CLIENTS) as traffic:
        traffic.wait_for_revision("r1")
        for turn in range(10):
            probe.apply(
                replicas=2 + turn % 2,
                route={
                    "pathPrefixes": [PATH],
                    "timeoutSeconds": 30 + turn,
                    "retries": turn % 3,
                    "auth": {"required": False},
                },
            )
            more(traffic, 20)
        probe.wait(stable="r1", sentence="the last change is served")
        more(traffic, 100)
    assert traffic.failures() == []
