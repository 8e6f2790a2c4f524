"""Which Services a service's requests go through, and what of them each revision really gets. Pure.

| strategy | has a path | its route leads to                  | NAME-stable selects | Services of revisions |
| -------- | ---------- | ----------------------------------- | ------------------- | --------------------- |
| Rolling  | yes        | NAME-stable                         | all pods            | none                  |
| Rolling  | no         | there is none                       | all pods            | none                  |
| Canary   | yes        | NAME-rN of each revision, by weight | pods of stable      | of each that has pods |
| Canary   | no         | there is none: pods are the weights | all pods            | none                  |

Requests never pass from one set of pods to another by a Service that changes what it selects: gateways would hear of
the new pods at a moment of their own. A revision has a Service for as long as it has pods, a route leads to it with
weight 0 before it gets anything, and what moves are weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..names import GATEWAY_ENGINE, LABEL_REVISION, revision_number
from ..render.common import deployment_name, stable_service_name
from ..render.route import WHOLE, ParentGateway, render_route
from ..resources import BY_WEIGHT, AIService, Json, parse_time
from .canary import decide_achieved
from .children import ROUTE, SERVICE, Action, delete_child
from .observed import Observed, Pods
from .programmed import Programmed
from .rollout import RolloutDecision
from .routes import PathConflict

SETTLED = timedelta(seconds=2)
"""A Service that is older is known with its pods to whoever watches: the endpoints controller needs milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The HTTPRoute or None, the revision to which NAME-stable is limited, and the revisions with a Service.

    wake_after is when a Service will have been there for long enough, in seconds.
    """

    route: Json | None
    only: str | None = None
    with_service: tuple[str, ...] = ()
    wake_after: float | None = None


def is_routed(service: AIService, paths: Sequence[str], *, gateway_api: bool) -> bool:
    """Whether requests reach the service through a gateway."""
    return bool(paths) and gateway_api and service.spec.engine != GATEWAY_ENGINE


def own_paths(service: AIService, conflicts: Sequence[PathConflict]) -> list[str]:
    """Path prefixes of the spec that no other service has."""
    taken = {conflict.path for conflict in conflicts}
    return [path for path in service.spec.route.path_prefixes if path not in taken]


def is_settled(observed: Observed, revision: str, now: datetime) -> bool:
    """Whether the revision's Service has been there for long enough to be led to."""
    name = deployment_name(observed.service.metadata.name, revision)
    child = observed.children.get((SERVICE, name))
    made = parse_time(child["metadata"].get("creationTimestamp")) if child is not None else None
    return made is not None and now - made >= SETTLED


def decide_shares(observed: Observed, *, routed: bool, now: datetime) -> dict[str, float | None]:
    """Percent of the requests that each revision with pods, or with a weight, gets; None where that is unknown.

    | requests come        | answer                                                                     |
    | -------------------- | -------------------------------------------------------------------------- |
    | through no gateway   | what was asked for: with its pods there, Kubernetes gives a revision its part |
    | through Looma's      | what the gateways report                                                   |
    | through another one  | the weights of the route, once its status says that this generation is served |
    """
    status = observed.service.status
    asked = {} if status.rollout is None else {status.rollout.revision: float(status.rollout.weight)}
    if not routed:
        return dict(asked)
    names = {name for name, pods in observed.pods.items() if pods.spec or pods.total} | set(asked)
    if observed.gateways != 0:
        return {
            name: decide_achieved(status.traffic, revision=name, gateways=observed.gateways, now=now).percent
            for name in names
        }
    service = observed.service.metadata.name
    weights = _weights(observed.children.get((ROUTE, service)), service)
    return {name: weights.get(name, 0.0) if weights is not None else None for name in names}


def _weights(route: Json | None, service: str) -> dict[str, float] | None:
    """Percent by revision of a route that some gateway serves as it is now; None where none says so."""
    if route is None:
        return None
    generation = route["metadata"].get("generation", 0)
    served = any(
        condition.get("type") == "Accepted"
        and condition.get("status") == "True"
        and condition.get("observedGeneration") == generation
        for parent in (route.get("status") or {}).get("parents") or []
        for condition in parent.get("conditions") or []
    )
    if not served:
        return None
    backends = _backends_of(route)
    whole = sum(weight for _, weight in backends) or 1
    return {name.removeprefix(f"{service}-"): WHOLE * weight / whole for name, weight in backends}


def decide_routing(
    observed: Observed,
    *,
    decision: RolloutDecision,
    paths: Sequence[str],
    gateway: ParentGateway,
    now: datetime,
) -> Routing:
    """The service's Services and its route; see the module's table.

    Args:
        observed: what was read.
        decision: what the rollout does next.
        paths: path prefixes that are the service's own.
        gateway: the parent of the route.
        now: this moment.
    """
    service = observed.service
    routed = is_routed(service, paths, gateway_api=observed.gateway_api)
    whole = [(stable_service_name(service.metadata.name), WHOLE)]
    if service.spec.rollout.strategy not in BY_WEIGHT or not routed or not decision.weights:
        route = render_route(service, paths=paths, backends=whole, gateway=gateway) if routed else None
        return Routing(route=route)
    names = _with_pods(decision, observed.pods)
    backends = [
        (deployment_name(service.metadata.name, name), decision.weights.get(name, 0)) for name in names
    ]
    there = observed.children.get((ROUTE, service.metadata.name))
    unsettled = [
        name for name in decision.weights if decision.weights[name] and not is_settled(observed, name, now)
    ]
    if unsettled and there is not None and observed.service.status.stable_revision:
        # What leads somewhere goes on to do so until everybody knows the new Services.
        route = render_route(service, paths=paths, backends=_backends_of(there) or whole, gateway=gateway)
    else:
        preview = _preview(observed, decision, now)
        route = render_route(service, paths=paths, backends=backends, gateway=gateway, preview=preview)
    return Routing(
        route=route,
        only=decision.stable or None,
        with_service=names,
        wake_after=SETTLED.total_seconds() if unsettled else None,
    )


def _preview(observed: Observed, decision: RolloutDecision, now: datetime) -> tuple[str, str] | None:
    """The header that leads to a new revision, and its Service, once pods of it can answer."""
    asked, rollout = observed.service.spec.rollout.preview, decision.rollout
    if asked is None or rollout is None or rollout.failed or not decision.stable:
        return None
    pods = observed.pods.get(rollout.revision, Pods())
    if not pods.serving or not is_settled(observed, rollout.revision, now):
        return None
    return asked.header, deployment_name(observed.service.metadata.name, rollout.revision)


def _with_pods(decision: RolloutDecision, pods: Mapping[str, Pods]) -> tuple[str, ...]:
    names = {name for name, state in pods.items() if state.spec or state.total} | set(decision.weights)
    return tuple(sorted(names, key=revision_number))


def _backends_of(route: Json) -> list[tuple[str, int]]:
    rules = route["spec"].get("rules") or []
    return [
        (ref["name"], ref.get("weight", 1)) for ref in (rules[0].get("backendRefs") or [] if rules else [])
    ]


def service_deletions(observed: Observed, routing: Routing, programmed: Programmed) -> list[Action]:
    """Deletions of Services of revisions that have no pods any more, once the route that leads there is history."""
    if routing.route is not None and programmed.status != "True":
        return []
    kept = {deployment_name(observed.service.metadata.name, name) for name in routing.with_service}
    return [
        delete_child(child)
        for (kind, name), child in sorted(observed.children.items())
        if kind == SERVICE and LABEL_REVISION in child["metadata"].get("labels", {}) and name not in kept
    ]
