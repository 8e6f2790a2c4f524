"""Objects of the Kubernetes API as a gateway reads them, short to write: plain documents, and snapshots of them."""

from __future__ import annotations

import base64
import datetime as dt
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from looma_engines.gateway import objects as kinds
from looma_engines.gateway.objects import Snapshot, read

Object = dict[str, Any]
HOME = "looma"
API = "gateway.networking.k8s.io/v1"
_FIELDS: dict[str, tuple[str, Any]] = {
    "Namespace": ("namespaces", kinds.Namespace),
    "GatewayClass": ("gateway_classes", kinds.GatewayClass),
    "Gateway": ("gateways", kinds.Gateway),
    "HTTPRoute": ("routes", kinds.HttpRoute),
    "ReferenceGrant": ("grants", kinds.ReferenceGrant),
    "Service": ("services", kinds.Service),
    "EndpointSlice": ("slices", kinds.EndpointSlice),
    "Secret": ("secrets", kinds.Secret),
    "AIService": ("ai_services", kinds.AIService),
}


def snapshot(*documents: Object) -> Snapshot:
    """What a gateway knows of these objects."""
    found: dict[str, list[Any]] = {field: [] for field, _ in _FIELDS.values()}
    for document in documents:
        field, kind = _FIELDS[document["kind"]]
        found[field].append(read(kind, document))
    return Snapshot(**{field: tuple(items) for field, items in found.items()})


def _object(kind: str, name: str, namespace: str, api: str, **more: Any) -> Object:
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2025-01-01T00:00:00Z",
    }
    return {"apiVersion": api, "kind": kind, "metadata": meta, **more}


def listener(name: str = "http", port: int = 80, protocol: str = "HTTP", **more: Any) -> Object:
    """A listener that takes routes of its own namespace."""
    return {"name": name, "port": port, "protocol": protocol, **more}


def https(name: str = "https", *, of: str = "tls", **more: Any) -> Object:
    """A listener with a certificate."""
    return listener(name, 443, "HTTPS", tls={"certificateRefs": [{"name": of}]}, **more)


def gateway(
    *listeners: Object, name: str = "looma", namespace: str = HOME, class_name: str = "looma", **more: Any
) -> Object:
    """A Gateway of ours."""
    spec = {"gatewayClassName": class_name, "listeners": list(listeners or (listener(),)), **more}
    return _object("Gateway", name, namespace, API, spec=spec)


def gateway_class(name: str = "looma", controller: str = "looma.dev/gateway") -> Object:
    """A GatewayClass."""
    return _object("GatewayClass", name, "", API, spec={"controllerName": controller})


def namespace(name: str, **labels: str) -> Object:
    """A Namespace with these labels."""
    made = _object("Namespace", name, "", "v1")
    made["metadata"]["labels"] = labels
    return made


def match(path: str = "/", kind: str = "PathPrefix", **more: Any) -> Object:
    """A match by path."""
    return {"path": {"type": kind, "value": path}, **more}


def to(service: str, weight: int = 1, port: int = 80, **more: Any) -> Object:
    """A backendRef."""
    return {"name": service, "port": port, "weight": weight, **more}


def rule(*backends: Object, matches: list[Object] | None = None, **more: Any) -> Object:
    """A rule of an HTTPRoute."""
    return {"matches": matches or [match()], "backendRefs": list(backends), **more}


def route(
    *rules: Object,
    name: str = "resume",
    namespace: str = HOME,
    parents: list[Object] | None = None,
    hostnames: list[str] | None = None,
    of: str = "",
    created: str = "2025-01-01T00:00:00Z",
) -> Object:
    """An HTTPRoute at the Gateway `looma`; `of` is the AIService that it belongs to."""
    spec = {
        "parentRefs": parents if parents is not None else [{"name": "looma", "namespace": HOME}],
        "hostnames": hostnames or [],
        "rules": list(rules) or [rule(to("resume-stable"))],
    }
    made = _object("HTTPRoute", name, namespace, API, spec=spec)
    made["metadata"]["creationTimestamp"] = created
    if of:
        made["metadata"]["ownerReferences"] = [owner(of)]
    return made


