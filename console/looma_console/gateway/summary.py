"""All gateway pods together: what they tell is added up, and what is unknown stays so. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from looma_console.cluster.model import Budget, RateLimit, Service, Shadow
from looma_console.gateway.reader import PodReading
from looma_core.api.gateway import FRESH_SECONDS, Circuit, GatewayTraffic, RevisionTraffic, ServiceTraffic

# The one that an operator must see first.
_WORST: tuple[Circuit, ...] = ("open", "half-open", "closed")
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One gateway pod; `known` is false where it does not answer, or has not seen HAProxy for too long."""

    name: str
    known: bool
    answers: bool


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time to the first byte of an answer, in seconds: at most, for half, 95 and 99 of 100 samples.

    A quantile is None where it is more than all bounds.
    """

    samples: int
    quantiles: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class RevisionSeen:
    """One revision at all pods that are known. `given` is the least and the most that one of them gives, in percent."""

    name: str
    asked: float | None
    given: tuple[float, float] | None
    answered: float
    failed: float
    retried: float
    circuit: Circuit | None
    circuit_pods: int
    openings: int


@dataclass(frozen=True, kw_only=True)
class ServiceSeen:
    """One service with a route. Requests a second; `told` is false where no pod that is known speaks of it."""

    name: str
    prefixes: tuple[str, ...]
    shadow: Shadow | None
    rate_limit: RateLimit | None
    budget: Budget | None
    max_request_bytes: int | None
    max_response_bytes: int | None
    has_breaker: bool
    told: bool
    answered: float
    failed: float
    limited: float
    over_budget: float
    interrupted: float
    callers_over: int
    callers_over_budget: int
    latency: Latency | None
    revisions: tuple[RevisionSeen, ...]

    @property
    def failed_percent(self) -> float:
        """How many of a hundred requests failed."""
        return 100 * self.failed / self.answered if self.answered else 0.0


@dataclass(frozen=True, kw_only=True)
class Picture:
    """All of it."""

    pods: tuple[Pod, ...]
    services: tuple[ServiceSeen, ...]

    @property
    def unknown(self) -> int:
        """How many pods do not say what they do."""
        return sum(not pod.known for pod in self.pods)


def is_known(traffic: GatewayTraffic | None) -> bool:
    """Whether a pod says what it does now.

    | answer             | HAProxy was read | known |
    | ------------------ | ---------------- | ----- |
    | none               |                  | no    |
    | there              | never            | no    |
    | there              | 5 s ago          | yes   |
    | there              | 6 s ago          | no    |
    """
    return traffic is not None and traffic.age_seconds is not None and traffic.age_seconds <= FRESH_SECONDS


def picture(services: Iterable[Service], readings: Iterable[PodReading], *, namespace: str) -> Picture:
    """The map: services with a route, by name, with what the pods that are known tell of them."""
    pods = []
    known: list[GatewayTraffic] = []
    for reading in readings:
        traffic = reading.traffic
        pods.append(
            Pod(
                name=traffic.gateway if traffic else reading.address,
                known=is_known(traffic),
                answers=traffic is not None,
            )
        )
        if traffic is not None and is_known(traffic):
            known.append(traffic)
    of: dict[str, list[tuple[ServiceTraffic, Sequence[float]]]] = defaultdict(list)
    for traffic in known:
        for item in traffic.services:
            if item.namespace == namespace:
                of[item.service].append((item, traffic.bounds))
    return Picture(
        pods=tuple(sorted(pods, key=lambda pod: pod.name)),
        services=tuple(
            _service(service, of.get(service.name, [])) for service in services if service.prefixes
        ),
    )


def quantile(bounds: Sequence[float], counts: Sequence[int], part: float) -> float | None:
    """The time that `part` of the samples do not exceed, within its bound as if they lay there evenly.

    Args:
        bounds: upper bounds in seconds, in order.
        counts: samples up to each bound, and one count more for those above all; at least one sample.
        part: such as 0.95.

    Returns: seconds, or None if it is more than the last bound.
    """
    wanted = part * sum(counts)
    before, low = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and before + count >= wanted:
            return low + (bound - low) * (wanted - before) / count
        before, low = before + count, bound
    return None


def _service(service: Service, told: Sequence[tuple[ServiceTraffic, Sequence[float]]]) -> ServiceSeen:
    revisions: dict[str, list[RevisionTraffic]] = defaultdict(list)
    for item, _ in told:
        for revision in item.revisions:
            revisions[revision.revision].append(revision)
    seen = tuple(_revision(name, items, pods=len(told)) for name, items in sorted(revisions.items()))
    return ServiceSeen(
        name=service.name,
        prefixes=service.prefixes,
        shadow=service.shadow,
        rate_limit=service.rate_limit,
        budget=service.budget,
        max_request_bytes=service.max_request_bytes,
        max_response_bytes=service.max_response_bytes,
        has_breaker=service.circuit_breaker is not None,
        told=bool(told),
        answered=sum(revision.answered for revision in seen),
        failed=sum(revision.failed for revision in seen),
        limited=sum(item.limited for item, _ in told),
        over_budget=sum(item.over_budget for item, _ in told),
        interrupted=sum(item.interrupted for item, _ in told),
        # Pods refuse the same callers, so the sum would count one of them as often as there are pods.
        callers_over=max((item.callers_over for item, _ in told), default=0),
        callers_over_budget=max((item.callers_over_budget for item, _ in told), default=0),
        latency=_latency(told),
        revisions=seen,
    )


def _revision(name: str, items: Sequence[RevisionTraffic], *, pods: int) -> RevisionSeen:
    given = [item.given for item in items if item.given is not None]
    asked = [item.asked for item in items if item.asked is not None]
    circuits: Mapping[Circuit, int] = {
        circuit: sum(item.circuit == circuit for item in items) for circuit in _WORST
    }
    worst = next((circuit for circuit in _WORST if circuits[circuit]), None)
    return RevisionSeen(
        name=name,
        asked=max(asked) if asked else None,
        # A pod that tells of the service and not of its share gives something that is not known.
        given=(min(given), max(given)) if given and len(given) == pods else None,
        answered=sum(item.answered for item in items),
        failed=sum(item.failed for item in items),
        retried=sum(item.retried for item in items),
        circuit=worst,
        circuit_pods=circuits[worst] if worst else 0,
        openings=sum(item.openings for item in items),
    )


def _latency(told: Iterable[tuple[ServiceTraffic, Sequence[float]]]) -> Latency | None:
    """Of all revisions at all pods; pods of another version, with other bounds, are left out."""
    bounds: Sequence[float] = ()
    sums: list[int] = []
    for item, of in told:
        for revision in item.revisions:
            if not revision.seconds or (bounds and of != bounds):
                continue
            bounds = of
            sums = [a + b for a, b in zip(sums or [0] * len(revision.seconds), revision.seconds, strict=True)]
    samples = sum(sums)
    if not samples:
        return None
    return Latency(samples=samples, quantiles=tuple(quantile(bounds, sums, part) for part in QUANTILES))
