"""What is counted of people who are there twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from looma_engines.talent_sync.duplicates.scanning import Seen

if TYPE_CHECKING:
    from prometheus_client import Counter

    from looma_core.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class DuplicateMetrics:
    """Counters, made once."""

    found: Counter
    settled: Counter
    skipped: Counter

    def count(self, seen: Seen) -> None:
        """Count what a look at people came to."""
        for verdict, number in seen.found.items():
            self.found.labels(verdict).inc(number)
        for kind, number in seen.skipped.items():
            self.skipped.labels(kind).inc(number)


def duplicate_metrics(metrics: Metrics) -> DuplicateMetrics:
    """The metrics of an engine's duplicates; made once."""
    return DuplicateMetrics(
        found=metrics.counter(
            "looma_duplicates_found_total",
            "Pairs of people that are new or changed their verdict when somebody had them looked for, by verdict.",
            ["verdict"],
        ),
        settled=metrics.counter(
            "looma_duplicates_settled_total",
            "Pairs of people that were settled, by how: dismissed, merged or undone.",
            ["how"],
        ),
        skipped=metrics.counter(
            "looma_duplicates_blocks_skipped_total",
            "Blocks that were left out as too many people are in them, by kind of key.",
            ["kind"],
        ),
    )
