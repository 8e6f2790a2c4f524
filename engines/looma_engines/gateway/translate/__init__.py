"""From objects of the Kubernetes API to the data plane: pure, the same answer whatever the order of the objects.

translate ── addresses   which address a Gateway has
         ├── listeners   Gateways: ports, certificates, conflicts
         ├── attachment  HTTPRoutes: which listeners take them, for which hostnames
         ├── rules       one rule for each match ── parts    matches and filters
         │                                       ├─ targets  Services and shares
         │                                       ├─ policy   the AIService's route
         │                                       └─ precedence
         └── index       Services, endpoints, owners by name
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from looma_engines.gateway.findings import (
    Finding,
    GatewayFindings,
    ListenerFindings,
    ParentFindings,
    RouteFindings,
    Split,
    Translation,
)
from looma_engines.gateway.model import DataPlane, Peer, Rule, TokenKey, Tokens
from looma_engines.gateway.objects import Gateway, HttpRoute, Snapshot
from looma_engines.gateway.translate.addresses import USUAL, own, shared, values
from looma_engines.gateway.translate.attachment import Attachment, attach, parent
from looma_engines.gateway.translate.index import Index, index, make_backend
from looma_engines.gateway.translate.index import Name as Name
from looma_engines.gateway.translate.index import backend_name as backend_name
from looma_engines.gateway.translate.listeners import Place, class_findings, gateway_finding, places
from looma_engines.gateway.translate.precedence import Key
from looma_engines.gateway.translate.rules import Made, make_rules

__all__ = ["Here", "Name", "backend_name", "translate"]

Ref = tuple[str, str, str]
"""Namespace and name of a Gateway, and a listener of it."""


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """This gateway and its pod, as the pod's environment says. `address` is empty outside of a pod."""

    namespace: str = "looma"
    service: str = "gateway"
    pod: str = "gateway-0"
    address: str = ""
    class_name: str = "looma"
    public_service: str = "looma-gateway"
    issuer: str = ""
    audience: str = ""
    http_port: int = 8080
    https_port: int = 8443


def translate(snapshot: Snapshot, *, here: Here, keys: Sequence[TokenKey]) -> Translation:
    """The data plane that the objects ask for, with what is wrong with them. Never raises: objects are as they are."""
    found = index(snapshot)
    ours, classes = class_findings(snapshot, here.class_name)
    listeners = (
        places(
            snapshot,
            class_name=here.class_name,
            found=found,
            common=shared(
                (here.namespace, here.public_service), http_port=here.http_port, https_port=here.https_port
            ),
            own=own(found, here.namespace),
        )
        if ours
        else []
    )
    by_gateway: dict[Name, list[Place]] = defaultdict(list)
    for place in listeners:
        by_gateway[place.gateway.metadata.namespace, place.gateway.metadata.name].append(place)
    opened = [(place.data, place.spec) for place in listeners if place.data is not None]
    open_ports = frozenset(data.port for data, _ in opened)
    unusual = {data.port: spec.port for data, spec in opened if (spec.port, spec.protocol) not in USUAL}
    attached: Counter[Ref] = Counter()
    routes: list[RouteFindings] = []
    keyed: list[tuple[Key, Rule]] = []
    splits: list[Split] = []
    used: set[tuple[str, str, int]] = set()
    missing: set[str] = set()
    for route in sorted(snapshot.routes, key=lambda item: (item.metadata.namespace, item.metadata.name)):
        at = _attach(route, by_gateway, attached, found)
        if not at:
            continue
        made = make_rules(
            route,
            hostnames=_hostnames(at),
            open_ports=open_ports,
            unusual=unusual,
            found=found,
            grants=snapshot.grants,
            home=here.namespace,
        )
        keyed += made.rules
        splits += made.splits
        if made.rules:
            used |= made.places
            missing |= made.missing
        routes.append(_route_findings(route, at, made))
    names = sorted(used)
    missing |= {
        f"EndpointSlice of {namespace}/{service}"
        for namespace, service, _ in names
        if (namespace, service) not in found.slices
    }
    return Translation(
        plane=DataPlane(
            ready=True,
            pod=here.pod,
            listeners=tuple(place.data for place in listeners if place.data is not None),
            rules=tuple(rule for _, rule in sorted(keyed, key=lambda item: item[0])),
            backends=tuple(make_backend(found, *name) for name in names),
            tokens=Tokens(
                issuer=here.issuer,
                audience=here.audience,
                keys=tuple(sorted(keys, key=lambda key: key.id)),
            ),
            peers=peers(found, here),
        ),
        gateway_classes=classes,
        gateways=tuple(
            _gateway_findings(items[0].gateway, items, attached, found) for items in by_gateway.values()
        ),
        routes=tuple(routes),
        splits=tuple(splits),
        missing=frozenset(missing),
    )


