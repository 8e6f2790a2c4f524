"""What an analysis asks for, and what it found: the parts of spec and status that `crds/` has for it.

An analysis measures a few metrics again and again while a new revision gets requests, and says whether it may go on.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

ANALYSIS_SECRET = "looma-analysis"  # noqa: S105 - a Secret's name
"""The one Secret that the operator may read: values of headers for HTTP metrics, in each namespace."""

PROBES = "looma-probes"
"""The one ConfigMap that the operator may read: sets of requests with the answers that are right, in each namespace."""

ERROR_RATE = "errorRate"
LATENCY_P95 = "latencyP95"
LATENCY_P99 = "latencyP99"
LATENCY = "latency"
SATURATION = "saturation"
SHADOW_DIFFERENCE = "shadowDifference"
QUANTILES = {LATENCY_P95: 0.95, LATENCY_P99: 0.99}


class Verdict(StrEnum):
    """What one measurement, or all of a metric's, came to. Only Successful lets a rollout go on.

    Suspicious is one measurement alone, never all of a metric's: a comparison that more requests must decide.
    """

    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    SUSPICIOUS = "Suspicious"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common shape: camelCase in the cluster, snake_case here."""


class PrometheusQuery(_Struct, frozen=True, kw_only=True):
    """A query of one's own, which answers one number."""

    query: str


class SecretHeader(_Struct, frozen=True, kw_only=True):
    """A header whose value is a key of the Secret `looma-analysis`."""

    name: str
    secret_key: str


class HttpSource(_Struct, frozen=True, kw_only=True):
    """A JSON document, and the JSON pointer (RFC 6901) of the number in it."""

    url: str
    pointer: str = ""
    header: SecretHeader | None = None


class ProbeSet(_Struct, frozen=True, kw_only=True):
    """Requests with the answers that are right: a key of the ConfigMap `looma-probes`."""

    set: str
    header: SecretHeader | None = None


class JobTemplate(_Struct, frozen=True, kw_only=True):
    """A Job for each measurement: its pod as it was written, its tries beyond the first, and its longest time."""

    pod_spec: dict[str, Any]
    backoff_limit: int = 0
    active_deadline_seconds: int = 300


class Metric(_Struct, frozen=True, kw_only=True):
    """One metric: one of its six sources is set. `max` and `min` are in the source's own unit."""

    name: str
    built_in: str | None = None
    compare: str | None = None
    prometheus: PrometheusQuery | None = None
    http: HttpSource | None = None
    probes: ProbeSet | None = None
    job: JobTemplate | None = None
    max: float | None = None
    min: float | None = None
    false_alarm_percent: float = 0.1

    @property
    def source(self) -> str:
        """Where it comes from, in one word, as the operator's own metrics count it."""
        if self.compare is not None:
            return f"compare{self.compare[:1].upper()}{self.compare[1:]}"
        if self.built_in is not None:
            return self.built_in
        named = {"http": self.http, "probes": self.probes, "job": self.job}
        return next((name for name, source in named.items() if source is not None), "prometheus")


class Analysis(_Struct, frozen=True, kw_only=True):
    """What is measured, how often, and what it takes to go on or to give up."""

    metrics: tuple[Metric, ...] = ()
    interval_seconds: int = 30
    count: int = 5
    initial_delay_seconds: int | None = None
    window_seconds: int = 300
    min_samples: int = 20
    failure_limit: int = 0
    inconclusive_limit: int = 3
    suspicion_limit: int | None = None
    consecutive_error_limit: int = 4

    @property
    def first_after_seconds(self) -> int:
        """How long after its begin it measures first: there must be something to measure."""
        delay = self.initial_delay_seconds
        return self.interval_seconds if delay is None else delay

    @property
    def most_suspicious(self) -> int:
        """How many measurements may be suspicious before a person is asked; where not said twice `count`."""
        return 2 * self.count if self.suspicion_limit is None else self.suspicion_limit


class Measurement(_Struct, frozen=True, kw_only=True):
    """One measurement. `baseline` is what the stable revision had, where it was compared with that."""

    at: datetime
    verdict: Verdict
    value: float | None = None
    baseline: float | None = None
    samples: int | None = None
    message: str = ""


class MetricStatus(_Struct, frozen=True, kw_only=True):
    """What an analysis found of one metric: all of it counted, the last measurements kept."""

    run: str
    metric: str
    revision: str
    verdict: Verdict = Verdict.RUNNING
    message: str = ""
    query: str = ""
    started_at: datetime
    measured_at: datetime | None = None
    ended_at: datetime | None = None
    successful: int = 0
    failed: int = 0
    suspicious: int = 0
    consecutive_suspicious: int = 0
    inconclusive: int = 0
    errors: int = 0
    consecutive_errors: int = 0
    measurements: tuple[Measurement, ...] = ()

    @property
    def number(self) -> int:
        """How many measurements there were."""
        return self.compared + self.inconclusive + self.errors

    @property
    def compared(self) -> int:
        """How many of them had enough to say good or bad by: each was a look that can raise a false alarm."""
        return self.successful + self.failed + self.suspicious
