"""What is known of copies: counters, times, and now and then a line in the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from looma_core import logging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from looma_core.metrics import Metrics

Outcome = Literal["same", "different", "failed", "dropped", "too_large", "not_compared"]
"""What became of a copy; docs/metrics.md says when each."""

LOG_EVERY_SECONDS = 10.0
"""One line in so many seconds for each service and kind of line; the counters have all."""

log = logging.get("looma.shadow")


class Observer:
    """Counts and tells.

    Args:
        metrics: of the process.
        service: name of the AIService whose requests are copied.
        clock: seconds that only grow.
    """

    def __init__(
        self, metrics: Metrics, *, service: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service, self._clock = service, clock
        self._told: dict[tuple[str, str], float] = {}
        self._requests = metrics.counter(
            "looma_shadow_requests_total",
            "Requests that the gateway chose for a copy, by what became of the copy.",
            ["service", "shadow", "outcome"],
        )
        self._seconds = metrics.histogram(
            "looma_shadow_seconds",
            "Times of requests whose copy was answered: the real one's, and the copy's.",
            ["service", "shadow", "answer"],
        )

    def count(self, shadow: str, outcome: Outcome) -> None:
        """Count one copy."""
        self._requests.labels(self._service, shadow, outcome).inc()

    def answered(self, shadow: str, *, real_seconds: float, copy_seconds: float) -> None:
        """Keep both times of a request whose copy was answered."""
        self._seconds.labels(self._service, shadow, "real").observe(real_seconds)
        self._seconds.labels(self._service, shadow, "copy").observe(copy_seconds)

    def tell_difference(
        self,
        shadow: str,
        *,
        request_id: str,
        method: str,
        route: str,
        statuses: tuple[int, int],
        places: Sequence[str],
    ) -> None:
        """Log where an answer differed, never what it said."""
        if self._may_tell(shadow, "differs"):
            real, copy = statuses
            log.info(
                "shadow differs",
                shadow=shadow,
                request_id=request_id,
                method=method,
                route=route,
                code=real,
                shadow_code=copy,
                places=list(places),
            )

    def tell_failure(self, shadow: str, *, request_id: str, method: str, route: str, error: str) -> None:
        """Log that a copy got no answer, with the kind of error."""
        if self._may_tell(shadow, "failed"):
            log.warning(
                "shadow gave no answer",
                shadow=shadow,
                request_id=request_id,
                method=method,
                route=route,
                error=error,
            )

    def _may_tell(self, shadow: str, kind: str) -> bool:
        now = self._clock()
        last = self._told.get((shadow, kind))
        if last is not None and now - last < LOG_EVERY_SECONDS:
            return False
        self._told[shadow, kind] = now
        return True
