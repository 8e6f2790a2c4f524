"""Kubernetes' own objects: Namespace, Service, EndpointSlice, Secret."""

from __future__ import annotations

from msgspec import field

from looma_engines.gateway.objects.parts import Metadata, Part, Reference


class Namespace(Part, frozen=True, kw_only=True):
    """v1, Namespace: its labels alone matter."""

    metadata: Metadata


class ServicePort(Part, frozen=True, kw_only=True):
    """A port of a Service, and the number or name of the pods' port behind it."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""
    target_port: int | str = 0


class ServiceSpec(Part, frozen=True, kw_only=True):
    """What a Service asks for."""

    type: str = "ClusterIP"
    ports: list[ServicePort] | None = None
    cluster_ip: str = field(name="clusterIP", default="")
    ip_families: list[str] | None = None
    external_ips: list[str] | None = field(name="externalIPs", default=None)


class Ingress(Part, frozen=True, kw_only=True):
    """An address of a load balancer."""

    ip: str = ""
    hostname: str = ""


class LoadBalancer(Part, frozen=True, kw_only=True):
    """The addresses of a load balancer."""

    ingress: list[Ingress] | None = None


class ServiceStatus(Part, frozen=True, kw_only=True):
    """What a Service has."""

    load_balancer: LoadBalancer | None = None


class Service(Part, frozen=True, kw_only=True):
    """v1, Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus | None = None


class EndpointConditions(Part, frozen=True, kw_only=True):
    """How an endpoint is; None where nobody said."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class SliceEndpoint(Part, frozen=True, kw_only=True):
    """The addresses of one pod."""

    addresses: list[str] | None = None
    conditions: EndpointConditions | None = None
    target_ref: Reference | None = None


class SlicePort(Part, frozen=True, kw_only=True):
    """A port of all endpoints of a slice."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(Part, frozen=True, kw_only=True):
    """discovery.k8s.io/v1, EndpointSlice."""

    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: list[SliceEndpoint] | None = None
    ports: list[SlicePort] | None = None


class Secret(Part, frozen=True, kw_only=True):
    """v1, Secret; its data in base64."""

    metadata: Metadata
    data: dict[str, str] | None = None
