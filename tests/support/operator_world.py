"""A cluster in memory for the operator's plans: children are kept as applied, pods come up at each tick.

It stands in for the API server and the controller manager where a test asks thousands of times. Reading goes through
the same functions as in production (`kube.read`), so only HTTP is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from looma_operator.kube import kinds
from looma_operator.kube.read import _pods, _revisions, parse_model, parse_service
from looma_operator.names import LABEL_REVISION, EventReason
from looma_operator.plan.author import Author
from looma_operator.plan.children import Apply, Delete, Notice
from looma_operator.plan.conditions import Refusal
from looma_operator.plan.judging import Reading
from looma_operator.plan.metric import Measured, Order
from looma_operator.plan.models import Fetcher
from looma_operator.plan.nodes import Node
from looma_operator.plan.observed import Observed, Peer
from looma_operator.plan.room import Quota
from looma_operator.plan.service import Plan, conclude, plan
from looma_operator.render.route import ParentGateway
from looma_operator.resources import AIService, AIServiceStatus, format_time, own_status

Object = dict[str, Any]
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def copied(value: Object) -> Object:
    """The same JSON in objects of its own, as a server answers it; several times faster than `copy.deepcopy`."""
    return msgspec.json.decode(msgspec.json.encode(value))


def spec(**changes: Any) -> Object:
    """A spec as the API server stores it, with the definition's defaults."""
    return {
        "engine": "resume",
        "image": "looma-engine:1",
        "replicas": 4,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "route": {"pathPrefixes": ["/api/v1/resumes"], "timeoutSeconds": 60},
        "rollout": {"strategy": "Rolling", "progressDeadlineSeconds": 60},
        "revisionHistoryLimit": 3,
        "rollbackWindow": 3,
        "paused": False,
        **changes,
    }


