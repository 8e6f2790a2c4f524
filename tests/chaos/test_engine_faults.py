"""Engines that answer wrongly, late or from other pods, and routes that change, while requests go through.

Each test states how many requests may fail, and tells when it was over; times are told, never asserted. The load is
small: short requests from a few threads, bounded by `Traffic`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from support.cluster import Cluster, Object
from support.faults import more, pods, until
from support.probe_service import PATH, Probe
from support.traffic import Answer, Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]
CLIENTS = 4
BREAKER = {"windowSeconds": 3, "minRequests": 4, "errorPercent": 50, "openSeconds": 2, "trialRequests": 3}
Record = Callable[[str, object], None]


def routed(probe: Probe, **route: Any) -> None:
    """Give the probe a route and wait until the gateway has it."""
    probe.apply(route={"pathPrefixes": [PATH], "auth": {"required": False}, **route})
    probe.wait(stable="r1", sentence="the probe serves")
    probe.wait_routed()


def refused(answer: Answer) -> bool:
    return "urn:looma:problem:circuit-open" in answer.error


def well(traffic: Traffic, *, streak: int = 30) -> bool:
    last = list(traffic.answers)[-streak:]
    return len(last) == streak and all(answer.status == 200 for answer in last)


@pytest.mark.parametrize(
    ("fault", "status"),
    [pytest.param({"status": 500}, 500, id="wrongly"), pytest.param({"seconds": 5}, 504, id="late")],
)
def test_given_every_pod_answers_wrongly_or_late_then_the_circuit_spares_them_and_closes_when_they_are_well(
    cluster: Cluster, probe: Probe, record_property: Record, fault: dict[str, Any], status: int
):
    routed(probe, timeoutSeconds=1, retries=0, circuitBreaker=BREAKER)
    engines = pods(cluster, probe.name)
    with cluster.api() as api, Traffic(api, PATH, clients=CLIENTS) as traffic:
        until(lambda: well(traffic), "requests are answered")
        for engine in engines:
            probe.tell(engine, **fault)
        until(lambda: any(refused(answer) for answer in traffic.failures()), "the circuit opens")
        traffic.mark("open")
        # Two rounds of trials, all of them in vain.
        time.sleep(2.5 * BREAKER["openSeconds"])
        traffic.mark("mended")
        for engine in engines:
            probe.tell(engine)
        seconds = until(lambda: well(traffic), "requests are answered again")
        traffic.mark("well")
        more(traffic, 100)
    kinds = Counter("circuit-open" if refused(answer) else answer.status for answer in traffic.failures())
    record_property("requests", len(traffic.answers))
    record_property("failed", f"{kinds[status]} with {status}, {kinds['circuit-open']} refused at once")
    record_property("recovery_seconds", round(seconds, 2))
    assert set(kinds) == {"circuit-open", status}, kinds
    while_open = [answer for answer in traffic.between("open", "mended") if not refused(answer)]
    rounds = 1 + 2.5  # What was under way as it opened, and the trials of each time it was open.
    assert len(while_open) <= CLIENTS + rounds * max(BREAKER["trialRequests"], CLIENTS), len(while_open)
    assert all(answer.status == 200 for answer in traffic.between("well"))


def test_given_all_endpoints_are_replaced_at_once_then_no_request_fails(
    cluster: Cluster, probe: Probe, record_property: Record
):
    """One half of the pods is deleted at once, and when it is back the other: then none is left of those at first."""
    size = 6
    probe.apply(replicas=size)

    def serve(service: Object) -> bool:
        return service["status"].get("readyReplicas") == size and service["status"].get("phase") == "Ready"

    cluster.watch("aiservice", probe.name, serve, sentence="six pods serve")
    first = pods(cluster, probe.name)
    with cluster.api() as api, Traffic(api, PATH, clients=CLIENTS) as traffic:
        traffic.wait_for_revision("r1")
        began = time.monotonic()
        for half in (first[: size // 2], first[size // 2 :]):
            cluster.kubectl("delete", "pod", *half, "--wait=true", timeout=180)
            cluster.watch("aiservice", probe.name, serve, sentence="six pods serve again", seconds=180)
        seconds = time.monotonic() - began
        more(traffic, 100)
    record_property("requests", len(traffic.answers))
    record_property("failed", len(traffic.failures()))
    record_property("all_replaced_after", f"{seconds:.0f} s")
    assert not set(first) & set(pods(cluster, probe.name))
    assert traffic.failures() == []


def test_given_a_hundred_changes_of_a_route_then_no_request_fails(
    cluster: Cluster, probe: Probe, record_property: Record
):
    """Each is a rule that HAProxy must be reloaded for, save those that come while it reloads: they go together."""
    changes = 100
    with cluster.api() as api, Traffic(api, PATH, clients=CLIENTS) as traffic:
        traffic.wait_for_revision("r1")
        before = reloads(cluster)
        for turn in range(changes):
            patch = {"spec": {"route": {"timeoutSeconds": 30 + turn, "retries": turn % 3}}}
            cluster.kubectl("patch", "ais", probe.name, "--type", "merge", "-p", json.dumps(patch))
            more(traffic, 5)
        probe.wait_routed()
        more(traffic, 100)
        done = reloads(cluster) - before
    record_property("requests", len(traffic.answers))
    record_property("failed", len(traffic.failures()))
    record_property("reloads_of_HAProxy", done)
    assert traffic.failures() == []
    assert done >= changes / 2, "the changes reached HAProxy"


def reloads(cluster: Cluster) -> int:
    """Reloads of HAProxy that the gateway's controller has counted as done."""
    (gateway,) = pods(cluster, "gateway")
    read = f"/api/v1/namespaces/{cluster.namespace}/pods/{gateway}:8081/proxy/metrics"
    for line in cluster.kubectl("get", "--raw", read).splitlines():
        if line.startswith("looma_gateway_reloads_total") and 'result="done"' in line:
            return int(float(line.split()[-1]))
    raise AssertionError("the controller counts no reloads")
