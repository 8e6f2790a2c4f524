"""From the backendRefs of a rule to its targets, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from looma_engines.gateway.findings import Finding
from looma_engines.gateway.model import Target
from looma_engines.gateway.objects import BackendReference, ReferenceGrant, RouteRule
from looma_engines.gateway.translate.index import Index, backend_name, port_of, revision
from looma_engines.gateway.translate.selectors import is_granted

_NOT_SPOKEN = {"kubernetes.io/h2c", "kubernetes.io/wss", "https", "grpc", "tls"}

Place = tuple[str, str, int]
"""Namespace, Service and port."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The targets of a rule, the places of their backends, the revisions there, and the first thing wrong."""

    targets: tuple[Target, ...] = ()
    places: tuple[Place, ...] = ()
    revisions: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    wrong: Finding | None = None


def _wrong(reason: str, message: str) -> Finding:
    return Finding("ResolvedRefs", holds=False, reason=reason, message=message)


def resolve(
    reference: BackendReference, *, namespace: str, found: Index, grants: Iterable[ReferenceGrant]
) -> Place | Finding:
    """The Service's port that a backendRef of a route in `namespace` means, or what is wrong with it.

    | reference                                       | answer               |
    | ----------------------------------------------- | -------------------- |
    | another kind than a Service, or without a port  | InvalidKind          |
    | another namespace, and no ReferenceGrant there  | RefNotPermitted      |
    | no such Service, no such port, an ExternalName  | BackendNotFound      |
    | a port of a protocol that is not spoken         | UnsupportedProtocol  |
    """
    if (reference.group or "") != "" or (reference.kind or "Service") != "Service" or not reference.port:
        kind = reference.kind or "Service"
        return _wrong("InvalidKind", f"{kind} {reference.name}: write a Service with a port.")
    to = reference.namespace or namespace
    if not is_granted(
        grants,
        kind="HTTPRoute",
        namespace=namespace,
        to_kind="Service",
        to_namespace=to,
        to_name=reference.name,
    ):
        return _wrong(
            "RefNotPermitted",
            f"Service {to}/{reference.name}: no ReferenceGrant there permits HTTPRoutes of {namespace}.",
        )
    service = found.services.get((to, reference.name))
    if service is None or service.spec.type == "ExternalName":
        return _wrong("BackendNotFound", f"Service {to}/{reference.name} does not exist.")
    port = port_of(service, reference.port)
    if port is None:
        return _wrong("BackendNotFound", f"Service {to}/{reference.name} has no TCP port {reference.port}.")
    if port.app_protocol in _NOT_SPOKEN:
        return _wrong(
            "UnsupportedProtocol",
            f"Service {to}/{reference.name} speaks {port.app_protocol}; the gateway speaks HTTP/1.1 to backends.",
        )
    return to, reference.name, reference.port


def targets(rule: RouteRule, *, namespace: str, found: Index, grants: Iterable[ReferenceGrant]) -> Targets:
    """The rule's targets in the order of its backendRefs; what cannot be resolved keeps its share and answers 500.

    One Service that is named twice is one target with both shares. Where all shares are 0 every request gets 500, as
    Gateway API says.
    """
    shares: dict[str, int] = {}
    places: dict[str, Place] = {}
    revisions: dict[str, str] = {}
    missing: set[str] = set()
    wrong: Finding | None = None
    for reference in rule.backend_refs or ():
        place = resolve(reference, namespace=namespace, found=found, grants=grants)
        name = ""
        if isinstance(place, Finding):
            wrong = wrong or place
            if place.reason == "BackendNotFound":
                missing.add(f"Service {reference.namespace or namespace}/{reference.name}")
        else:
            name = backend_name(*place)
            places[name] = place
            revisions[name] = revision(found.services.get(place[:2]))
        shares[name] = shares.get(name, 0) + max(0, reference.weight)
    if shares and not any(shares.values()):
        shares, revisions = {"": 1}, {}
    return Targets(
        targets=tuple(Target(backend=name, weight=share) for name, share in shares.items()),
        places=tuple(places.values()),
        revisions=tuple(revisions.get(name, "") for name in shares),
        missing=frozenset(missing),
        wrong=wrong,
    )
