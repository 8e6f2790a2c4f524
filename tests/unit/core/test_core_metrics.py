"""Metrics: counted with few labels, exposed, documented."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from looma_core.metrics import Metrics

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "metrics.md"
MAKERS = {
    *("counter", "gauge", "histogram", "Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"),
    *("CounterMetricFamily", "GaugeMetricFamily"),
}


@cache
def _defined() -> set[str]:
    """Names of all metrics that the code makes: the first argument of what makes one."""
    found = set()
    for root in ("core", "engines", "console"):
        for file in (ROOT / root).glob("looma_*/**/*.py"):
            text = file.read_text()
            if "looma_" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    value = node.args[0].value
                    if name in MAKERS and isinstance(value, str) and value.startswith("looma_"):
                        found.add(value)
    return found


def test_every_metric_is_documented() -> None:
    text = DOCS.read_text()
    missing = sorted(name for name in _defined() if f"| `{name}` |" not in text)
    assert not missing, f"{DOCS.name} lacks: {missing}"


def test_documented_metrics_exist() -> None:
    documented = {
        line.split("`")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `looma_")
    }
    assert documented == _defined()


def test_a_requests_time_lands_in_its_bucket() -> None:
    metrics = Metrics(service="resume", revision="r2")
    for seconds in (0.004, 0.004, 0.2):
        metrics.observe_request(route="/x", code=200, seconds=seconds)
    text = metrics.exposition().decode()
    for edge, count in (("0.0025", 0), ("0.005", 2), ("0.25", 3), ("+Inf", 3)):
        labels = f'code="200",le="{edge}",revision="r2",route="/x",service="resume"'
        assert f"looma_http_request_seconds_bucket{{{labels}}} {count}.0" in text


def test_two_processes_worth_of_metrics_do_not_mix() -> None:
    first, second = (Metrics(service=name, revision="r1") for name in ("a", "b"))
    first.counter("looma_things_total", "Things.").inc()
    second.counter("looma_things_total", "Things.")
    assert "looma_things_total 1.0" in first.exposition().decode()
    assert "looma_things_total 0.0" in second.exposition().decode()
