"""What translation finds beside the data plane: what holds and what is wrong, for status, and who gets which share.

Pure data. `translate` makes it; `report` turns it into status documents, with what HAProxy really does.
"""

from __future__ import annotations

from typing import Final

import msgspec

from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.objects import ParentReference

GROUP: Final = "gateway.networking.k8s.io"
CONTROLLER: Final = "looma.dev/gateway"
"""How the gateway signs what it writes into status, and what a GatewayClass names to be looked after by it."""

FEATURES: Final = (
    "Gateway",
    "GatewayHTTPListenerIsolation",
    "GatewayPort8080",
    "HTTPRoute",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteSchemeRedirect",
    "ReferenceGrant",
)
"""What of Gateway API the gateway has, by the names and in the order that a GatewayClass's status has them."""


class Finding(msgspec.Struct, frozen=True):
    """A condition without its times."""

    type: str
    holds: bool
    reason: str
    message: str = ""


class ListenerFindings(msgspec.Struct, frozen=True, kw_only=True):
    """A listener of a Gateway. `open` is true if its port takes requests once HAProxy has the configuration."""

    name: str
    kinds: tuple[str, ...] = ()
    attached: int = 0
    open: bool = False
    findings: tuple[Finding, ...] = ()


class GatewayFindings(msgspec.Struct, frozen=True, kw_only=True):
    """A Gateway of ours."""

    namespace: str
    name: str
    generation: int = 0
    findings: tuple[Finding, ...] = ()
    listeners: tuple[ListenerFindings, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    """Type (IPAddress or Hostname) and value."""


class ParentFindings(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a route at one of its parents."""

    reference: ParentReference
    findings: tuple[Finding, ...] = ()


class RouteFindings(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTPRoute; its parents are those of ours."""

    namespace: str
    name: str
    generation: int = 0
    parents: tuple[ParentFindings, ...] = ()


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of an AIService's HTTPRoute.

    `rules` are the names of the data plane's rules that it became, each with the targets `backends` in that order;
    `revisions` are those that the backends serve, empty where nobody says.
    """

    namespace: str
    service: str
    rules: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()


class ClassFindings(msgspec.Struct, frozen=True, kw_only=True):
    """A GatewayClass that names us; `features` are those of Gateway API that its Gateways have, sorted."""

    name: str
    generation: int = 0
    findings: tuple[Finding, ...] = ()
    features: tuple[str, ...] = ()


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """The data plane, and what there is to say about the objects that it came from."""

    plane: DataPlane
    gateway_classes: tuple[ClassFindings, ...] = ()
    gateways: tuple[GatewayFindings, ...] = ()
    routes: tuple[RouteFindings, ...] = ()
    splits: tuple[Split, ...] = ()
    missing: frozenset[str] = frozenset()
    """What the objects refer to and is not there: perhaps not yet, as each kind is watched on its own."""
