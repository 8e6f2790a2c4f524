"""The snapshot by name, and what of a Service matters here: its endpoints, its revision, the AIService it is of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from looma_engines.gateway.model import Backend, Endpoint
from looma_engines.gateway.objects import (
    AIService,
    EndpointSlice,
    HttpRoute,
    Secret,
    Service,
    ServicePort,
    SliceEndpoint,
    Snapshot,
)

Name = tuple[str, str]
"""Namespace and name."""

REVISION: Final = "looma.dev/revision"
"""Annotation of a Service: the revision that its pods are of."""
SERVICE_PORT: Final = 80
"""Port of the Services that the operator makes."""
_AI_SERVICE = "AIService"
_SLICE_OF = "kubernetes.io/service-name"
_READY_PATH = "/readyz"


@dataclass(frozen=True)
class Index:
    """Services, their slices, AIServices and Secrets by namespace and name, and labels by namespace."""

    services: dict[Name, Service] = field(default_factory=dict)
    slices: dict[Name, list[EndpointSlice]] = field(default_factory=dict)
    ai_services: dict[Name, AIService] = field(default_factory=dict)
    secrets: dict[Name, Secret] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)


def index(snapshot: Snapshot) -> Index:
    """The snapshot by name."""
    slices: dict[Name, list[EndpointSlice]] = defaultdict(list)
    # By name, so that what comes of them does not hang on the order in which they were read.
    for item in sorted(snapshot.slices, key=lambda item: (item.metadata.namespace, item.metadata.name)):
        service = (item.metadata.labels or {}).get(_SLICE_OF)
        if service:
            slices[item.metadata.namespace, service].append(item)
    return Index(
        services={(item.metadata.namespace, item.metadata.name): item for item in snapshot.services},
        slices=dict(slices),
        ai_services={(item.metadata.namespace, item.metadata.name): item for item in snapshot.ai_services},
        secrets={(item.metadata.namespace, item.metadata.name): item for item in snapshot.secrets},
        labels={item.metadata.name: item.metadata.labels or {} for item in snapshot.namespaces},
    )


def owner(item: HttpRoute | Service) -> tuple[str, str] | None:
    """Name and uid of the AIService that the object belongs to, as it says itself."""
    for reference in item.metadata.owner_references or ():
        if reference.kind == _AI_SERVICE and reference.api_version.startswith("looma.dev/"):
            return reference.name, reference.uid
    return None


def revision(service: Service | None) -> str:
    """The revision that a Service's pods are of, or empty."""
    return "" if service is None else (service.metadata.annotations or {}).get(REVISION, "")


def backend_name(namespace: str, service: str, port: int) -> str:
    """Name of a backend; namespaces and Services have no `_` in theirs, so no two share one."""
    return f"{namespace}_{service}_{port}"


def port_of(service: Service, number: int) -> ServicePort | None:
    """The Service's port of that number, over TCP."""
    for port in service.spec.ports or ():
        if port.port == number and port.protocol == "TCP":
            return port
    return None


def make_backend(found: Index, namespace: str, name: str, number: int) -> Backend:
    """The backend of a Service's port; one that is not there has no endpoints."""
    service = found.services.get((namespace, name))
    port = None if service is None else port_of(service, number)
    owned = None if service is None else owner(service)
    endpoints: tuple[Endpoint, ...] = ()
    if service is not None and port is not None:
        endpoints = endpoints_of(service, port.name, found.slices.get((namespace, name), []))
    return Backend(
        name=backend_name(namespace, name, number),
        service=name if owned is None else owned[0],
        endpoints=endpoints,
        # Of a Service that is not Looma's nothing is known but that it takes connections.
        check_path="" if owned is None else _READY_PATH,
    )


def endpoints_of(service: Service, port_name: str, slices: list[EndpointSlice]) -> tuple[Endpoint, ...]:
    """The pods that answer for a Service's port, by address; one that two slices name is there once.

    | ready | serving | terminating | endpoint     |
    | ----- | ------- | ----------- | ------------ |
    | true  | any     | not true    | takes        |
    | false | any     | not true    | left out     |
    | any   | true    | true        | drains       |
    | any   | not true| true        | left out     |

    A pod with addresses of both families has slices of both; those of the Service's first family count.
    """
    families = [item.address_type for item in slices]
    wanted = _family(service, families)
    found: dict[tuple[str, int], Endpoint] = {}
    for item in slices:
        if item.address_type != wanted:
            continue
        ports = [
            port.port
            for port in item.ports or ()
            if (port.name or "") == port_name and port.protocol in (None, "TCP") and port.port
        ]
        for endpoint in item.endpoints or ():
            for number in ports:
                made = _endpoint(endpoint, number)
                if made is None:
                    continue
                before = found.get((made.address, made.port))
                # While a pod moves from one slice to another both may name it: what the newer news says is not known.
                if before is None or before.draining:
                    found[made.address, made.port] = made
    return tuple(found[key] for key in sorted(found))


def _family(service: Service, there: list[str]) -> str:
    for family in service.spec.ip_families or ():
        if family in there:
            return family
    return "IPv4" if "IPv4" in there else "IPv6"


def _endpoint(endpoint: SliceEndpoint, port: int) -> Endpoint | None:
    if not endpoint.addresses:
        return None
    said = endpoint.conditions
    ready = said is None or said.ready is not False
    terminating = said is not None and said.terminating is True
    serving = said is not None and said.serving is True
    if terminating and not serving:
        return None
    if not terminating and not ready:
        return None
    pod = endpoint.target_ref.name if endpoint.target_ref is not None else ""
    return Endpoint(address=endpoint.addresses[0], port=port, draining=terminating, pod=pod)
