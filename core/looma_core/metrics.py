"""Prometheus metrics of one process: a register of its own, so that two apps in one test do not mix.

`looma_http_request_seconds` comes from the engines and not from the gateway, since analysis of a canary needs
histograms per revision. Engines add their own counters through `Metrics.counter`; every name starts with
`looma_`, and docs/metrics.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from looma_core.container import ContainerCollector, Usage, read_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTENT_TYPE = CONTENT_TYPE_LATEST

# From what a keyed read takes to what parsing a long résumé takes, in seconds.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one process.

    Args:
        service: name of the AIService; a label of every request.
        revision: revision of the AIService; a label of every request.
        usage: reads what the container uses.
    """

    def __init__(
        self, *, service: str, revision: str, usage: Callable[[], Usage | None] = read_usage
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._service = service
        self._revision = revision
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(ContainerCollector(service=service, revision=revision, usage=usage))
        self._requests = Histogram(
            "looma_http_request_seconds",
            "Time from the request's first byte to the answer's last, by route.",
            ["service", "revision", "route", "code"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        # label() costs a lock and a lookup; routes and codes are few.
        self._children: dict[tuple[str, int], Histogram] = {}

    def observe_request(self, *, route: str, code: int, seconds: float) -> None:
        """Count one answered request; `route` is the path's template, never the path itself."""
        child = self._children.get((route, code))
        if child is None:
            child = self._requests.labels(self._service, self._revision, route, str(code))
            self._children[route, code] = child
        child.observe(seconds)

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """Make a counter of the engine's own; `name` starts with `looma_` and ends with `_total`."""
        return Counter(name, description, labels, registry=self.registry)

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> Gauge:
        """Make a gauge of the engine's own; `name` starts with `looma_`."""
        return Gauge(name, description, labels, registry=self.registry)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = LATENCY_BUCKETS,
    ) -> Histogram:
        """Make a histogram of the engine's own; `name` starts with `looma_` and ends with its unit."""
        return Histogram(name, description, labels, buckets=buckets, registry=self.registry)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)
