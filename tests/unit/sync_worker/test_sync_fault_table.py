"""What seeds draw is the same each time, and the report of what they came to leaves out no seed that failed."""

from __future__ import annotations

import json
import random
from pathlib import Path

from bench.faults_table import outcomes, table
from support.sync_faults import KINDS, drawn, people


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret


def test_a_seed_draws_the_same_each_time_and_all_kinds_are_drawn() -> None:
    assert drawn(seeded(7)) == drawn(seeded(7))
    assert people(seeded(7), []) == people(seeded(7), [])
    assert {fault.kind for seed in range(200) for fault in drawn(seeded(seed))} == set(KINDS)


def test_the_table_has_the_seeds_that_failed_and_why(tmp_path: Path) -> None:
    noted = {"source": "s3", "late": 1, "replaced": 2, "fenced": 0, "epochs": 2, "records": 100}
    cases = "".join(
        f'<testcase name="seed" time="3"><properties><property name="faults" value=\'{told}\'/></properties>{ended}'
        "</testcase>"
        for told, ended in (
            (
                json.dumps({**noted, "seed": 1, "struck": {KINDS[0]: 2}}),
                '<failure message="1 | lost&#10;more"/>',
            ),
            (json.dumps({**noted, "seed": 0, "struck": {KINDS[0]: 1}}), ""),
        )
    )
    results = tmp_path / "results.xml"
    results.write_text(f'<testsuite>{cases}<testcase name="another" time="1"/></testsuite>')
    found = outcomes(results)
    assert [(outcome.noted["seed"], outcome.failure) for outcome in found] == [(0, ""), (1, "1 | lost")]
    said = table(found)
    assert "| 1 of 2 |" in said
    assert f"| {KINDS[0]} | 3 | 2 |" in said
    assert said.endswith("| 1 | s3 | 1 / lost |")
