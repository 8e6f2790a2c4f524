"""What is counted of applications."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

    from looma_core.metrics import Metrics

    from .deciding import Place, Step

DAYS = (1, 2, 3, 7, 14, 21, 30, 60, 90, 180)


@dataclass(frozen=True, kw_only=True)
class PipelineMetrics:
    """Counters, made once."""

    moves: Counter
    stays: Histogram

    def count(self, step: Step, *, before: Place | None = None) -> None:
        """Count a step, and how long the stay was that it ended."""
        self.moves.labels(step.action, step.place.kind).inc()
        if before is not None and before.stage != step.place.stage:
            self.stays.labels(before.kind).observe((step.place.changed - before.since) / timedelta(days=1))


def pipeline_metrics(metrics: Metrics) -> PipelineMetrics:
    """The metrics of an engine's applications; made once."""
    return PipelineMetrics(
        moves=metrics.counter(
            "looma_application_moves_total",
            "Steps of applications over HTTP, by what was done and by the kind of stage that they came to.",
            ["action", "kind"],
        ),
        stays=metrics.histogram(
            "looma_application_stay_days",
            "How many days applications were in the stage that they left, by its kind.",
            ["kind"],
            buckets=DAYS,
        ),
    )