def owner(name: str) -> Object:
    """A reference to the AIService that something belongs to."""
    return {"apiVersion": "looma.dev/v1alpha1", "kind": "AIService", "name": name, "uid": f"uid-{name}"}


def service(
    name: str = "resume-stable",
    *,
    namespace: str = HOME,
    of: str = "",
    revision: str = "",
    ports: list[Object] | None = None,
    **spec: Any,
) -> Object:
    """A Service with the port 80; `of` is the AIService that it belongs to."""
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}] if ports is None else ports
    made = _object("Service", name, namespace, "v1", spec={"ports": ports, **spec})
    if of:
        made["metadata"]["ownerReferences"] = [owner(of)]
        made["metadata"]["labels"] = {"app.kubernetes.io/part-of": "looma"}
    if revision:
        made["metadata"]["annotations"] = {"looma.dev/revision": revision}
    return made


def endpoint(address: str, pod: str = "", **conditions: bool) -> Object:
    """An endpoint; ready where nothing else is said."""
    return {
        "addresses": [address],
        "conditions": {"ready": True, **conditions},
        "targetRef": {"kind": "Pod", "name": pod or f"pod-{address}"},
    }


def address_of(gateway_name: str, *ports: tuple[int, int | str], name: str = "", **spec: Any) -> Object:
    """The Service that is the address of a Gateway (`NAMESPACE/NAME`), with ports and target ports."""
    listed = [
        {"name": f"p{number}", "port": number, "targetPort": target, "protocol": "TCP"}
        for number, target in ports
    ]
    made = service(name or "at-" + gateway_name.replace("/", "-"), ports=listed, **spec)
    made["metadata"]["annotations"] = {"looma.dev/address-of": gateway_name}
    return made


def slice_of(
    name: str,
    *endpoints: Object,
    part: str = "a",
    port: int = 8080,
    port_name: str = "http",
    family: str = "IPv4",
    namespace: str = HOME,
) -> Object:
    """An EndpointSlice of a Service."""
    made = _object(
        "EndpointSlice",
        f"{name}-{part}",
        namespace,
        "discovery.k8s.io/v1",
        addressType=family,
        endpoints=list(endpoints),
        ports=[{"name": port_name, "port": port, "protocol": "TCP"}],
    )
    made["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    return made


def ai_service(name: str = "resume", *, namespace: str = HOME, **route: Any) -> Object:
    """An AIService with these fields of its route."""
    spec = {"engine": "custom", "image": "engine:1", "route": route}
    return _object("AIService", name, namespace, "looma.dev/v1alpha1", spec=spec)


def grant(
    *, namespace: str, by: str, kind: str = "HTTPRoute", to_kind: str = "Service", name: str | None = None
) -> Object:
    """A ReferenceGrant in `namespace` for objects of a kind in namespace `by`."""
    granted: Object = {"group": "", "kind": to_kind}
    if name is not None:
        granted["name"] = name
    spec = {
        "from": [{"group": "gateway.networking.k8s.io", "kind": kind, "namespace": by}],
        "to": [granted],
    }
    return _object("ReferenceGrant", "grant", namespace, "gateway.networking.k8s.io/v1beta1", spec=spec)


@cache
def pem(name: str = "example.org", *, bits: int = 0) -> tuple[str, str]:
    """A certificate and its key: an elliptic one, or an RSA key of that many bits."""
    key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def secret(name: str = "tls", *, namespace: str = HOME, certificate: str = "", key: str = "") -> Object:
    """A Secret with a certificate."""
    good_certificate, good_key = pem()
    data = {"tls.crt": certificate or good_certificate, "tls.key": key or good_key}
    encoded = {field: base64.b64encode(text.encode()).decode() for field, text in data.items()}
    return _object("Secret", name, namespace, "v1", data=encoded)


def small_world(**of_route: Any) -> list[Object]:
    """One Gateway, one AIService with its Service and a pod, and its route."""
    return [
        gateway_class(),
        gateway(),
        ai_service(**of_route),
        service(of="resume", revision="r1"),
        slice_of("resume-stable", endpoint("10.0.0.1")),
        route(of="resume"),
    ]
