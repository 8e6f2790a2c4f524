"""What `make conformance` tells of the suite's results."""

from __future__ import annotations

import pytest

from conformance.outcome import Row, first_errors, rows, summary, table

LOG = """\
=== RUN   TestConformance
=== RUN   TestConformance/HTTPRouteMatching
=== RUN   TestConformance/HTTPRouteMatching/0_request_to_'/'
=== NAME  TestConformance/HTTPRouteMatching/0_request_to_'/'
    http.go:1: 2026-01-01T00:00:00.1Z: expected 200, got | 404
    http.go:2:
        Error Trace:	http.go:2
        Error:      	time is up
        Error:      	a later one
=== NAME  TestConformance/Quiet/sub
        Error:      	Not equal
=== RUN   TestConformance/HTTPRouteWeight
--- FAIL: TestConformance (3.00s)
    --- FAIL: TestConformance/HTTPRouteMatching (1.00s)
    --- PASS: TestConformance/HTTPRouteWeight (1.00s)
"""


def one(name: str, *, core: bool = True, missing: tuple[str, ...] = (), passed: bool = False) -> dict:
    return {"name": name, "core": core, "missing": list(missing), "ran": not missing, "passed": passed}


def test_the_first_error_of_a_test_is_its_reason() -> None:
    assert first_errors(LOG.splitlines()) == {
        "HTTPRouteMatching": "expected 200, got | 404",
        "Quiet": "Not equal",
    }


def test_each_test_has_a_row_and_a_reason_where_it_did_not_pass() -> None:
    found = {
        "tests": [
            one("Cors", core=False, missing=("HTTPRouteCORS",)),
            one("HTTPRouteWeight", passed=True),
            one("HTTPRouteMatching"),
            one("Silent"),
        ]
    }
    made = rows(found, first_errors(LOG.splitlines()))
    assert made == [
        Row(name="HTTPRouteMatching", core=True, result="failed", reason="expected 200, got | 404"),
        Row(name="HTTPRouteWeight", core=True, result="passed"),
        Row(name="Silent", core=True, result="failed", reason="the suite's log has more"),
        Row(
            name="Cors", core=False, result="not run", reason="HTTPRouteCORS: Engines answer CORS themselves."
        ),
    ]
    assert summary(made) == "core tests: passed 1 of 3, extended tests: passed 0 of 1"
    assert "| HTTPRouteMatching | core | failed | expected 200, got \\| 404 |" in table(made)


def test_a_feature_that_is_not_there_needs_a_reason() -> None:
    with pytest.raises(KeyError, match="Unheard"):
        rows({"tests": [one("A", missing=("Unheard",))]}, {})
