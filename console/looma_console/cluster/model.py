"""AIService documents as the pages show them: pure reading, nothing raises on what a status does not say yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from looma_console.cluster.documents import Document, read_time
from looma_console.cluster.rollouts import Analysed, Rollout, read_analysis, read_rollout
from looma_core.api.gateway import FRESH_SECONDS


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of a status. `good` says whether it is what one wishes, not whether it is true."""

    type: str
    status: str
    reason: str
    message: str
    good: bool


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One revision that is kept; in `Service.revisions` the latest active one comes first.

    `state` is Stable, Progressing, Failed or Kept, as the operator says.
    """

    name: str
    image: str
    created_at: dt.datetime | None
    activated_at: dt.datetime | None
    changed_by: str
    reason: str
    replicas: int
    available: int
    state: str


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """The last rollback that the operator recorded."""

    source: str
    target: str
    reason: str
    requested_by: str
    started_at: dt.datetime | None
    completed_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What one gateway pod gives a revision, in percent, as it read it back from its data plane at `observed_at`."""

    gateway: str
    revision: str
    weight: float
    observed_at: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """Requests a second on average, requests at once, and whose are counted together: address, subject or service."""

    requests_per_second: int
    burst: int
    per: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Units that answers may cost in `window_seconds`, and whose are counted together: address, subject or service."""

    units: int
    window_seconds: int
    per: str


@dataclass(frozen=True, kw_only=True)
class CircuitBreaker:
    """Opens for `open_seconds` at `error_percent` of at least `min_requests` in `window_seconds`."""

    error_percent: int
    min_requests: int
    window_seconds: int
    open_seconds: int


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """The service that gets copies of `percent` of the requests with these methods, or `canary` for its own."""

    service: str
    percent: int
    methods: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A new revision's part of the requests, in percent; `achieved` is None while that is unknown."""

    revision: str
    requested: float
    achieved: float | None


