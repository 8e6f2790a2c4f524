"""The kill matrix: the operator is killed before and after each write of a rollout, and nobody notices.

Every road is gone once undisturbed, its writes are counted by a proxy before the API server, and what is then there is
remembered. Then it is gone again for each write, with SIGKILL just before that write or just after it, while requests
go on: what is there at the end is the same, and no request failed. The table is among the results.

| road            | begins with                           | somebody asks for | ends with                   |
| --------------- | ------------------------------------- | ----------------- | --------------------------- |
| canary promote  | half of the requests at the canary    | promote --full    | r2 alone                    |
| canary abort    | the same                              | abort             | r1 alone, Degraded          |
| blue-green      | all pods of r2 beside those of r1     | promote           | r2 alone after the delay    |
| rollback        | r2 alone                              | rollback          | r1 alone                    |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.canaries import serves_alone
from support.cluster import Cluster, ExpectationError, Object
from support.faults import more
from support.host_operator import HostOperator, hosted, wait_leading
from support.kill_matrix import keep, too_few
from support.probe_service import Probe, probing
from support.traffic import Traffic
from support.write_proxy import When, Write, WriteProxy

pytestmark = [pytest.mark.cluster, pytest.mark.alone]
REPLICAS = 2
CANARY = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}
BLUE_GREEN = {"strategy": "BlueGreen", "scaleDownDelaySeconds": 2}


@dataclass(frozen=True)
class Road:
    """How a road begins, what somebody asks for, and how it ends: the phase and the only revision with pods."""

    name: str
    rollout: Object
    prepare: Callable[[Probe, Object], None]
    act: Callable[[Probe], None]
    phase: str
    serves: str


@dataclass(frozen=True)
class Outcome:
    """What came of one time: the writes, what is there at the end, the requests, and how many failed."""

    writes: list[Write]
    there: Object
    requests: int
    failures: list[str]


def _waits(probe: Probe, rollout: Object, step: int) -> None:
    probe.apply(replicas=REPLICAS, rollout=rollout, version="2")

    def holds(service: Object) -> bool:
        canary = service.get("status", {}).get("canary") or {}
        weight = canary.get("weight", {})
        settled = weight.get("achieved") == weight.get("requested") and canary.get("waits", "").startswith(
            "somebody"
        )
        return canary.get("revision") == "r2" and canary.get("step") == step and settled

    probe.cluster.watch("aiservice", probe.name, holds, sentence="it waits for somebody", seconds=120)


def halfway(probe: Probe, rollout: Object) -> None:
    """The canary waits with half of the requests."""
    _waits(probe, rollout, 1)


def beside(probe: Probe, rollout: Object) -> None:
    """All pods of the new revision are there, without a request."""
    _waits(probe, rollout, 0)


def taken_over(probe: Probe, rollout: Object) -> None:
    """The new revision serves alone."""
    halfway(probe, rollout)
    probe.cluster.kubectl_looma("promote", probe.name, "--full")
    ended(probe, phase="Ready", serves="r2")


def ask(*words: str) -> Callable[[Probe], None]:
    """Ask as a person does."""
    action, *options = words
    return lambda probe: print(probe.cluster.kubectl_looma(action, probe.name, *options))


ROADS = [
    Road("canary-promote", CANARY, halfway, ask("promote", "--full"), "Ready", "r2"),
    Road("canary-abort", CANARY, halfway, ask("abort"), "Degraded", "r1"),
    Road("blue-green", BLUE_GREEN, beside, ask("promote"), "Ready", "r2"),
    Road("rollback", CANARY, taken_over, ask("rollback", "--reason", "wrong answers"), "Ready", "r1"),
]


def ended(probe: Probe, *, phase: str, serves: str) -> Object:
    """Wait until only one revision has pods and requests."""

    def holds(service: Object) -> bool:
        rows = service.get("status", {}).get("revisions", [])
        pods = {row["name"]: row.get("replicas", 0) for row in rows}
        return serves_alone(service, pods, phase=phase, revision=serves, replicas=REPLICAS)

    return probe.cluster.watch("aiservice", probe.name, holds, sentence=f"{serves} alone", seconds=120)


def there(cluster: Cluster, name: str) -> Object:
    """All that the operator wrote for the service, without times, versions and the service's own name."""
    selector = f"app.kubernetes.io/instance={name}"
    service = cluster.get("aiservice", name)
    status = service["status"]
    seen: Object = {
        "deployments": {
            item["metadata"]["labels"]["looma.dev/revision"]: item["spec"]["replicas"]
            for item in cluster.list("deployment", selector)
        },
        "services": {
            item["metadata"]["name"]: item["spec"]["selector"] for item in cluster.list("service", selector)
        },
        "route": cluster.get("httproute", name)["spec"]["rules"],
        "revisions": sorted(
            item["metadata"]["name"] for item in cluster.list("controllerrevision", selector)
        ),
        "status": {
            key: status.get(key)
            for key in ("phase", "stableRevision", "targetRevision", "replicas", "canary")
        },
        "rollout": {
            key: value for key, value in (status.get("rollout") or {}).items() if not key.endswith("At")
        },
        "conditions": {
            item["type"]: (item["status"], item["reason"], item.get("message"))
            for item in status["conditions"]
        },
        "states": {row["name"]: (row["state"], row.get("image")) for row in status["revisions"]},
        "requests": [(item["action"], item["result"]) for item in status.get("requests", [])],
        "rollback": {
            key: value for key, value in (status.get("lastRollback") or {}).items() if not key.endswith("At")
        },
    }
    found: Object = json.loads(json.dumps(seen).replace(name, "NAME"))
    return found


