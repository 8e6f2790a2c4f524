"""The objects of the Kubernetes API that the gateway reads, with the fields that it reads: pure data.

`read` turns what the API server answers into them. Fields that are not here are passed over; an object whose fields
have other types than their definition says is not read at all. Lists may be null, as the API server writes empty
ones of EndpointSlices.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from looma_engines.gateway.objects.core import (
    EndpointSlice,
    Namespace,
    Secret,
    Service,
    ServicePort,
    SliceEndpoint,
)
from looma_engines.gateway.objects.gateway_api import (
    BackendReference,
    Expression,
    Filter,
    Gateway,
    GatewayClass,
    GatewayListener,
    Header,
    HeaderModifier,
    HttpRoute,
    ParentReference,
    PathModifier,
    ReferenceGrant,
    RouteMatch,
    RouteRule,
    Selector,
    Timeouts,
    ValueMatch,
)
from looma_engines.gateway.objects.looma import AIService, ServiceRoute
from looma_engines.gateway.objects.parts import Json

__all__ = [
    "AIService",
    "BackendReference",
    "EndpointSlice",
    "Expression",
    "Filter",
    "Gateway",
    "GatewayClass",
    "GatewayListener",
    "Header",
    "HeaderModifier",
    "HttpRoute",
    "Json",
    "Namespace",
    "ParentReference",
    "PathModifier",
    "ReferenceGrant",
    "RouteMatch",
    "RouteRule",
    "Secret",
    "Selector",
    "Service",
    "ServicePort",
    "ServiceRoute",
    "SliceEndpoint",
    "Snapshot",
    "Timeouts",
    "ValueMatch",
    "read",
]

ObjectT = TypeVar("ObjectT", bound=msgspec.Struct)


def read(kind: type[ObjectT], document: Json) -> ObjectT:
    """One object as a value of its kind.

    Raises:
        msgspec.ValidationError: if a field has another type than its definition says.
    """
    return msgspec.convert(document, kind)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All objects that were known at one moment, in any order."""

    namespaces: tuple[Namespace, ...] = ()
    gateway_classes: tuple[GatewayClass, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    routes: tuple[HttpRoute, ...] = ()
    grants: tuple[ReferenceGrant, ...] = ()
    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ai_services: tuple[AIService, ...] = ()
