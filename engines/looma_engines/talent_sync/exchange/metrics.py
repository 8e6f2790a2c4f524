"""What is counted of records that come and go as files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter

    from looma_core.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class ExchangeMetrics:
    """Rows of files."""

    exported: Counter
    imported: Counter


def exchange_metrics(metrics: Metrics) -> ExchangeMetrics:
    """The metrics of an engine's files; made once."""
    return ExchangeMetrics(
        exported=metrics.counter(
            "looma_records_exported_total",
            "Rows of exported files, by kind and format.",
            ["entity", "format"],
        ),
        imported=metrics.counter(
            "looma_records_imported_total",
            "Rows of imported files, by kind and what became of each; trials are not counted.",
            ["entity", "status"],
        ),
    )