@pytest.fixture(scope="module")
def host(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[HostOperator, WriteProxy]]:
    """The operator as a process behind a proxy."""
    with hosted(cluster, tmp_path_factory.mktemp("operator")) as made:
        wait_leading(cluster)
        yield made


def gone(
    cluster: Cluster,
    host: tuple[HostOperator, WriteProxy],
    road: Road,
    *,
    name: str,
    at: int = -1,
    when: When = "before",
) -> Outcome:
    """Go the road once, with a kill at the write numbered `at`."""
    operator, proxy = host
    with probing(cluster, name) as probe, cluster.api() as api:
        probe.apply(replicas=REPLICAS, rollout=road.rollout)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        road.prepare(probe, road.rollout)
        with Traffic(api, probe.path) as traffic:
            more(traffic, 20)
            proxy.arm(name, at=at, when=when, strike=operator.kill if at >= 0 else None)
            road.act(probe)
            ended(probe, phase=road.phase, serves=road.serves)
            # An operator that was away reads the gateway's last word after the rest.
            probe.wait_routed()
            more(traffic, 50)
            writes = proxy.disarm()
            failures = [f"{one.status} {one.error}" for one in traffic.failures()]
            return Outcome(writes, there(cluster, name), len(traffic.answers), failures)


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """The lines of the matrix, written beside the other results at the end."""
    lines = [
        "| road | killed | write | same end | requests | failed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    yield lines
    keep(lines, "kill-matrix.md")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
def test_given_a_road_when_the_operator_is_killed_at_any_of_its_writes_then_nobody_notices(
    cluster: Cluster,
    host: tuple[HostOperator, WriteProxy],
    road: Road,
    table: list[str],
    record_property: Callable[[str, Any], None],
) -> None:
    calm = gone(cluster, host, road, name=f"{road.name}-calm")
    table.append(
        f"| {road.name} | – | {len(calm.writes)} writes | – | {calm.requests} | {len(calm.failures)} |"
    )
    assert calm.failures == []
    wrong: list[str] = []
    struck = 0
    operator, _ = host
    for at, write in enumerate(calm.writes):
        for when in ("before", "after"):
            kills = operator.kills
            name = f"{road.name}-{at}{when[0]}"
            try:
                came = gone(cluster, host, road, name=name, at=at, when=when)  # type: ignore[arg-type]
            except ExpectationError as error:
                table.append(f"| {road.name} | {when} | {at} {write.about} | never ended | | |")
                wrong.append(f"{name}: {error}")
                continue
            same = came.there == calm.there
            hit = operator.kills > kills
            struck += hit
            about = write.about.replace(f"{road.name}-calm", "NAME")
            table.append(
                f"| {road.name} | {when if hit else 'not reached'} | {at} {about} | "
                f"{'yes' if same else 'no'} | {came.requests} | {len(came.failures)} |"
            )
            if not same:
                wrong.append(f"{name}: {came.there} instead of {calm.there}")
            if came.failures:
                wrong.append(f"{name}: {came.failures[:3]}")
    record_property("writes", len(calm.writes))
    assert wrong + too_few(len(calm.writes), struck) == []


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.long), "after"])
def test_given_half_of_the_requests_at_a_canary_when_the_operator_is_killed_at_a_write_then_nobody_notices(
    cluster: Cluster, host: tuple[HostOperator, WriteProxy], when: When, table: list[str]
) -> None:
    promote = ROADS[0]
    kills = host[0].kills
    name = f"killed-{when}"
    came = gone(cluster, host, promote, name=name, at=1, when=when)
    about = came.writes[1].about.replace(name, "NAME")
    table.append(
        f"| {promote.name} | {when} | 1 {about} | as asked for | {came.requests} | {len(came.failures)} |"
    )
    assert host[0].kills == kills + 1
    assert came.failures == []
    assert came.there["deployments"] == {"r1": 0, "r2": REPLICAS}
    assert came.there["requests"] == [["promote-full", "Done"]]
