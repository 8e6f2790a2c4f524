"""The controller's metrics; HAProxy has its own on the port of probes. docs/metrics.md lists them."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Mapping

from looma_core.api.gateway import Circuit
from looma_core.metrics import LATENCY_BUCKETS, Metrics
from looma_engines.gateway.applying import Step
from looma_engines.gateway.counting import Counts
from looma_engines.gateway.haproxy.readback import CLASSES
from looma_engines.gateway.live import Revision
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.traffic import Pods, Told

# From one command to a reload on a busy machine, in seconds.
APPLY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

# From a refusal by a rule to a token's check on a machine that is short of processors, in seconds.
OWN_BUCKETS = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
CIRCUITS: dict[Circuit, int] = {"closed": 0, "open": 1, "half-open": 2}
NO_ANSWER = "none"


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
        self._attempts = metrics.counter(
            "looma_gateway_attempts_total",
            "Attempts to have a pod answer, by what came of them.",
            ["service", "revision", "code", "retry"],
        )
        self._unserved = metrics.counter(
            "looma_gateway_unserved_total",
            "Requests for which no pod could be asked.",
            ["service", "revision"],
        )
        self._refused = metrics.counter(
            "looma_gateway_refused_total", "Requests that a rule refused.", ["service", "reason"]
        )
        self._callers_over = metrics.gauge(
            "looma_gateway_callers_over",
            "Callers that a limit or a budget refused in the last ten seconds.",
            ["service", "reason"],
        )
        self._circuit = metrics.gauge(
            "looma_gateway_circuit",
            "Circuit breakers: 0 closed, 1 open, 2 half-open.",
            ["service", "revision"],
        )
        self._openings = metrics.counter(
            "looma_gateway_circuit_openings_total",
            "Times that a circuit breaker opened.",
            ["service", "revision"],
        )
        self._token_keys = metrics.gauge(
            "looma_gateway_token_keys", "Keys by which tokens of an issuer are checked.", ["issuer"]
        )
        self._first_byte_seconds = metrics.histogram(
            "looma_gateway_first_byte_seconds",
            "Time to the first byte of a pod's answer, of sampled requests.",
            ["service", "revision"],
            buckets=LATENCY_BUCKETS,
        )
        self._own_seconds = metrics.histogram(
            "looma_gateway_own_seconds",
            "HAProxy's own work on a request and its wait for a turn, of sampled requests.",
            ["service"],
            buckets=OWN_BUCKETS,
        )
        for result in ("done", "refused", "failed"):
            self.reloads.labels(result)

    def count(self, step: Step) -> None:
        """Count what was carried out."""
        if step.reloaded:
            self.reloads.labels("done").inc()
        for kind in step.changes:
            self.changes.labels(kind).inc()

    def show_endpoints(self, plane: DataPlane, up: Pods) -> None:
        """Show the pods of each Service: those that take requests, that drain, and that HAProxy holds for dead."""
        # Services that are gone must not be shown for ever.
        self._endpoints.clear()
        for backend in plane.backends:
            draining = sum(endpoint.draining for endpoint in backend.endpoints)
            alive = sum(up.get(backend.name, {}).values())
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

    def attempts(self, service: str, revision: str, since: Counts) -> None:
        """Count what was attempted since the last time."""
        for name, number in (*zip(CLASSES, since.answered, strict=True), (NO_ANSWER, since.unanswered)):
            self._attempts.labels(service, revision, name, "false").inc(number)
        self._attempts.labels(service, revision, NO_ANSWER, "true").inc(since.retried)
        self._unserved.labels(service, revision).inc(since.unserved)

    def refusals(self, service: str, reason: str, number: int) -> None:
        """Count requests that a limit, a budget or an open circuit refused."""
        self._refused.labels(service, reason).inc(number)

    def openings(self, service: str, revision: str, number: int) -> None:
        """Count how often a circuit opened."""
        self._openings.labels(service, revision).inc(number)

    def sample(self, service: str, revision: str, *, seconds: float, own_seconds: float) -> None:
        """Take a sampled request."""
        self._first_byte_seconds.labels(service, revision).observe(seconds)
        self._own_seconds.labels(service).observe(own_seconds)

    def show_circuits(self, circuits: Mapping[Revision, Circuit]) -> None:
        """Show the state of each circuit breaker that there is."""
        self._circuit.clear()
        for (service, revision), circuit in circuits.items():
            self._circuit.labels(service, revision).set(CIRCUITS[circuit])

    def show_token_keys(self, known: Mapping[str, int]) -> None:
        """Show how many keys are known, by the address of each issuer's key set."""
        for issuer, number in known.items():
            self._token_keys.labels(issuer).set(number)

    def show_callers_over(self, over: Mapping[tuple[str, str], int]) -> None:
        """Show how many callers are over a limit or budget, by service and which: a number, and never who."""
        self._callers_over.clear()
        for (service, reason), number in over.items():
            self._callers_over.labels(service, reason).set(number)
