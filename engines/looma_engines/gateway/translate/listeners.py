"""Gateways: which are ours, and which of their listeners have a port, a certificate and a place of their own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from looma_engines.gateway.findings import CONTROLLER, FEATURES, GROUP, ClassFindings, Finding
from looma_engines.gateway.model import Listener
from looma_engines.gateway.objects import Gateway, GatewayClass, GatewayListener, ReferenceGrant, Snapshot
from looma_engines.gateway.translate.addresses import HTTP, HTTPS, Address
from looma_engines.gateway.translate.hostnames import narrower
from looma_engines.gateway.translate.index import Index, Name
from looma_engines.gateway.translate.selectors import is_granted

_ROUTE = "HTTPRoute"
_RESOLVED = Finding("ResolvedRefs", holds=True, reason="ResolvedRefs", message="All references are good.")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A listener of a Gateway of ours.

    `data` is what the data plane gets of it, None if it cannot be opened; `others` are hostnames within its own that
    are other listeners' of its port, which no route gets by this one.
    """

    gateway: Gateway
    address: Address
    spec: GatewayListener
    kinds: tuple[str, ...]
    findings: tuple[Finding, ...]
    data: Listener | None
    others: tuple[str, ...] = ()


def class_findings(snapshot: Snapshot, class_name: str) -> tuple[bool, tuple[ClassFindings, ...]]:
    """Whether Gateways of that class are ours, and what to say about classes.

    | the class                            | what is said          |
    | ------------------------------------ | --------------------- |
    | names another controller             | nothing               |
    | ours, and of that name               | Accepted              |
    | ours, and of another name            | not Accepted, if no gateway has accepted it |

    A class that is not there, or may not be read, is taken for ours: its name was given to this gateway, and a class
    that is deleted by mistake must not take the traffic with it.
    """
    is_ours = True
    said: list[ClassFindings] = []
    for item in sorted(snapshot.gateway_classes, key=lambda item: item.metadata.name):
        is_named = item.metadata.name == class_name
        if item.spec.controller_name != CONTROLLER:
            is_ours = is_ours and not is_named
        else:
            said.append(_accepted_class(item) if is_named else _refused_class(item))
    return is_ours, tuple(said)


def _accepted_class(item: GatewayClass) -> ClassFindings:
    said = Finding("Accepted", holds=True, reason="Accepted", message="Looma's gateway looks after it.")
    meta = item.metadata
    return ClassFindings(name=meta.name, generation=meta.generation, findings=(said,), features=FEATURES)


def _refused_class(item: GatewayClass) -> ClassFindings:
    said = Finding(
        "Accepted",
        holds=False,
        reason="Unsupported",
        message="No gateway looks after classes of this name; a gateway's own setting names its class.",
    )
    return ClassFindings(name=item.metadata.name, generation=item.metadata.generation, findings=(said,))


def gateway_finding(gateway: Gateway, places: Sequence[Place]) -> Finding:
    """Whether the Gateway as a whole is accepted."""
    spec = gateway.spec
    if spec.addresses:
        return Finding(
            "Accepted",
            holds=False,
            reason="UnsupportedAddress",
            message="spec.addresses: the address is that of the gateway's Service; leave it out.",
        )
    if (spec.infrastructure is not None and spec.infrastructure.parameters_ref) or spec.tls:
        return Finding(
            "Accepted",
            holds=False,
            reason="InvalidParameters",
            message="spec.infrastructure.parametersRef and spec.tls are not known here; leave them out.",
        )
    shut = [place.spec.name for place in places if place.data is None]
    if shut:
        return Finding(
            "Accepted",
            holds=len(shut) < len(places),
            reason="ListenersNotValid",
            message=f"Not open: {', '.join(sorted(shut))}; their conditions say why.",
        )
    return Finding("Accepted", holds=True, reason="Accepted", message="All listeners are valid.")


