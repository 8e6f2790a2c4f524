"""What the seeded faults of syncs came to: pytest's results of `make faults` as docs/reports/faults.md."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import ROOT, commit, machine
from support.sync_faults import KINDS, SOURCES

RUNS = 2
"""Of a seed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One seed: what its test noted, and the first line of why it failed, empty if it did not."""

    noted: dict[str, Any]
    failure: str
    seconds: float


def outcomes(results: Path) -> list[Outcome]:
    """The seeds that pytest's JUnit file tells of; a test that was left out is none."""
    found = []
    for case in ET.parse(results).iter("testcase"):  # noqa: S314 - a file of ours
        noted = [item.get("value", "") for item in case.iter("property") if item.get("name") == "faults"]
        if not noted:
            continue
        wrong = [item.get("message", "") for item in case if item.tag in ("failure", "error")]
        found.append(
            Outcome(
                noted=json.loads(noted[0]),
                failure=(wrong[0].splitlines() or ["?"])[0] if wrong else "",
                seconds=float(case.get("time", 0)),
            )
        )
    return sorted(found, key=lambda outcome: outcome.noted["seed"])


def table(found: list[Outcome]) -> str:
    """The tables in Markdown."""
    good = [outcome for outcome in found if not outcome.failure]
    struck: Counter[str] = Counter()
    seeds: Counter[str] = Counter()
    for outcome in found:
        struck.update(outcome.noted["struck"])
        seeds.update(outcome.noted["struck"].keys())
    total = {name: sum(outcome.noted[name] for outcome in found) for name in ("late", "replaced", "fenced")}
    seconds = sorted(outcome.seconds for outcome in found)
    by_source = Counter(outcome.noted["source"] for outcome in found)
    sources = ", ".join(f"{name} {by_source[name]}" for name in SOURCES)
    lines = [
        "| what | figure |",
        "| --- | --- |",
        f"| seeds after whose runs every record was as its source has it | {len(good)} of {len(found)} |",
        f"| runs with faults | {RUNS * len(found)} |",
        f"| records in the last runs | {sum(outcome.noted['records'] for outcome in found):,} |",
        f"| seeds by their source | {sources} |",
        f"| faults that struck while a run went on | {sum(struck.values())} |",
        f"| faults that were drawn and came when their run was over | {total['late']} |",
        f"| workers that ended before their shard was done, and were followed by another | {total['replaced']} |",
        f"| workers of an earlier run that woke up, were refused and wrote nothing | {total['fenced']} |",
        f"| seconds a seed: median, longest | {seconds[len(seconds) // 2]:.1f}, {seconds[-1]:.1f} |",
        "",
        "| fault | struck | in seeds |",
        "| --- | --- | --- |",
        *(f"| {kind} | {struck[kind]} | {seeds[kind]} |" for kind in KINDS),
    ]
    if bad := [outcome for outcome in found if outcome.failure]:
        lines += ["", "| seed that failed | source | why |", "| --- | --- | --- |"]
        lines += [
            f"| {outcome.noted['seed']} | {outcome.noted['source']} | {outcome.failure[:300].replace('|', '/')} |"
            for outcome in bad
        ]
    return "\n".join(lines)


HOW = """Each seed is a SyncJob of its own: a real operator on a real API server, PostgreSQL, and a source that is
Zervigo's list over HTTP, a file over HTTP, a file in an S3 store, or a table of another PostgreSQL. Only kubelet and
Job controller are played. The source has some hundred records; in a second run some of them are changed, gone or new.
In each of both runs one to three things go wrong, at moments that the seed draws. After each the independent checker
(`tests/support/sync_checker.py`, which shares no code with the worker) compares digests of every record with the
source: none is lost, doubled or different. What a worker had reported is in the database, right after PostgreSQL has
recovered and at the end; the counts are those of the source's changes; and the SyncJob's status has the same.

- **worker**: killed by SIGKILL, cut off from the API server, stopped for up to 1.2 s; a second one of the same shard
  beside it; frozen until its run was canceled and another one had begun, then woken.
- **database**: its first process killed and recovered, all connections reset and refused, each piece of 4 KiB 10 ms
  late.
- **source**: killed and started again, broken off after up to 6,000 bytes of an answer, each piece 150 ms late.
- **operator**: killed and another one started, cut off from the API server for up to 4.8 s, stopped as long."""


def main() -> None:
    """Write the report of the file that is given."""
    found = outcomes(Path(sys.argv[1]))
    path = ROOT / "docs" / "reports" / "faults.md"
    path.write_text(
        f"# Syncs under faults\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, on {machine()}, by"
        f" `make faults`.\n\n{table(found)}\n\n## How taken\n\n{HOW}\n"
    )
    sys.stdout.write(table(found) + "\n")


if __name__ == "__main__":
    main()