@dataclass
class World:
    """One AIService and its children; `broken` images never come up, pods of `ill` ones answer no more.

    `answer` is what a measurement reads; it is there by the next tick, and gone with a crash.
    """

    spec: Object = field(default_factory=spec)
    status: Object = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    models: dict[str, Object] = field(default_factory=dict)
    peers: tuple[Peer, ...] = ()
    foreign: frozenset[tuple[str, str]] = frozenset()
    gateway_api: bool = True
    gateways: int | None = 1
    gateway: ParentGateway = field(default_factory=ParentGateway)
    fetcher: Fetcher = field(default_factory=Fetcher)
    broken: set[str] = field(default_factory=set)
    ill: set[str] = field(default_factory=set)
    author: Author = field(default_factory=lambda: Author(name="ada", reason="because", asked_by="ada"))
    now: datetime = START
    generation: int = 1
    notices: list[Notice] = field(default_factory=list)
    answer: Callable[[Order], Reading] = lambda _: Reading(error="not reached: no such host")
    orders: tuple[Order, ...] = ()
    measured: tuple[Measured, ...] = ()
    quotas: tuple[Quota, ...] = ()
    nodes: tuple[Node, ...] | None = None
    writes: int = 0
    _versions: int = 0

    @property
    def service(self) -> AIService:
        """The service as it would be read."""
        return parse_service(
            {
                "metadata": {
                    "name": "resume",
                    "namespace": "looma",
                    "uid": "u1",
                    "resourceVersion": "1",
                    "generation": self.generation,
                    "creationTimestamp": format_time(START),
                    "annotations": self.annotations,
                },
                "spec": self.spec,
                "status": self.status,
            }
        )

    def observe(self) -> Observed:
        """What would be read now."""
        return Observed(
            service=self.service,
            revisions=_revisions(self.children),
            pods=_pods(self.children),
            children={key: copied(child) for key, child in self.children.items()},
            models={name: parse_model(raw) for name, raw in self.models.items()},
            peers=self.peers,
            foreign=self.foreign,
            gateway_api=self.gateway_api,
            gateways=self.gateways,
            measured=self.measured,
            quotas=self.quotas,
            nodes=self.nodes,
        )

    def change(self, **changes: Any) -> None:
        """Apply a changed spec."""
        self.spec = {**self.spec, **changes}
        self.generation += 1

    def install_gateway_api(self, installed: bool) -> None:
        """The cluster serves HTTPRoutes from now on, or does not; without the kind its objects are gone."""
        self.gateway_api = installed
        if not installed:
            self.children.pop((kinds.HTTP_ROUTE.name, "resume"), None)

    def gateway_says(self, **conditions: tuple[str, str, str]) -> None:
        """A gateway writes conditions (status, reason, message) by type, for the route as it is now."""
        route = self.children[kinds.HTTP_ROUTE.name, "resume"]
        route["status"] = {
            "parents": [
                {
                    "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "looma"},
                    "controllerName": "example.org/gateway",
                    "conditions": [
                        {
                            "type": kind,
                            "status": status,
                            "reason": reason,
                            "message": message,
                            "observedGeneration": route["metadata"]["generation"],
                            "lastTransitionTime": format_time(self.now),
                        }
                        for kind, (status, reason, message) in conditions.items()
                    ],
                }
            ]
        }

    def gateway_gives(self, gateway: str, **weights: float) -> None:
        """A gateway pod says what it gives each revision now."""
        kept = [entry for entry in self.status.get("traffic", []) if entry["gateway"] != gateway]
        said = {"gateway": gateway, "observedAt": format_time(self.now)}
        entries = [{**said, "revision": name, "weight": weight} for name, weight in weights.items()]
        self.status = {**self.status, "traffic": [*kept, *entries]}

    def plan(self) -> Plan:
        """The plan that would be made now."""
        return self._plan(self.observe())

    def _plan(self, observed: Observed) -> Plan:
        return plan(
            observed=observed, author=self.author, now=self.now, gateway=self.gateway, fetcher=self.fetcher
        )

    def look(self, *, crash_after: int | None = None, refusals: tuple[Refusal, ...] = ()) -> float | None:
        """One reconcile; with `crash_after`, killed after that many of its writes."""
        observed = self.observe()
        made = self._plan(observed)
        for index, action in enumerate(made.actions):
            if crash_after is not None and index >= crash_after:
                return None
            self._carry_out(action)
        self.measured, self.orders = (), ()
        if crash_after is not None:
            return None
        self.orders = made.orders
        status, notices, wake = conclude(
            made=made, before=observed.service.status, refusals=refusals, now=self.now
        )
        self.notices.extend(notices)
        if status != observed.service.status:
            self.writes += 1
            traffic = {"traffic": self.status["traffic"]} if "traffic" in self.status else {}
            self.status = own_status(status) | traffic
        return wake

    def _carry_out(self, action: Apply | Delete) -> None:
        self.writes += 1
        self._versions += 1
        if isinstance(action, Delete):
            del self.children[action.kind, action.name]
            return
        key = (action.kind, action.name)
        before = self.children.get(key, {})
        child = copied(action.manifest)
        child["metadata"]["resourceVersion"] = str(self._versions)
        child["metadata"]["uid"] = f"uid-{self._versions}"
        child["metadata"]["creationTimestamp"] = before.get("metadata", {}).get(
            "creationTimestamp", format_time(self.now)
        )
        if "status" in before:
            child["status"] = before["status"]
        if child["kind"] == kinds.HTTP_ROUTE.name:
            generation = before.get("metadata", {}).get("generation", 0)
            child["metadata"]["generation"] = generation + (child["spec"] != before.get("spec"))
        self.children[key] = child

    def tick(self, seconds: float = 1) -> None:
        """Time passes, and every pod that can come up is there."""
        self.now += timedelta(seconds=seconds)
        self.measured = tuple(
            Measured(order=order, reading=self.answer(order), at=self.now) for order in self.orders
        )
        for (kind, _), child in self.children.items():
            if kind == kinds.DEPLOYMENT.name:
                wanted = child["spec"]["replicas"]
                image = child["spec"]["template"]["spec"]["containers"][0]["image"]
                before = child.get("status", {}).get("availableReplicas", 0)
                available = min(before, wanted) if image in self.broken else wanted
                available = 0 if image in self.ill else available
                child["status"] = {
                    "replicas": wanted,
                    "readyReplicas": available,
                    "availableReplicas": available,
                }

    def settle(self, rounds: int = 40) -> None:
        """Look and tick until nothing is written any more."""
        for _ in range(rounds):
            before = self.writes
            self.look()
            self.tick()
            if self.writes == before and self._at_rest():
                return
        raise AssertionError(f"not at rest after {rounds} rounds: {self.status}")

    def _at_rest(self) -> bool:
        before = self.writes
        self.look()
        return self.writes == before

    @property
    def serving(self) -> int:
        """Pods that answer, of all revisions."""
        return sum(self.serving_of.values())

    @property
    def serving_of(self) -> dict[str, int]:
        """Pods that answer, by revision."""
        return {name: pods.serving for name, pods in _pods(self.children).items()}

    @property
    def counts(self) -> dict[str, int]:
        """Pods asked for, by revision."""
        return {
            child["metadata"]["labels"][LABEL_REVISION]: child["spec"]["replicas"]
            for (kind, _), child in self.children.items()
            if kind == kinds.DEPLOYMENT.name
        }

    @property
    def read_status(self) -> AIServiceStatus:
        """Status as a typed value."""
        return self.service.status

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = next(item for item in self.status["conditions"] if item["type"] == kind)
        return found["status"], found["reason"]


def reasons(world: World) -> list[EventReason]:
    """Reasons of the events that were told so far."""
    return [notice.reason for notice in world.notices]


def weights(world: World) -> dict[str, int]:
    """What the route gives each Service of those requests that ask for no revision by a header."""
    rule = world.children[kinds.HTTP_ROUTE.name, "resume"]["spec"]["rules"][0]
    return {ref["name"].removeprefix("resume-"): ref["weight"] for ref in rule["backendRefs"]}


def turn(world: World, *, rounds: int = 1, seconds: float = 1) -> None:
    """So many looks, with pods, gateways and what is measured that follow each."""
    for _ in range(rounds):
        world.look()
        _follow(world)
        world.tick(seconds)
        _follow(world)


def _follow(world: World) -> None:
    """The gateway does what the route says, and tells it by revision."""
    if (kinds.HTTP_ROUTE.name, "resume") not in world.children:
        return
    parts = weights(world)
    stable, whole = world.status.get("stableRevision", ""), parts.pop("stable", 0)
    if whole and stable:
        parts[stable] = parts.get(stable, 0) + whole
    world.gateway_gives("gateway-1", **parts)


def ask(world: World, action: str, number: int = 1) -> None:
    """Somebody asks for an action of a rollout by the annotation; another number is another request."""
    request = {"id": f"{action}-{number}", "action": action}
    world.annotations = {"looma.dev/request": json.dumps(request)}
