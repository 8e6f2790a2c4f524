"""Where a route is attached: which listeners of which Gateways take it, and for which hostnames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from looma_engines.gateway.findings import GROUP, Finding
from looma_engines.gateway.objects import Gateway, HttpRoute, ParentReference
from looma_engines.gateway.translate.hostnames import intersection, left_of
from looma_engines.gateway.translate.listeners import Place
from looma_engines.gateway.translate.selectors import selects_namespace


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """What one parentRef came to.

    `hostnames` are those for which requests are taken, with the pod's ports, and the hostnames that are left out there.
    """

    reference: ParentReference
    accepted: Finding
    listeners: tuple[str, ...] = ()
    hostnames: dict[str, dict[int, tuple[str, ...]]] = field(default_factory=dict)


def parent(reference: ParentReference, namespace: str) -> tuple[str, str] | None:
    """Namespace and name of the Gateway that a parentRef of a route in `namespace` means; None if it means none."""
    if (reference.group or GROUP) != GROUP or (reference.kind or "Gateway") != "Gateway":
        return None
    return reference.namespace or namespace, reference.name


def attach(
    route: HttpRoute, reference: ParentReference, places: Iterable[Place], *, labels: Mapping[str, str]
) -> Attachment:
    """What becomes of the route at a Gateway of ours, whose listeners `places` are; `labels` are its namespace's.

    | listeners of the Gateway                     | Accepted                          |
    | -------------------------------------------- | --------------------------------- |
    | none of that sectionName and port            | False, NoMatchingParent           |
    | none takes HTTPRoutes from its namespace     | False, NotAllowedByListeners      |
    | none has a hostname in common with the route | False, NoMatchingListenerHostname |
    | those that would take it are not open        | False, NoOpenListener             |
    | one takes it                                 | True, Accepted                    |
    """
    named = [
        place
        for place in places
        if reference.section_name in (None, "", place.spec.name) and reference.port in (None, place.spec.port)
    ]
    if not named:
        return _refused(reference, "NoMatchingParent", "The Gateway has no listener of that name and port.")
    allowed = [place for place in named if place.kinds and _allows(place, route.metadata.namespace, labels)]
    if not allowed:
        return _refused(
            reference,
            "NotAllowedByListeners",
            "allowedRoutes of the Gateway's listeners leave routes of this namespace or kind out.",
        )
    taken: dict[str, dict[int, tuple[str, ...]]] = {}
    attached: list[str] = []
    is_open = False
    for place in allowed:
        met = {
            both
            for hostname in route.spec.hostnames or ("",)
            if (both := intersection(place.spec.hostname, hostname)) is not None
        }
        if not met:
            continue
        attached.append(place.spec.name)
        if place.data is not None:
            is_open = True
            for both in met:
                without = left_of(both, place.others)
                if without is not None:
                    taken.setdefault(both, {})[place.data.port] = without
    if not attached:
        return _refused(
            reference, "NoMatchingListenerHostname", "No listener has a hostname in common with the route."
        )
    if not is_open:
        return _refused(
            reference,
            "NoOpenListener",
            f"Not open: {', '.join(attached)}; the Gateway's conditions say why.",
            listeners=tuple(attached),
        )
    return Attachment(
        reference=reference,
        accepted=Finding(
            "Accepted", holds=True, reason="Accepted", message="The gateway takes its requests."
        ),
        listeners=tuple(attached),
        hostnames=taken,
    )


def _refused(
    reference: ParentReference, reason: str, message: str, *, listeners: tuple[str, ...] = ()
) -> Attachment:
    return Attachment(
        reference=reference,
        accepted=Finding("Accepted", holds=False, reason=reason, message=message),
        listeners=listeners,
    )


def _allows(place: Place, namespace: str, labels: Mapping[str, str]) -> bool:
    rules = place.spec.allowed_routes.namespaces if place.spec.allowed_routes is not None else None
    own: Gateway = place.gateway
    if rules is None or rules.from_ == "Same":
        return namespace == own.metadata.namespace
    if rules.from_ == "All":
        return True
    return rules.from_ == "Selector" and selects_namespace(rules.selector, namespace, labels)
