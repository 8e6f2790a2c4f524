"""The controller's metrics; HAProxy has its own on the port of probes. docs/metrics.md lists them."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Mapping

from looma_core.metrics import Metrics
from looma_engines.gateway.applying import Step
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.traffic import Told

# From one command to a reload on a busy machine, in seconds.
APPLY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class GatewayMetrics:
    """What the controller counts."""

    def __init__(self, metrics: Metrics) -> None:
        """Register them."""
        self._metrics = metrics
        self.reloads = metrics.counter("looma_gateway_reloads_total", "Reloads of HAProxy.", ["result"])
        self.changes = metrics.counter(
            "looma_gateway_changes_total", "Changes that HAProxy was brought to.", ["kind"]
        )
        self.apply_seconds = metrics.histogram(
            "looma_gateway_apply_seconds",
            "From a change that was seen to HAProxy having it.",
            buckets=APPLY_BUCKETS,
        )
        self._endpoints = metrics.gauge(
            "looma_gateway_endpoints", "Pods that HAProxy knows, by Service.", ["service", "state"]
        )
        self._weight = metrics.gauge(
            "looma_gateway_weight", "Percent of a service's requests, by revision.", ["service", "revision"]
        )
        for result in ("done", "refused", "failed"):
            self.reloads.labels(result)

    def count(self, step: Step) -> None:
        """Count what was carried out."""
        if step.reloaded:
            self.reloads.labels("done").inc()
        for kind in step.changes:
            self.changes.labels(kind).inc()

    def show_endpoints(self, plane: DataPlane, up: Mapping[str, int]) -> None:
        """Show the pods of each Service: those that take requests, that drain, and that HAProxy holds for dead."""
        # Services that are gone must not be shown for ever.
        self._endpoints.clear()
        for backend in plane.backends:
            draining = sum(endpoint.draining for endpoint in backend.endpoints)
            alive = up.get(backend.name, 0)
            down = max(0, len(backend.endpoints) - draining - alive)
            count = Count({"up": alive, "draining": draining, "down": down})
            for state, number in count.items():
                self._endpoints.labels(backend.name, state).set(number)

    def show_weights(self, told: list[Told]) -> None:
        """Show each revision's part of the requests."""
        self._weight.clear()
        for one in told:
            for weight in one.weights:
                self._weight.labels(f"{one.namespace}/{one.service}", weight.revision).set(weight.percent)
