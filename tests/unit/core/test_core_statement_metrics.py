"""What a pool's statements tell of themselves: how long they took, and how many were slow."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine, event, text

from looma_core.db import pool
from looma_core.metrics import Metrics


def test_a_statement_over_the_limit_is_counted_as_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    metrics = Metrics(service="talent-sync", revision="r1")
    engine = create_engine("sqlite://")
    pool.measure_statements(engine, metrics)

    def takes(seconds: float) -> None:
        clock[0] += seconds

    event.listen(engine, "connect", lambda raw, _: raw.create_function("takes", 1, takes))

    def told(name: str) -> float:
        return sum(
            sample.value
            for family in metrics.registry.collect()
            for sample in family.samples
            if sample.name == name
        )

    with engine.connect() as connection:
        for seconds in (0.01, pool.SLOW_SECONDS - 0.001, pool.SLOW_SECONDS + 0.001, 2.0):
            connection.execute(text("SELECT takes(:seconds)"), {"seconds": seconds})
    assert told("looma_database_slow_statements_total") == 2
    assert told("looma_database_statement_seconds_count") == 4
    assert pool.SLOW_SECONDS in pool.WAIT_BUCKETS
