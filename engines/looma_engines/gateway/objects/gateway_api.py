"""Gateway API's objects: GatewayClass, Gateway, HTTPRoute, ReferenceGrant."""

from __future__ import annotations

from msgspec import field

from looma_engines.gateway.objects.parts import Json, Metadata, Part, Reference


class ParentReference(Reference, frozen=True, kw_only=True):
    """What a route wants to be attached to."""

    section_name: str | None = None
    port: int | None = None


class Expression(Part, frozen=True, kw_only=True):
    """One requirement of a label selector."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class Selector(Part, frozen=True, kw_only=True):
    """A label selector."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Expression] | None = None


class RouteNamespaces(Part, frozen=True, kw_only=True):
    """From which namespaces routes may be attached: Same, All or Selector."""

    from_: str = field(name="from", default="Same")
    selector: Selector | None = None


class RouteKind(Part, frozen=True, kw_only=True):
    """A kind of route."""

    kind: str = ""
    group: str = "gateway.networking.k8s.io"


class AllowedRoutes(Part, frozen=True, kw_only=True):
    """Which routes a listener takes."""

    namespaces: RouteNamespaces | None = None
    kinds: list[RouteKind] | None = None


class ListenerTls(Part, frozen=True, kw_only=True):
    """Where a listener's certificate is."""

    mode: str = "Terminate"
    certificate_refs: list[Reference] | None = None


class GatewayListener(Part, frozen=True, kw_only=True):
    """A port with a protocol and perhaps a hostname."""

    name: str
    port: int
    protocol: str
    hostname: str = ""
    tls: ListenerTls | None = None
    allowed_routes: AllowedRoutes | None = None


class Infrastructure(Part, frozen=True, kw_only=True):
    """What a Gateway asks of that which carries it."""

    parameters_ref: Json | None = None


class GatewaySpec(Part, frozen=True, kw_only=True):
    """What a Gateway asks for."""

    gateway_class_name: str = ""
    listeners: list[GatewayListener] | None = None
    addresses: list[Json] | None = None
    infrastructure: Infrastructure | None = None
    tls: Json | None = None


class Gateway(Part, frozen=True, kw_only=True):
    """gateway.networking.k8s.io/v1, Gateway."""

    metadata: Metadata
    spec: GatewaySpec = GatewaySpec()
    status: Json | None = None


class GatewayClassSpec(Part, frozen=True, kw_only=True):
    """Who looks after Gateways of the class."""

    controller_name: str = ""


class GatewayClass(Part, frozen=True, kw_only=True):
    """gateway.networking.k8s.io/v1, GatewayClass."""

    metadata: Metadata
    spec: GatewayClassSpec = GatewayClassSpec()
    status: Json | None = None


class PathMatch(Part, frozen=True, kw_only=True):
    """A path and how it is compared."""

    type: str = "PathPrefix"
    value: str = "/"


class ValueMatch(Part, frozen=True, kw_only=True):
    """A header or query parameter and how it is compared."""

    name: str = ""
    value: str = ""
    type: str = "Exact"


class RouteMatch(Part, frozen=True, kw_only=True):
    """One way in which a request fits a rule."""

    path: PathMatch | None = None
    method: str = ""
    headers: list[ValueMatch] | None = None
    query_params: list[ValueMatch] | None = None


class Header(Part, frozen=True, kw_only=True):
    """A header with its value."""

    name: str = ""
    value: str = ""


class HeaderModifier(Part, frozen=True, kw_only=True):
    """Changes of headers."""

    set: list[Header] | None = None
    add: list[Header] | None = None
    remove: list[str] | None = None


class PathModifier(Part, frozen=True, kw_only=True):
    """A change of the path."""

    type: str = ""
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class RequestRedirect(Part, frozen=True, kw_only=True):
    """Where the caller is sent to."""

    scheme: str = ""
    hostname: str = ""
    path: PathModifier | None = None
    port: int | None = None
    status_code: int = 302


class UrlRewrite(Part, frozen=True, kw_only=True):
    """A change of host and path."""

    hostname: str = ""
    path: PathModifier | None = None


class Filter(Part, frozen=True, kw_only=True):
    """One step between a request and its backend."""

    type: str = ""
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_redirect: RequestRedirect | None = None
    url_rewrite: UrlRewrite | None = None


class BackendReference(Reference, frozen=True, kw_only=True):
    """A Service's port and its share of the rule's requests."""

    port: int | None = None
    weight: int = 1
    filters: list[Filter] | None = None


class Timeouts(Part, frozen=True, kw_only=True):
    """How long a request may take, as `1h2m3s4ms`."""

    request: str | None = None
    backend_request: str | None = None


class RouteRule(Part, frozen=True, kw_only=True):
    """Matches, filters and backends."""

    matches: list[RouteMatch] | None = None
    filters: list[Filter] | None = None
    backend_refs: list[BackendReference] | None = None
    timeouts: Timeouts | None = None


class RouteSpec(Part, frozen=True, kw_only=True):
    """What an HTTPRoute asks for."""

    parent_refs: list[ParentReference] | None = None
    hostnames: list[str] | None = None
    rules: list[RouteRule] | None = None


class HttpRoute(Part, frozen=True, kw_only=True):
    """gateway.networking.k8s.io/v1, HTTPRoute."""

    metadata: Metadata
    spec: RouteSpec = RouteSpec()
    status: Json | None = None


class Grantee(Part, frozen=True, kw_only=True):
    """Who may refer: a kind in a namespace."""

    group: str = ""
    kind: str = ""
    namespace: str = ""


class Granted(Part, frozen=True, kw_only=True):
    """What may be referred to: a kind, and perhaps only the object of that name."""

    group: str = ""
    kind: str = ""
    name: str | None = None


class GrantSpec(Part, frozen=True, kw_only=True):
    """Who may refer to what."""

    from_: list[Grantee] | None = field(name="from", default=None)
    to: list[Granted] | None = None


class ReferenceGrant(Part, frozen=True, kw_only=True):
    """gateway.networking.k8s.io/v1beta1, ReferenceGrant."""

    metadata: Metadata
    spec: GrantSpec = GrantSpec()