def _attach(
    route: HttpRoute, by_gateway: dict[Name, list[Place]], attached: Counter[Ref], found: Index
) -> list[Attachment]:
    """The route at each of its parents that is ours; counts it at the listeners that take it."""
    at: list[Attachment] = []
    counted: set[Ref] = set()
    for reference in route.spec.parent_refs or ():
        name = parent(reference, route.metadata.namespace)
        if name is None or name not in by_gateway:
            continue
        labels = found.labels.get(route.metadata.namespace, {})
        one = attach(route, reference, by_gateway[name], labels=labels)
        counted |= {(*name, listener) for listener in one.listeners}
        at.append(one)
    attached.update(counted)
    return at


def _hostnames(at: Sequence[Attachment]) -> dict[str, dict[int, tuple[str, ...]]]:
    taken: dict[str, dict[int, tuple[str, ...]]] = defaultdict(dict)
    for one in at:
        for hostname, ports in one.hostnames.items():
            # Of one port and hostname there is one listener, so nothing is said twice in two ways.
            taken[hostname] |= ports
    return dict(taken)


def _route_findings(route: HttpRoute, at: Sequence[Attachment], made: Made) -> RouteFindings:
    """What to say of the route at each parent.

    | rules that ask for what is not known | Accepted                  | PartiallyInvalid         |
    | ------------------------------------ | ------------------------- | ------------------------ |
    | none                                 | as its listeners say      | not there                |
    | some                                 | as its listeners say      | True, UnsupportedValue   |
    | all                                  | False, UnsupportedValue   | not there                |
    """
    wrong = made.unsupported
    parents = []
    for one in at:
        said = [one.accepted, made.resolved]
        if wrong and one.accepted.holds:
            message = " ".join(sorted({error.message for error in wrong}))
            if len(wrong) == made.count:
                said[0] = Finding("Accepted", holds=False, reason=wrong[0].reason, message=message)
            else:
                said.append(
                    Finding(
                        "PartiallyInvalid",
                        holds=True,
                        reason="UnsupportedValue",
                        message=f"Rules that are answered with 500: {len(wrong)}. {message}",
                    )
                )
        parents.append(ParentFindings(reference=one.reference, findings=tuple(said)))
    meta = route.metadata
    return RouteFindings(
        namespace=meta.namespace, name=meta.name, generation=meta.generation, parents=tuple(parents)
    )


def _gateway_findings(
    gateway: Gateway, items: Sequence[Place], attached: Counter[Ref], found: Index
) -> GatewayFindings:
    meta = gateway.metadata
    return GatewayFindings(
        namespace=meta.namespace,
        name=meta.name,
        generation=meta.generation,
        findings=(gateway_finding(gateway, items),),
        listeners=tuple(
            ListenerFindings(
                name=place.spec.name,
                kinds=place.kinds,
                attached=attached[meta.namespace, meta.name, place.spec.name],
                open=place.data is not None,
                findings=place.findings,
            )
            for place in items
        ),
        addresses=values(found, items[0].address.service),
    )


def peers(found: Index, here: Here) -> tuple[Peer, ...]:
    """The gateway's pods, by name, this one among them; none outside of a pod."""
    if not here.address:
        return ()
    known = {here.pod: here.address}
    for item in found.slices.get((here.namespace, f"{here.service}-peers"), ()):
        for endpoint in item.endpoints or ():
            going = endpoint.conditions is not None and endpoint.conditions.terminating is True
            pod = endpoint.target_ref.name if endpoint.target_ref is not None else ""
            if pod and endpoint.addresses and not going:
                known.setdefault(pod, endpoint.addresses[0])
    return tuple(Peer(name=pod, address=known[pod]) for pod in sorted(known))
