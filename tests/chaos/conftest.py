"""The table of faults: what each of these tests did, what failed while it did so, and how long it took to recover.

A test tells its figures by `record_property`; here they become a table beside the other results, whatever the outcome.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_told: dict[str, tuple[str, dict[str, object]]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        _told[report.nodeid] = (f"{name}: {report.outcome}", dict(report.user_properties))


def pytest_sessionfinish(session: pytest.Session) -> None:
    rows = [(sentence, told) for sentence, told in _told.values() if told]
    if not rows:
        return
    lines = ["| fault | requests | failed | recovered after | more |", "| --- | --- | --- | --- | --- |"]
    for sentence, told in rows:
        requests, failed, seconds = (told.pop(key, "") for key in ("requests", "failed", "recovery_seconds"))
        after = f"{seconds} s" if seconds != "" else ""
        more = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in told.items())
        lines.append(f"| {sentence} | {requests} | {failed} | {after} | {more} |")
    folder = Path(os.environ.get("LOOMA_TEST_RESULTS", "test-results"))
    folder.mkdir(parents=True, exist_ok=True)
    # Several runs have a table each, named as their other results are.
    name = Path(session.config.option.xmlpath or "faults").stem
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")
