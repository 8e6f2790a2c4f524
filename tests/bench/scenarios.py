"""`make scenarios` as a table: which scenarios there are on a cluster, and what became of each in one run.

usage: python -m tests.bench.scenarios [RESULT.xml ...]

The scenarios are what pytest collects, so one that a run left out is in the table as well; results are those of the
run's junit XML. Exit code 1 if one failed. Written to docs/reports/scenarios.md.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from .report import ROOT, commit, machine

FOLDERS = ("tests/e2e", "tests/browser")
REPORT = ROOT / "docs" / "reports" / "scenarios.md"
NOT_RUN = "not run"
LONGEST_NOTE = 200
MARKS = re.compile(r"_(when|then)_")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one scenario: passed, failed or skipped, after how many seconds, and what it noted."""

    outcome: str
    seconds: float
    noted: str = ""


def sentence(name: str) -> str:
    """A test's name as the sentence that it is: `test_given_a_when_b_then_c[x]` is "Given a, when b, then c (x)"."""
    words, _, case = name.removeprefix("test_").partition("[")
    seen: set[str] = set()

    def comma(found: re.Match[str]) -> str:
        # "then" comes again in what happens one after the other.
        first = found[1] not in seen
        seen.add(found[1])
        return f"{',' if first else ''}_{found[1]}_"

    text = MARKS.sub(comma, words).replace("_", " ")
    return text[:1].upper() + text[1:] + (f" ({case.removesuffix(']')})" if case else "")


def results(files: Iterable[Path]) -> dict[tuple[str, str], Result]:
    """Results by file (`tests/e2e/test_x.py`) and name, of a run's junit XML; the last one where it is in several."""
    found: dict[tuple[str, str], Result] = {}
    for file in files:
        for case in ET.parse(file).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it, here
            path = case.get("classname", "").replace(".", "/") + ".py"
            bad = [child for child in case if child.tag in ("failure", "error")]
            skipped = case.find("skipped")
            outcome = "**failed**" if bad else "passed" if skipped is None else "skipped"
            said = bad[0].get("message") if bad else skipped.get("message") if skipped is not None else ""
            notes = [f"{one.get('name')}: {one.get('value')}" for one in case.iter("property")]
            first = [(said or "").strip().split("\n")[0]] if said else []
            found[path, case.get("name", "")] = Result(
                outcome=outcome,
                seconds=float(case.get("time", 0)),
                noted="; ".join([*first, *notes])[:LONGEST_NOTE].replace("|", "\\|"),
            )
    return found


def collected() -> list[tuple[str, str]]:
    """File and name of each scenario, in the order in which they run.

    Raises:
        CalledProcessError: if pytest cannot collect them.
    """
    options = ("--collect-only", "-q", "-m", "long or not long", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *FOLDERS, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.partition("::") for line in done.stdout.splitlines() if "::" in line]
    return [(path, name) for path, _, name in lines]


def heading(path: str) -> str:
    """What a file's scenarios are about: the begin of its docstring."""
    text = ast.get_docstring(ast.parse((ROOT / path).read_text())) or path
    return re.split(r"[:.](?:\s|$)", text, maxsplit=1)[0].replace("\n", " ")


def text(scenarios: Sequence[tuple[str, str]], known: Mapping[tuple[str, str], Result], when: str) -> str:
    """The report's Markdown; `when` says of which run it is."""
    counted = Counter(known[one].outcome.strip("*") if one in known else NOT_RUN for one in scenarios)
    sums = ", ".join(f"{count} {outcome}" for outcome, count in counted.most_common())
    lines = ["# Scenarios on a cluster", "", f"{when}. {len(scenarios)} scenarios: {sums}.", ""]
    for path in dict.fromkeys(path for path, _ in scenarios):
        lines += [f"## {heading(path)}", "", f"`{path}`", ""]
        lines += ["| scenario | result | seconds | noted |", "| --- | --- | --- | --- |"]
        for place in [one for one in scenarios if one[0] == path]:
            result = known.get(place)
            told = (
                f"{result.outcome} | {result.seconds:.0f} | {result.noted}" if result else f"{NOT_RUN} |  | "
            )
            lines.append(f"| {sentence(place[1])} | {told} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write the report; 1 if a scenario failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scenarios")
    parser.add_argument("results", nargs="*", type=Path, help="junit XML of the run")
    files = parser.parse_args().results
    known = results(files)
    moments = [
        suite.get("timestamp", "")
        for file in files
        for suite in ET.parse(file).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it, here
    ]
    run = (
        f"{min(moments)[:16].replace('T', ' ')}, commit {commit()}, on {machine()}"
        if moments
        else "Not run yet"
    )
    REPORT.write_text(text(collected(), known, run), encoding="utf-8")
    return int(any("failed" in one.outcome for one in known.values()))


if __name__ == "__main__":
    sys.exit(main())