def places(
    snapshot: Snapshot, *, class_name: str, found: Index, common: Address, own: Mapping[Name, Address]
) -> list[Place]:
    """All listeners of Gateways of the class, the older Gateway first.

    Gateways that are not in `own` share the address `common`.

    | listener                              | condition that does not hold, or Conflicted |
    | ------------------------------------- | ------------------------------------------- |
    | another protocol than HTTP, HTTPS     | Accepted, UnsupportedProtocol               |
    | a port that its address has not       | Accepted, PortUnavailable                   |
    | a port with another protocol already  | Conflicted, ProtocolConflict                |
    | port and hostname of an older Gateway | Conflicted, HostnameConflict                |
    | kinds of routes other than HTTPRoute  | ResolvedRefs, InvalidRouteKinds             |
    | HTTPS without a certificate that fits | ResolvedRefs, InvalidCertificateRef         |
    | a Secret elsewhere, without a grant   | ResolvedRefs, RefNotPermitted               |
    """
    taken: set[tuple[int, str]] = set()
    spoken: dict[int, str] = {}
    made: list[Place] = []
    ours = [item for item in snapshot.gateways if item.spec.gateway_class_name == class_name]
    for gateway in sorted(
        ours,
        key=lambda item: (item.metadata.creation_timestamp, item.metadata.namespace, item.metadata.name),
    ):
        refused = not gateway_finding(gateway, ()).holds
        address = own.get((gateway.metadata.namespace, gateway.metadata.name), common)
        for spec in gateway.spec.listeners or ():
            accepted = _accepted(spec, address)
            pod_port = address.ports.get((spec.port, spec.protocol), 0)
            key = (pod_port, spec.hostname.lower())
            protocol = spoken.get(pod_port, spec.protocol)
            conflict = accepted.holds and (key in taken or protocol != spec.protocol)
            kinds, references, certificate = _references(gateway, spec, found, snapshot.grants)
            usable = accepted.holds and not conflict and not refused
            if usable:
                taken.add(key)
                spoken[pod_port] = spec.protocol
            is_open = usable and bool(kinds) and (spec.protocol == HTTP or bool(certificate))
            made.append(
                Place(
                    gateway=gateway,
                    address=address,
                    spec=spec,
                    kinds=kinds,
                    findings=(accepted, _conflicted(conflict, spec, protocol), references),
                    data=Listener(
                        name=f"{gateway.metadata.namespace}_{gateway.metadata.name}_{spec.name}",
                        port=pod_port,
                        hostname=spec.hostname.lower(),
                        certificate=certificate,
                    )
                    if is_open
                    else None,
                )
            )
    return [_with_others(place, taken) for place in made]


def _with_others(place: Place, taken: Iterable[tuple[int, str]]) -> Place:
    """The listener, with the hostnames of others, which have them though a bad certificate may keep them shut."""
    if place.data is None:
        return place
    known = [hostname for port, hostname in taken if port == place.data.port]
    return replace(place, others=narrower(known, place.data.hostname))


def _accepted(spec: GatewayListener, address: Address) -> Finding:
    if spec.protocol not in (HTTP, HTTPS):
        message = f"Protocol {spec.protocol}: write HTTP or HTTPS."
        return Finding("Accepted", holds=False, reason="UnsupportedProtocol", message=message)
    if (spec.port, spec.protocol) not in address.ports:
        message = address.refusal(spec.port, spec.protocol)
        return Finding("Accepted", holds=False, reason="PortUnavailable", message=message)
    if spec.protocol == HTTPS and (spec.tls is None or spec.tls.mode != "Terminate"):
        message = "HTTPS without tls.mode Terminate: the gateway passes no TLS through."
        return Finding("Accepted", holds=False, reason="UnsupportedProtocol", message=message)
    return Finding("Accepted", holds=True, reason="Accepted", message="Port and protocol are there.")


