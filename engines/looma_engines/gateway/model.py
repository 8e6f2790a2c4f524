"""What the data plane should be: the one value between the Kubernetes objects and HAProxy.

Pure data. `DataPlane` has two kinds of content: its shape (listeners, rules, policies, keys, which backends there are),
which HAProxy reads at a reload, and its flow (weights and endpoints), which moves at run time without one.
`haproxy.changes` compares two of them by that line.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

WEIGHT_SCALE = 1000
"""Shares of traffic are counted in thousandths: the least share that can be asked for is 0.1 %."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Common shape: a value, compared by content."""


class MatchKind(StrEnum):
    """How a path, a header or a query parameter is compared (Gateway API's HTTPRoute)."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"
    REGEX = "RegularExpression"


class NamedMatch(_Struct, frozen=True, kw_only=True):
    """A header or query parameter that must have a value."""

    name: str
    value: str
    kind: MatchKind = MatchKind.EXACT


class Match(_Struct, frozen=True, kw_only=True):
    """One way in which a request fits a rule: all parts must fit. A prefix fits by whole path segments.

    `ports` are those of the pod at which the request may have come in; none: any.
    """

    path: str = "/"
    path_kind: MatchKind = MatchKind.PREFIX
    method: str = ""
    headers: tuple[NamedMatch, ...] = ()
    query: tuple[NamedMatch, ...] = ()
    ports: tuple[int, ...] = ()


class HeaderChange(_Struct, frozen=True, kw_only=True):
    """Headers that are set (replaced), added to and removed, in that order."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class PathRewrite(_Struct, frozen=True, kw_only=True):
    """A path in another's place: all of it, or only the prefix that matched (`prefix` true)."""

    value: str
    prefix: bool = False


class Redirect(_Struct, frozen=True, kw_only=True):
    """An answer that sends the caller elsewhere; empty parts stay as they were asked for."""

    status: int = 302
    scheme: str = ""
    hostname: str = ""
    port: int | None = None
    path: PathRewrite | None = None


class RateLimitPer(StrEnum):
    """Whose requests are counted together."""

    ADDRESS = "address"
    SUBJECT = "subject"
    SERVICE = "service"


class RateLimit(_Struct, frozen=True, kw_only=True):
    """At most `requests_per_second` on average, and `burst` at once. Summed over all gateway pods."""

    requests_per_second: int
    burst: int
    per: RateLimitPer


class Budget(_Struct, frozen=True, kw_only=True):
    """At most `units` in any `window_seconds`, as engines state them in `cost_header` of their answers.

    What an answer costs is known when it comes, so the last one before the end may go over. Summed over all gateway
    pods.
    """

    units: int
    window_seconds: int
    per: RateLimitPer
    cost_header: str


class CircuitBreaker(_Struct, frozen=True, kw_only=True):
    """Opens where at least `min_requests` in the window were answered and `error_percent` of them failed.

    Open for `open_seconds`, then `trial_requests` are let through: all well closes it, one failure opens it again. A
    failure is a 5xx or no answer; 429 is the caller's.
    """

    window_seconds: int
    min_requests: int
    error_percent: int
    open_seconds: int
    trial_requests: int


class Auth(_Struct, frozen=True, kw_only=True):
    """Whether a valid token is required, and roles of which its holder must have at least one (none: any)."""

    required: bool = False
    roles: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether a token is needed: a list of roles asks for one as well."""
        return self.required or bool(self.roles)


class Shadow(_Struct, frozen=True, kw_only=True):
    """Of the requests with these methods, the engine sends `percent` to the AIService `service` as well.

    With `revision` they go to that one's pods alone, whose backend `spares` makes no copies itself. `ignored` are
    places of the answers, as JSON pointers, whose differences count for nothing.
    """

    service: str
    percent: int
    revision: str = ""
    spares: str = ""
    methods: tuple[str, ...] = ("GET", "HEAD")
    ignored: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """Who gets copies, as engines are told."""
        return f"{self.service}/{self.revision}" if self.revision else self.service


class Policy(_Struct, frozen=True, kw_only=True):
    """What an AIService's `route` says beyond HTTPRoute; `fallback` names a backend."""

    timeout_seconds: int = 60
    max_request_bytes: int | None = None
    max_response_bytes: int | None = None
    retries: int = 0
    auth: Auth = Auth()
    rate_limit: RateLimit | None = None
    budget: Budget | None = None
    circuit_breaker: CircuitBreaker | None = None
    fallback: str = ""
    shadow: Shadow | None = None


class Target(_Struct, frozen=True, kw_only=True):
    """A backend with its share, relative to the other targets of the rule. `backend` empty: the share answers 500."""

    backend: str
    weight: int = 1


class Rule(_Struct, frozen=True, kw_only=True):
    """Requests that fit one of `matches` on one of `hostnames` (none: any; `*.example.org` fits one or more labels).

    Requests for one of `other_hostnames` never fit: they are another listener's.

    `name` is the same for as long as the rule is (namespace, route and position), `service` is the AIService that
    the rule is of, for limits, metrics and logs, or empty.
    """

    name: str
    service: str = ""
    hostnames: tuple[str, ...] = ()
    other_hostnames: tuple[str, ...] = ()
    matches: tuple[Match, ...] = (Match(),)
    targets: tuple[Target, ...] = ()
    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    rewrite_hostname: str = ""
    rewrite_path: PathRewrite | None = None
    policy: Policy = Policy()


class Endpoint(_Struct, frozen=True, kw_only=True):
    """One pod that answers for a backend. A draining one gets no new request and may finish those that it has."""

    address: str
    port: int
    draining: bool = False
    pod: str = ""


class Backend(_Struct, frozen=True, kw_only=True):
    """One Service: `name` is `NAMESPACE_SERVICE_PORT`; `check_path` empty means that a connection is check enough."""

    name: str
    service: str
    endpoints: tuple[Endpoint, ...] = ()
    check_path: str = "/readyz"


class Listener(_Struct, frozen=True, kw_only=True):
    """A port of the address. `certificate` is PEM (chain and key) for HTTPS; `hostname` limits it, empty for any."""

    name: str
    port: int
    hostname: str = ""
    certificate: str = ""


class TokenKey(_Struct, frozen=True, kw_only=True):
    """A public key of the issuer: its id and itself as PEM."""

    id: str
    pem: str


class Tokens(_Struct, frozen=True, kw_only=True):
    """Whose tokens are taken."""

    issuer: str = ""
    audience: str = ""
    keys: tuple[TokenKey, ...] = ()


class Peer(_Struct, frozen=True, kw_only=True):
    """A gateway pod, this one among them, with which counters of limits are shared."""

    name: str
    address: str


class DataPlane(_Struct, frozen=True, kw_only=True):
    """All of it. `rules` come in the order of precedence: the first that fits a request decides.

    `ready` is false until the cluster was read once: then nothing is routed and the pod is not ready.
    """

    ready: bool = False
    pod: str = ""
    listeners: tuple[Listener, ...] = ()
    rules: tuple[Rule, ...] = ()
    backends: tuple[Backend, ...] = ()
    tokens: Tokens = Tokens()
    peers: tuple[Peer, ...] = ()