@dataclass(frozen=True, kw_only=True)
class Service:
    """One AIService."""

    name: str
    engine: str
    image: str
    phase: str
    paused: bool
    stable_revision: str
    target_revision: str
    desired: int
    ready: int
    updating: bool
    prefixes: tuple[str, ...]
    timeout_seconds: int
    token_required: bool
    roles: tuple[str, ...]
    rate_limit: RateLimit | None
    budget: Budget | None
    max_request_bytes: int | None
    max_response_bytes: int | None
    circuit_breaker: CircuitBreaker | None
    fallback: str
    shadow: Shadow | None
    conditions: tuple[Condition, ...]
    revisions: tuple[Revision, ...]
    canary: Canary | None
    rollout: Rollout | None
    analysis: tuple[Analysed, ...]
    last_rollback: Rollback | None
    traffic: tuple[Traffic, ...]
    resource_version: str

    def keeps(self, revision: str) -> bool:
        """Whether a revision of that name is kept."""
        return any(item.name == revision for item in self.revisions)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One Kubernetes event about an AIService."""

    type: str
    reason: str
    message: str
    service: str
    count: int
    at: dt.datetime | None


DEFAULT_TIMEOUT_SECONDS = 60
AT_REST_SECONDS = 300.0
"""As long as gateways keep the entries of one that says nothing any more."""
# True is bad news for these, good news for all others.
_ADVERSE = {"Degraded", "Paused"}
# Progressing is true while a rollout goes on and after one that worked; neither way is it a warning.
_NEUTRAL = {"Progressing"}
# Nobody is asked to route a service without paths: unknown is no news then.
_UNASKED = {("RouteProgrammed", "NoRoute")}


def read_service(document: Document) -> Service:
    """An AIService as the pages show it."""
    spec: Document = document.get("spec") or {}
    status: Document = document.get("status") or {}
    metadata: Document = document["metadata"]
    route: Document = spec.get("route") or {}
    auth: Document = route.get("auth") or {}
    stable = str(status.get("stableRevision") or "")
    return Service(
        name=str(metadata["name"]),
        engine=str(spec.get("engine", "")),
        image=str(spec.get("image") or ""),
        phase=str(status.get("phase") or "Pending"),
        paused=bool(spec.get("paused")),
        stable_revision=stable,
        target_revision=str(status.get("targetRevision") or stable),
        desired=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas") or 0),
        updating=status.get("observedGeneration") != metadata.get("generation"),
        prefixes=tuple(route.get("pathPrefixes") or ()),
        timeout_seconds=int(route.get("timeoutSeconds") or DEFAULT_TIMEOUT_SECONDS),
        token_required=bool(auth.get("required", True)),
        roles=tuple(auth.get("roles") or ()),
        rate_limit=_rate_limit(route.get("rateLimit")),
        budget=_budget(route.get("budget")),
        max_request_bytes=_bytes(route.get("maxRequestBytes")),
        max_response_bytes=_bytes(route.get("maxResponseBytes")),
        circuit_breaker=_circuit_breaker(route.get("circuitBreaker")),
        fallback=str((route.get("fallback") or {}).get("service", "")),
        shadow=_shadow(route.get("shadow")),
        conditions=tuple(_condition(item) for item in status.get("conditions") or ()),
        revisions=tuple(_revision(item) for item in status.get("revisions") or ()),
        canary=_canary(status.get("canary")),
        rollout=read_rollout(status, spec),
        analysis=read_analysis(status, spec),
        last_rollback=_rollback(status.get("lastRollback")),
        traffic=tuple(_traffic(item) for item in status.get("traffic") or ()),
        resource_version=str(metadata.get("resourceVersion", "")),
    )


def known_traffic(service: Service, *, now: dt.datetime) -> tuple[tuple[Traffic, bool], ...]:
    """What gateways said, and whether it holds at `now`: what is too old is unknown, and never taken for done.

    | the gateway splits requests | its entry is | it holds |
    | --------------------------- | ------------ | -------- |
    | yes, or a rollout goes on   | 5 s old      | yes      |
    | yes, or a rollout goes on   | 6 s old      | no       |
    | no                          | 4 min old    | yes      |
    | no                          | 6 min old    | no       |

    A gateway writes the entries of a split every two seconds; of a route that rests, each four minutes.
    """
    moves = service.target_revision != service.stable_revision
    splits = {
        gateway
        for gateway in {entry.gateway for entry in service.traffic}
        if moves or len({entry.revision for entry in service.traffic if entry.gateway == gateway}) > 1
    }

    def holds(entry: Traffic) -> bool:
        most = FRESH_SECONDS if entry.gateway in splits else AT_REST_SECONDS
        return entry.observed_at is not None and (now - entry.observed_at).total_seconds() <= most

    return tuple((entry, holds(entry)) for entry in service.traffic)


def read_event(document: Document) -> Event:
    """An event as the pages show it; both the old and the new form of times and counts are read."""
    series: Document = document.get("series") or {}
    at = series.get("lastObservedTime") or document.get("lastTimestamp") or document.get("eventTime")
    return Event(
        type=str(document.get("type") or "Normal"),
        reason=str(document.get("reason") or ""),
        message=str(document.get("message") or document.get("note") or ""),
        service=str((document.get("involvedObject") or document.get("regarding") or {}).get("name", "")),
        count=int(series.get("count") or document.get("count") or 1),
        at=read_time(at or document["metadata"].get("creationTimestamp")),
    )


def newest_first(events: Iterable[Event], *, limit: int) -> list[Event]:
    """The newest `limit` events; one without a time counts as oldest."""
    epoch = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(events, key=lambda event: event.at or epoch, reverse=True)[:limit]


def _condition(item: Document) -> Condition:
    kind, status = str(item.get("type", "")), str(item.get("status", "Unknown"))
    unasked = status == "Unknown" and (kind, item.get("reason")) in _UNASKED
    good = unasked or kind in _NEUTRAL or status == ("False" if kind in _ADVERSE else "True")
    return Condition(
        type=kind,
        status=status,
        reason=str(item.get("reason", "")),
        message=str(item.get("message", "")),
        good=good,
    )


def _revision(item: Document) -> Revision:
    return Revision(
        name=str(item.get("name", "")),
        image=str(item.get("image") or ""),
        created_at=read_time(item.get("createdAt")),
        activated_at=read_time(item.get("activatedAt")),
        changed_by=str(item.get("changedBy") or ""),
        reason=str(item.get("reason") or ""),
        replicas=int(item.get("replicas") or 0),
        available=int(item.get("availableReplicas") or 0),
        state=str(item.get("state") or "Kept"),
    )


def _rate_limit(item: Document | None) -> RateLimit | None:
    if not item:
        return None
    rate = int(item.get("requestsPerSecond") or 0)
    return RateLimit(
        requests_per_second=rate, burst=int(item.get("burst") or rate), per=str(item.get("per") or "service")
    )


def _budget(item: Document | None) -> Budget | None:
    if not item:
        return None
    return Budget(
        units=int(item.get("units") or 0),
        window_seconds=int(item.get("windowSeconds") or 60),
        per=str(item.get("per") or "service"),
    )


def _bytes(number: Any) -> int | None:  # noqa: ANN401 - whatever the document has
    return int(number) if number else None


def _circuit_breaker(item: Document | None) -> CircuitBreaker | None:
    if item is None:
        return None
    return CircuitBreaker(
        error_percent=int(item.get("errorPercent") or 50),
        min_requests=int(item.get("minRequests") or 20),
        window_seconds=int(item.get("windowSeconds") or 10),
        open_seconds=int(item.get("openSeconds") or 5),
    )


def _shadow(item: Document | None) -> Shadow | None:
    if item is None:
        return None
    return Shadow(
        service="canary" if item.get("canary") else str(item.get("service", "")),
        percent=int(item.get("percent") or 0),
        methods=tuple(item.get("methods") or ("GET", "HEAD")),
    )


def _traffic(item: Document) -> Traffic:
    return Traffic(
        gateway=str(item.get("gateway", "")),
        revision=str(item.get("revision", "")),
        weight=float(item.get("weight") or 0),
        observed_at=read_time(item.get("observedAt")),
    )


def _canary(item: Document | None) -> Canary | None:
    if not item:
        return None
    weight: Document = item.get("weight") or {}
    achieved = weight.get("achieved")
    return Canary(
        revision=str(item.get("revision", "")),
        requested=float(weight.get("requested") or 0),
        achieved=None if achieved is None else float(achieved),
    )


def _rollback(item: Document | None) -> Rollback | None:
    if not item:
        return None
    return Rollback(
        source=str(item.get("from", "")),
        target=str(item.get("to", "")),
        reason=str(item.get("reason", "")),
        requested_by=str(item.get("requestedBy", "")),
        started_at=read_time(item.get("startedAt")),
        completed_at=read_time(item.get("completedAt")),
    )