def _conflicted(conflict: bool, spec: GatewayListener, protocol: str) -> Finding:
    if conflict and protocol != spec.protocol:
        message = f"A listener before this one has port {spec.port} for {protocol}: write another port."
        return Finding("Conflicted", holds=True, reason="ProtocolConflict", message=message)
    if conflict:
        message = "An older Gateway has this port with this hostname: write another hostname."
        return Finding("Conflicted", holds=True, reason="HostnameConflict", message=message)
    return Finding(
        "Conflicted", holds=False, reason="NoConflicts", message="No other listener is in the way."
    )


def _references(
    gateway: Gateway, spec: GatewayListener, found: Index, grants: Iterable[ReferenceGrant]
) -> tuple[tuple[str, ...], Finding, str]:
    """Kinds of routes that are taken, whether all that is referred to was found, and the certificate."""
    asked = spec.allowed_routes.kinds if spec.allowed_routes is not None else None
    known = not asked or any(kind.group == GROUP and kind.kind == _ROUTE for kind in asked)
    kinds = (_ROUTE,) if known and spec.protocol in (HTTP, HTTPS) else ()
    if asked and any(kind.group != GROUP or kind.kind != _ROUTE for kind in asked):
        wrong = Finding(
            "ResolvedRefs",
            holds=False,
            reason="InvalidRouteKinds",
            message="allowedRoutes.kinds: the gateway knows HTTPRoute alone.",
        )
        return kinds, wrong, _certificate(gateway, spec, found, grants)[0]
    certificate, finding = _certificate(gateway, spec, found, grants)
    return kinds, finding, certificate


def _certificate(
    gateway: Gateway, spec: GatewayListener, found: Index, grants: Iterable[ReferenceGrant]
) -> tuple[str, Finding]:
    if spec.protocol != HTTPS:
        return "", _RESOLVED
    references = spec.tls.certificate_refs if spec.tls is not None else None
    if not references or len(references) > 1:
        return "", _bad("tls.certificateRefs: write one Secret.")
    (reference,) = references
    if (reference.group or "") != "" or (reference.kind or "Secret") != "Secret":
        return "", _bad(f"{reference.kind} {reference.name}: write a Secret.")
    own = gateway.metadata.namespace
    namespace, name = reference.namespace or own, reference.name
    if not is_granted(
        grants, kind="Gateway", namespace=own, to_kind="Secret", to_namespace=namespace, to_name=name
    ):
        message = f"Secret {namespace}/{name}: no ReferenceGrant there permits this Gateway."
        return "", _bad(message, reason="RefNotPermitted")
    data = secret.data if (secret := found.secrets.get((namespace, name))) is not None else None
    pem = pem_of(data.get("tls.crt", ""), data.get("tls.key", "")) if data else ""
    if not pem:
        message = "does not exist, may not be read, or has no certificate and key that fit together."
        return "", _bad(f"Secret {namespace}/{name} {message}")
    return pem, _RESOLVED


def _bad(message: str, *, reason: str = "InvalidCertificateRef") -> Finding:
    return Finding("ResolvedRefs", holds=False, reason=reason, message=message)


@lru_cache(maxsize=32)
def pem_of(certificate: str, key: str) -> str:
    """Chain and key as one PEM, from their base64; empty if they are not what they should be."""
    try:
        chain, private = base64.b64decode(certificate, validate=True), base64.b64decode(key, validate=True)
        first = x509.load_pem_x509_certificates(chain)[0]
        ours = load_pem_private_key(private, password=None).public_key()
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if first.public_key().public_bytes(*form) != ours.public_bytes(*form):
            return ""
        return f"{chain.decode().strip()}\n{private.decode().strip()}\n"
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm, binascii.Error):
        return ""


def secrets_wanted(snapshot: Snapshot, class_name: str) -> set[tuple[str, str]]:
    """Namespace and name of the Secrets that Gateways of the class refer to: they are read one by one."""
    return {
        (reference.namespace or gateway.metadata.namespace, reference.name)
        for gateway in snapshot.gateways
        if gateway.spec.gateway_class_name == class_name
        for spec in gateway.spec.listeners or ()
        if spec.tls is not None
        for reference in spec.tls.certificate_refs or ()
        if reference.kind in (None, "Secret") and reference.name
    }
