"""The pool of connections, and what it tells of itself.

A request that finds all connections taken waits its turn, in order, and not for ever: whoever waits longer than the
pool's time-out is refused. What is in use, who waits and for how long are metrics.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol, cast

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import event
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric
    from sqlalchemy import Engine

    from looma_core.metrics import Metrics

SLOW_SECONDS = 0.05
"""A statement that takes longer is slow; one of the bounds below, so that both metrics agree."""
WAIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Observing(Protocol):
    """What is told how long somebody waited, such as a histogram."""

    def observe(self, amount: float, /) -> None:
        """Note so many seconds."""


class MeasuredPool(AsyncAdaptedQueuePool):
    """A pool that knows how many wait for a connection, and tells how long each did."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting = 0
        self.waits: Observing | None = None

    def _do_get(self) -> ConnectionPoolEntry:
        begun = time.monotonic()
        self.waiting += 1
        try:
            return super()._do_get()
        finally:
            self.waiting -= 1
            if self.waits is not None:
                self.waits.observe(time.monotonic() - begun)

    def recreate(self) -> MeasuredPool:
        """A pool like this one, for after `dispose`."""
        again = cast("MeasuredPool", super().recreate())
        again.waits = self.waits
        return again


class PoolCollector(Collector):
    """Gauges of a pool, read when they are asked for.

    Args:
        pool: the pool; it may be gone later.
    """

    def __init__(self, pool: MeasuredPool) -> None:
        self._pool = weakref.ref(pool)

    def collect(self) -> Iterable[Metric]:
        """The size of the pool, its connections in use, and who waits for one."""
        pool = self._pool()
        if pool is None:
            return
        yield GaugeMetricFamily(
            "looma_database_pool_size", "Most connections of the process's pool.", value=pool.size()
        )
        yield GaugeMetricFamily(
            "looma_database_pool_in_use", "Connections of the pool in use.", value=pool.checkedout()
        )
        yield GaugeMetricFamily(
            "looma_database_pool_waiting", "Requests that wait for a connection.", value=pool.waiting
        )


def measure_statements(engine: Engine, metrics: Metrics) -> None:
    """Have an engine tell how long its statements take, and how many are slow."""
    seconds = metrics.histogram(
        "looma_database_statement_seconds",
        "Time of statements, as the process waits for them.",
        buckets=WAIT_BUCKETS,
    )

    slow = metrics.counter(
        "looma_database_slow_statements_total",
        f"Statements that took longer than {SLOW_SECONDS} s, as the process waits for them.",
    )

    def begins(*given: Any) -> None:
        given[4].looma_begun = time.monotonic()

    def ended(*given: Any) -> None:
        taken = time.monotonic() - given[4].looma_begun
        seconds.observe(taken)
        if taken > SLOW_SECONDS:
            slow.inc()

    event.listen(engine, "before_cursor_execute", begins)
    event.listen(engine, "after_cursor_execute", ended)


def measure(pool: MeasuredPool, metrics: Metrics) -> None:
    """Have a pool tell of itself in these metrics."""
    metrics.registry.register(PoolCollector(pool))
    pool.waits = metrics.histogram(
        "looma_database_pool_wait_seconds",
        "Time that a request waited for a connection of the pool, also in vain.",
        buckets=WAIT_BUCKETS,
    )
