"""The kill matrix without a kubelet, against the API server's own record of what was written.

As in `chaos/test_kill_matrix.py` each road is gone once undisturbed and once for each write, with SIGKILL just before
that write or just after it; pods and the gateway are played, so the roads take seconds, and what they show of requests
is that the pods that should answer are never fewer. What a proxy counted is compared with the audit log each time: the
API server was asked for what the table says, and for nothing that it does not say.

| road            | begins with                           | somebody asks for | ends with                   |
| --------------- | ------------------------------------- | ----------------- | --------------------------- |
| canary promote  | half of the requests at the canary    | promote-full      | r2 alone                    |
| canary abort    | the same                              | abort             | r1 alone, Degraded          |
| blue-green      | all pods of r2 beside those of r1     | promote           | r2 alone after the delay    |
| rollback        | r2 alone                              | the earlier spec  | r1 alone                    |
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from looma_operator.names import REQUEST
from support.audit import AuditLog
from support.canaries import serves_alone
from support.control_plane import ControlPlane
from support.kill_matrix import keep, too_few
from support.operator_process import Looma, grant, make
from support.operator_routes import GATEWAY, MERGE, route, say
from support.write_proxy import When, Write, WriteProxy, proxying

pytestmark = pytest.mark.control_plane
Object = dict[str, Any]
REPLICAS = 4
LONGEST_SECONDS = 60
CANARY = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}
BLUE_GREEN = {"strategy": "BlueGreen", "scaleDownDelaySeconds": 1}
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


@dataclass
class Proxied:
    """A namespace whose one operator is behind a proxy, and comes back when it is killed."""

    looma: Looma
    proxy: WriteProxy
    user: str
    audit: AuditLog
    kills: int = 0

    def kill(self) -> None:
        """End the operator at once."""
        self.kills += 1
        self.looma.replicas[-1].signal(signal.SIGKILL)

    def play(self, name: str, until: Callable[[], bool], sentence: str, *, floor: int) -> None:
        """Play pods and a gateway, and a kubelet for the operator, until something holds."""

        def step() -> bool:
            if self.looma.replicas[-1].process.poll() is not None:
                self.looma.start(wait=False)
            if route(self.looma, name):
                say(self.looma, name)
            return until()

        self.looma.play(step, sentence, seconds=LONGEST_SECONDS, floor=floor)


@pytest.fixture(scope="module")
def proxied(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("killed")
    looma = make(control_plane, folder)
    user = f"{looma.namespace}-proxied"
    grant(control_plane, looma.namespace, user)
    control_plane.kubeconfig_for(user)
    pki = control_plane.pki.folder
    with proxying(
        server=control_plane.server,
        authority=pki / "ca.crt",
        certificate=(pki / f"{user}.crt", pki / f"{user}.key"),
    ) as proxy:
        kubeconfig = proxy.kubeconfig(folder / "proxied.kubeconfig", namespace=looma.namespace)
        looma.environment["KUBECONFIG"] = str(kubeconfig)
        try:
            looma.start()
            yield Proxied(looma, proxy, user, AuditLog(control_plane.audit))
        finally:
            looma.stop()


@dataclass(frozen=True)
class Road:
    """How a road begins, what somebody asks for, and how it ends: the phase and the only revision with pods."""

    name: str
    rollout: Object
    begins: str
    asks: str
    phase: str
    serves: str


ROADS = [
    Road("canary-promote", CANARY, "halfway", "promote-full", "Ready", "r2"),
    Road("canary-abort", CANARY, "halfway", "abort", "Degraded", "r1"),
    Road("blue-green", BLUE_GREEN, "beside", "promote", "Ready", "r2"),
    Road("rollback", CANARY, "taken over", "the earlier spec", "Ready", "r1"),
]


@dataclass(frozen=True)
class Outcome:
    """What came of one time."""

    writes: list[Write]
    there: Object
    recorded: Counter[tuple[str, str, int]] = field(default_factory=Counter)


def apply(looma: Looma, road: Road, name: str, image: str) -> None:
    code, answer = looma.apply(
        name,
        image=image,
        replicas=REPLICAS,
        rollout=road.rollout,
        route={"pathPrefixes": [f"/api/v1/{name}"]},
    )
    assert code in (200, 201), answer


def ask(looma: Looma, name: str, action: str) -> None:
    request = {"metadata": {"annotations": {REQUEST: json.dumps({"id": action, "action": action})}}}
    assert looma.plane.request("PATCH", looma.path("aiservices", name), request, content_type=MERGE)[0] == 200


def ended(looma: Looma, name: str, phase: str, serves: str) -> bool:
    """Only one revision has pods and requests, and the status says so of the spec as it is."""
    return serves_alone(looma.get(name), looma.counts(name), phase=phase, revision=serves, replicas=REPLICAS)


def waits(looma: Looma, name: str, step: int) -> bool:
    """The canary waits in a step for somebody."""
    canary = looma.status(name).get("canary") or {}
    return canary.get("step") == step and canary.get("waits", "").startswith("somebody")


def there(looma: Looma, name: str) -> Object:
    """All that the operator wrote for the service, without times, versions and the service's own name."""
    selector = f"?labelSelector=app.kubernetes.io/instance%3D{name}"

    def items(plural: str, group: str) -> list[Object]:
        return list(looma.plane.request("GET", looma.path(plural, group=group) + selector)[1]["items"])

    status = looma.status(name)
    seen: Object = {
        "deployments": looma.counts(name),
        "services": {item["metadata"]["name"]: item["spec"]["selector"] for item in items("services", "v1")},
        "rules": route(looma, name)["spec"]["rules"],
        "revisions": sorted(item["metadata"]["name"] for item in items("controllerrevisions", "apps/v1")),
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


def told(write: Write) -> tuple[str, str, int]:
    """A write as the audit log has it: verb, resource with subresource, and the answer's status."""
    parts = write.path.split("/")
    rest = parts[parts.index("namespaces") + 2 :]
    resource = "/".join([rest[0], *rest[2:3]])
    return VERBS[write.method], resource, write.status


def heard(looma: Looma, name: str) -> bool:
    """Whether the service's conditions have what the gateway said of its route last."""
    conditions = {item["type"]: item["status"] for item in looma.status(name).get("conditions", [])}
    return conditions.get("RouteProgrammed") == "True"


def gone(proxied: Proxied, road: Road, name: str, *, at: int = -1, when: When = "before") -> Outcome:
    """Go the road once, with a kill at the write numbered `at`."""
    looma = proxied.looma

    def play(until: Callable[[], bool], sentence: str, floor: int = REPLICAS) -> None:
        proxied.play(name, until, sentence, floor=floor)

    def recorded() -> Counter[tuple[str, str, int]]:
        return Counter(
            (entry.verb, "/".join(part for part in (entry.resource, entry.subresource) if part), entry.status)
            for entry in proxied.audit.read()
            if entry.user == proxied.user and entry.writes and entry.name.split(".")[0].startswith(name)
        )

    apply(looma, road, name, "engine:1")
    play(lambda: ended(looma, name, "Ready", "r1"), "r1 serves", floor=0)
    apply(looma, road, name, "engine:2")
    step = 0 if road.begins == "beside" else 1
    play(lambda: waits(looma, name, step), "it waits for somebody")
    if road.begins == "taken over":
        ask(looma, name, "promote-full")
        play(lambda: ended(looma, name, "Ready", "r2"), "r2 serves")
    strike = proxied.kill if at >= 0 else None
    proxied.proxy.arm(name, at=at, when=when, strike=strike, begin=proxied.audit.skip)
    if road.asks == "the earlier spec":
        apply(looma, road, name, "engine:1")
    else:
        ask(looma, name, road.asks)
    play(lambda: ended(looma, name, road.phase, road.serves), f"{road.serves} alone")
    # An operator that was away reads the gateway's last word after the rest.
    play(lambda: heard(looma, name), "it knows that the gateway took the route")
    # What is told comes after what is done.
    reason = {"Ready": "RolloutCompleted", "Degraded": "RolloutAborted"}[road.phase]
    if at < 0:
        looma.until(
            lambda: any(f"/{reason}" in f"/{event['reason']}" for event in looma.events(name)), "events came"
        )
    wanted = Counter(told(write) for write in proxied.proxy.writes if write.status)
    looma.until(
        lambda: recorded() == Counter(told(write) for write in proxied.proxy.writes if write.status),
        f"the audit log has just what the proxy passed on: {wanted} and not {recorded()}",
        seconds=10,
    )
    came = Outcome(proxied.proxy.disarm(), there(looma, name), recorded())
    take_away(looma, name)
    return came


def take_away(looma: Looma, name: str) -> None:
    """Delete the service, then its children: nobody collects them here, and the next road counts its own pods."""
    assert looma.plane.request("DELETE", looma.path("aiservices", name))[0] == 200
    selector = f"?labelSelector=app.kubernetes.io/instance%3D{name}"
    for plural, group in (
        ("deployments", "apps/v1"),
        ("controllerrevisions", "apps/v1"),
        ("httproutes", GATEWAY),
    ):
        assert looma.plane.request("DELETE", looma.path(plural, group=group) + selector)[0] == 200


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """The lines of the matrix, written beside the other results at the end."""
    lines = ["| road | killed | write | same end | in the audit log |", "| --- | --- | --- | --- | --- |"]
    yield lines
    keep(lines, "kill-matrix-audited.md")


@pytest.mark.long
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.name)
def test_given_a_road_when_the_operator_is_killed_at_any_of_its_writes_then_the_end_is_the_same(
    proxied: Proxied, road: Road, table: list[str]
):
    calm = gone(proxied, road, f"{road.name}-calm")
    table.append(f"| {road.name} | – | {len(calm.writes)} writes | – | {calm.recorded.total()} writes |")
    wrong: list[str] = []
    struck = 0
    for at, write in enumerate(calm.writes):
        for when in ("before", "after"):
            kills, name = proxied.kills, f"{road.name}-{at}{when[0]}"
            came = gone(proxied, road, name, at=at, when=when)  # type: ignore[arg-type]
            hit = proxied.kills > kills
            struck += hit
            about = write.about.replace(f"{road.name}-calm", "NAME")
            same = came.there == calm.there
            table.append(
                f"| {road.name} | {when if hit else 'not reached'} | {at} {about} | {'yes' if same else 'no'} | "
                f"{came.recorded.total()} writes |"
            )
            if not same:
                wrong.append(f"{name}: {came.there} instead of {calm.there}")
    assert wrong + too_few(len(calm.writes), struck) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_given_half_of_the_requests_at_a_canary_when_the_operator_is_killed_then_it_is_promoted_as_recorded(
    proxied: Proxied, when: When, table: list[str]
):
    kills = proxied.kills
    name = f"killed-{when}"
    came = gone(proxied, ROADS[0], name, at=1, when=when)
    about = came.writes[1].about.replace(name, "NAME")
    table.append(f"| canary-promote | {when} | 1 {about} | as asked for | {came.recorded.total()} writes |")
    assert proxied.kills == kills + 1
    assert came.there["deployments"] == {"r1": 0, "r2": REPLICAS}
    assert came.there["requests"] == [["promote-full", "Done"]]
    assert came.recorded.total() > 1
