"""What the suite found, as a table, and why what the gateway does not claim is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_SILENCE = "What is limited is how long an engine is silent, in whole seconds, not how long an answer takes."
REASONS: Mapping[str, str] = {
    "GatewayAddressEmpty": "A Gateway's addresses are its Service's; `spec.addresses` is refused.",
    "GatewayStaticAddresses": "A Gateway's addresses are its Service's; `spec.addresses` is refused.",
    "GatewayInfrastructurePropagation": "All Gateways have the same pods, so there is nothing of one's own to label.",
    "HTTPRouteBackendProtocolH2C": "The gateway speaks HTTP/1.1 to backends.",
    "HTTPRouteBackendRequestHeaderModification": "Filters are a rule's, not a single backendRef's.",
    "HTTPRouteBackendTimeout": _SILENCE,
    "HTTPRouteRequestTimeout": _SILENCE,
    "HTTPRouteCORS": "Engines answer CORS themselves.",
    "HTTPRouteRequestMirror": "HAProxy 3.0 sends no request twice.",
    "HTTPRouteRequestMultipleMirrors": "HAProxy 3.0 sends no request twice.",
    "HTTPRouteRequestPercentageMirror": "HAProxy 3.0 sends no request twice.",
}
"""Features that the GatewayClass does not name, each with the reason."""

_HEAD = re.compile(r"^(?:=== (?:RUN|CONT|NAME|PAUSE)\s+|\s*--- (?:PASS|FAIL|SKIP): )(\S+)")
_SAID = re.compile(r"^\s+[\w-]+\.go:\d+: (?:\d{4}-\S+Z: )?(.*\S)")
_ERROR = re.compile(r"Error:\s+(.*\S)")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A test: `result` is passed, failed or not run; `reason` is empty where it passed."""

    name: str
    core: bool
    result: str
    reason: str = ""


def first_errors(log: Iterable[str]) -> dict[str, str]:
    """What the suite saw as the first thing went wrong in each of its tests, from the verbose output of `go test`.

    The error itself says mostly that time was up; the line before it says what had come instead.
    """
    found: dict[str, str] = {}
    at = said = ""
    for line in log:
        if (head := _HEAD.match(line)) is not None:
            # TestConformance/HTTPRouteMatching/0_request_to_...: the second part names the suite's test.
            at, said = head[1].partition("/")[2].partition("/")[0], ""
        elif (word := _SAID.match(line)) is not None:
            said = word[1]
        elif (error := _ERROR.search(line)) is not None and at:
            found.setdefault(at, said or error[1])
    return found


def rows(found: Mapping[str, Any], errors: Mapping[str, str]) -> list[Row]:
    """A row for each test, those that every gateway must pass first.

    Raises:
        KeyError: if a feature is missing without a reason.
    """
    made = []
    for test in found["tests"]:
        if test["passed"]:
            result, reason = "passed", ""
        elif test["ran"]:
            result, reason = "failed", errors.get(test["name"], "the suite's log has more")
        else:
            missing = [f"{name}: {REASONS[name]}" for name in test["missing"]]
            result, reason = "not run", " ".join(missing)
        made.append(Row(name=test["name"], core=test["core"], result=result, reason=reason))
    return sorted(made, key=lambda row: (not row.core, row.name))


def summary(made: Iterable[Row]) -> str:
    """How many passed, of those that every gateway must pass and of those beyond."""
    said = []
    for core, what in ((True, "core"), (False, "extended")):
        mine = [row for row in made if row.core is core]
        passed = sum(row.result == "passed" for row in mine)
        said.append(f"{what} tests: passed {passed} of {len(mine)}")
    return ", ".join(said)


def table(made: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| test | level | result | why not |", "| --- | --- | --- | --- |"]
    for row in made:
        reason = row.reason.replace("|", "\\|")
        lines.append(f"| {row.name} | {'core' if row.core else 'extended'} | {row.result} | {reason} |")
    return "\n".join(lines)
