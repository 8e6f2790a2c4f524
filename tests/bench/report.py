"""The shape of a measurement, and the report that `make bench` keeps."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure beside what it is compared with, taken in the same run.

    value and baseline are in `unit`; limit, if any, is the most (or, for rates, the least) that was promised.
    """

    what: str
    value: float
    unit: str
    baseline: float | None = None
    baseline_name: str = ""
    limit: str = ""
    note: str = ""

    @property
    def ratio(self) -> str:
        """Value over baseline, or nothing where there is none."""
        return f"{self.value / self.baseline:.2f}" if self.baseline else ""


def table(rows: Iterable[Row]) -> str:
    """A Markdown table of the rows."""
    lines = [
        "| what | Looma | compared with | ratio | promised | how taken |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        baseline = (
            f"{row.baseline:.4g} {row.unit}: {row.baseline_name}"
            if row.baseline is not None
            else row.baseline_name
        )
        lines.append(
            f"| {row.what} | {row.value:.4g} {row.unit} | {baseline} | {row.ratio} | {row.limit} | {row.note} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Cores, memory and system, in one line; no name of the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {python}"


def commit() -> str:
    """The commit measured, with a mark when the tree differs from it."""
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    dirty = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return head.stdout.strip() + (" with local changes" if dirty.stdout.strip() else "")


def write(name: str, title: str, rows: Iterable[Row]) -> Path:
    """Keep a report as docs/reports/NAME.md and give its path."""
    path = ROOT / "docs" / "reports" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"# {title}\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, on {machine()}. Figures on shared\n"
        f"machines move from run to run; the ratios are of one run.\n\n{table(rows)}\n"
    )
    return path
