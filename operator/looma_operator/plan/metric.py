"""One metric of an analysis: when it is measured next, and what all its measurements come to. Pure.

| measurements so far                                      | verdict      |
| -------------------------------------------------------- | ------------ |
| more failed than failureLimit                            | Failed       |
| more errors in a row than consecutiveErrorLimit          | Error        |
| more inconclusive than inconclusiveLimit                 | Inconclusive |
| more suspicious than suspicionLimit                      | Inconclusive |
| as many successful as count                              | Successful   |
| anything else, also none                                 | Running      |

Without a count, as in the background, it runs until the rollout ends, and only suspicious ones in a row come to more
than suspicionLimit: a day of looks has some by chance. The first that holds, from the top, is final: an ended metric
is measured no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from ..resources import Json
from ..resources_analysis import Analysis, Measurement, Metric, MetricStatus, Verdict
from .comparing import level_for
from .judging import Case, Reading, judge
from .queries import Scene, resolve

KEPT_MEASUREMENTS = 10
LITTLE_LATER = 0.05


@dataclass(frozen=True, kw_only=True)
class Order:
    """A measurement to make: the `number`th (from 0) of a metric of a run that began at `started_at`.

    `query` is the resolved query or address; `job` the Job that measures, whose end may take many looks.
    """

    run: str
    metric: Metric
    started_at: datetime
    number: int
    query: str
    job: Json | None = None

    @property
    def identity(self) -> tuple[str, str, datetime, int]:
        """What tells it from all others of the service; an order whose window has moved on is the same."""
        return self.run, self.metric.name, self.started_at, self.number


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An order that was carried out, when, and what came of it."""

    order: Order
    reading: Reading
    at: datetime


def verdict_of(entry: MetricStatus, *, spec: Analysis, count: int | None) -> Verdict:
    """What a metric's measurements come to; see the module's table."""
    if entry.failed > spec.failure_limit:
        return Verdict.FAILED
    if entry.consecutive_errors > spec.consecutive_error_limit:
        return Verdict.ERROR
    if entry.inconclusive > spec.inconclusive_limit:
        return Verdict.INCONCLUSIVE
    suspicious = entry.consecutive_suspicious if count is None else entry.suspicious
    if suspicious > spec.most_suspicious:
        return Verdict.INCONCLUSIVE
    # Not a count of nothing: without a good measurement there is no success.
    return Verdict.SUCCESSFUL if count is not None and entry.successful >= max(1, count) else Verdict.RUNNING


def seconds_until_due(entry: MetricStatus, *, spec: Analysis, now: datetime) -> float:
    """How long until the next measurement; 0 or less if it is due."""
    due = (
        entry.started_at + timedelta(seconds=spec.first_after_seconds)
        if entry.measured_at is None
        else entry.measured_at + timedelta(seconds=spec.interval_seconds)
    )
    return (due - now).total_seconds()


def window_of(entry: MetricStatus, *, spec: Analysis, now: datetime) -> int:
    """Over how many seconds built-in metrics look back: what the analysis has seen, and no further than it says."""
    seen = int((now - entry.started_at).total_seconds())
    return max(1, min(spec.window_seconds, seen))


def order_for(metric: Metric, entry: MetricStatus, scene: Scene) -> Order:
    """The next measurement of a metric."""
    return Order(
        run=entry.run,
        metric=metric,
        started_at=entry.started_at,
        number=entry.number,
        query=resolve(metric, scene),
    )


def with_measured(
    entry: MetricStatus,
    measured: Measured,
    *,
    spec: Analysis,
    count: int | None,
    stable: str,
) -> MetricStatus:
    """The entry with one more measurement, judged."""
    metric = measured.order.metric
    looks = None if count is None else count + spec.failure_limit + spec.most_suspicious
    measurement = judge(
        metric,
        measured.reading,
        Case(
            revision=entry.revision,
            stable=stable,
            min_samples=spec.min_samples,
            level=level_for(
                false_alarm=metric.false_alarm_percent / 100,
                look=entry.compared + 1,
                looks=looks,
            ),
            at=measured.at,
        ),
    )
    counted = _counted(entry, measurement)
    verdict = verdict_of(counted, spec=spec, count=count)
    return msgspec.structs.replace(
        counted,
        query=measured.order.query,
        verdict=verdict,
        message=measurement.message,
        ended_at=None if verdict is Verdict.RUNNING else measured.at,
    )


def _counted(entry: MetricStatus, measurement: Measurement) -> MetricStatus:
    verdict = measurement.verdict
    return msgspec.structs.replace(
        entry,
        measured_at=measurement.at,
        successful=entry.successful + (verdict is Verdict.SUCCESSFUL),
        failed=entry.failed + (verdict is Verdict.FAILED),
        suspicious=entry.suspicious + (verdict is Verdict.SUSPICIOUS),
        consecutive_suspicious=_in_a_row(entry.consecutive_suspicious, verdict),
        inconclusive=entry.inconclusive + (verdict is Verdict.INCONCLUSIVE),
        errors=entry.errors + (verdict is Verdict.ERROR),
        consecutive_errors=entry.consecutive_errors + 1 if verdict is Verdict.ERROR else 0,
        measurements=(*entry.measurements, measurement)[-KEPT_MEASUREMENTS:],
    )


def _in_a_row(suspicious: int, verdict: Verdict) -> int:
    """How many suspicious ones there are in a row now; what says neither good nor bad ends no row."""
    if verdict is Verdict.SUSPICIOUS:
        return suspicious + 1
    return 0 if verdict in (Verdict.SUCCESSFUL, Verdict.FAILED) else suspicious
