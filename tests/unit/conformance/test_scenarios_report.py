"""What `make scenarios` keeps of a run: sentences, results by file, and what did not run."""

from __future__ import annotations

import pytest

from bench.scenarios import Result, results, sentence, text

XML = """\
<testsuites><testsuite timestamp="2026-01-01T12:00:00.1">
<testcase classname="tests.e2e.test_road" name="test_a" time="1.6">
  <properties><property name="seconds" value="0.4"/></properties></testcase>
<testcase classname="tests.e2e.test_road" name="test_b[x]" time="2"><failure message="it | broke&#10;here"/></testcase>
<testcase classname="tests.e2e.test_road" name="test_c" time="3"><error message="no pod"/></testcase>
<testcase classname="tests.e2e.test_road" name="test_d" time="0"><skipped message="no node"/></testcase>
</testsuite></testsuites>
"""
ROAD = "tests/e2e/test_road.py"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_given_a_when_b_then_c", "Given a, when b, then c"),
        ("test_given_a_when_b_then_c_then_d", "Given a, when b, then c then d"),
        ("test_names_resolve[two]", "Names resolve (two)"),
    ],
)
def test_a_name_is_a_sentence(name, said):
    assert sentence(name) == said


def test_results_are_by_file_and_name(tmp_path):
    file = tmp_path / "run.xml"
    file.write_text(XML)
    assert results([file]) == {
        (ROAD, "test_a"): Result(outcome="passed", seconds=1.6, noted="seconds: 0.4"),
        (ROAD, "test_b[x]"): Result(outcome="**failed**", seconds=2, noted="it \\| broke"),
        (ROAD, "test_c"): Result(outcome="**failed**", seconds=3, noted="no pod"),
        (ROAD, "test_d"): Result(outcome="skipped", seconds=0, noted="no node"),
    }


def test_what_failed_and_what_did_not_run_are_rows_too(tmp_path):
    file = tmp_path / "run.xml"
    file.write_text(XML)
    names = [(ROAD, name) for name in ("test_a", "test_b[x]", "test_e")]
    said = text(names, results([file]), "Now").splitlines()
    assert said[2] == "Now. 3 scenarios: 1 passed, 1 failed, 1 not run."
    assert said[-3:] == [
        "| A | passed | 2 | seconds: 0.4 |",
        "| B (x) | **failed** | 2 | it \\| broke |",
        "| E | not run |  |  |",
    ]
