"""What the kill matrices came to: their tables of a run as docs/reports/kill-matrix.md, each with a sum for each road.

usage: python -m tests.bench.kill_matrix_table FOLDER, with the results of `make chaos`, of `make scenarios`, or of
both; of the matrix that was not run the report keeps what it has.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import ROOT, commit, machine

REPORT = ROOT / "docs" / "reports" / "kill-matrix.md"
MATRICES = {
    "kill-matrix.md": "On a cluster, with requests through the gateway",
    "kill-matrix-audited.md": "Without a kubelet, beside the API server's audit log",
}
NOT_RUN = "Not run yet."
HEAD = """# The operator, killed at each of its writes

Every road is gone once undisturbed; a proxy before the API server counts the operator's writes about the service. Then
it is gone again for each write, with SIGKILL just before the write is passed on or just after it was answered. "Same
end" compares all that the operator wrote (Deployments, Services, routes, revisions, status, conditions, requests) with
the undisturbed time's. On the cluster requests go on all the time, and a failed one is one without an answer or with a
status of 500 and above. Without a kubelet pods are played, and what the proxy passed on is compared with the API
server's own audit log, write by write. A write that a run did not come to (a conflict, an event that was told before)
is "not reached"; fewer than 8 of 10 kills that struck are a failure.
"""
COLUMNS_OF_REQUESTS = 6


@dataclass(frozen=True, kw_only=True)
class Road:
    """One road of a matrix: writes of the calm time, kills and what they came to; no requests where none were made."""

    name: str
    writes: int
    struck: int
    not_reached: int
    same: int
    requests: int | None
    failed: int | None


def roads(lines: Sequence[str]) -> list[Road]:
    """The whole roads of a matrix's table; a single kill beside them is none."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    found = []
    for calm in (row for row in rows if row[1] == "–"):
        kills = [row for row in rows if row[0] == calm[0] and row[1] != "–" and row[3] != "as asked for"]
        told = [calm, *kills] if len(calm) == COLUMNS_OF_REQUESTS else []
        found.append(
            Road(
                name=calm[0],
                writes=int(calm[2].split()[0]),
                struck=sum(row[1] in ("before", "after") for row in kills),
                not_reached=sum(row[1] == "not reached" for row in kills),
                same=sum(row[3] == "yes" for row in kills),
                requests=sum(int(row[4] or 0) for row in told) if told else None,
                failed=sum(int(row[5] or 0) for row in told) if told else None,
            )
        )
    return found


def section(lines: Sequence[str], *, when: str) -> str:
    """A matrix in Markdown: the sums, then each kill."""
    sums = ["| road | writes | kills that struck | not reached | same end | requests | failed |"]
    sums.append("| --- | --- | --- | --- | --- | --- | --- |")
    for road in roads(lines):
        asked = ["" if number is None else f"{number:,}" for number in (road.requests, road.failed)]
        kills = road.struck + road.not_reached
        sums.append(
            f"| {road.name} | {road.writes} | {road.struck} of {2 * road.writes} | {road.not_reached} | "
            f"{road.same} of {kills} | {' | '.join(asked)} |"
        )
    return "\n".join([when, "", *sums, "", *lines])


def kept(report: str) -> dict[str, str]:
    """The sections of an earlier report, by their titles."""
    parts = report.split("\n## ")[1:]
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in parts)}


def text(sections: dict[str, str]) -> str:
    """The report."""
    parts = [f"## {title}\n\n{sections.get(title, NOT_RUN)}\n" for title in MATRICES.values()]
    return "\n".join([HEAD, *parts])


def main() -> None:
    """Write the report of what the folder has."""
    sections = kept(REPORT.read_text()) if REPORT.exists() else {}
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, on {machine()}."
    for name, title in MATRICES.items():
        path = Path(sys.argv[1]) / name
        if path.exists():
            sections[title] = section(path.read_text().splitlines(), when=when)
    REPORT.write_text(text(sections))


if __name__ == "__main__":
    main()
