"""What is kept of the kill matrices: sums of each road, and what an earlier run had."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kill_matrix_table import MATRICES, NOT_RUN, Road, kept, roads, section, text
from support.kill_matrix import keep

ON_A_CLUSTER = """\
| road | killed | write | same end | requests | failed |
| --- | --- | --- | --- | --- | --- |
| abort | – | 2 writes | – | 100 | 0 |
| abort | before | 0 PATCH NAME | yes | 110 | 0 |
| abort | after | 0 PATCH NAME | no | 120 | 2 |
| abort | before | 1 POST event | never ended | | |
| abort | not reached | 1 POST event | yes | 130 | 0 |
| abort | after | 1 POST event | as asked for | 90 | 0 |""".splitlines()
AUDITED = """\
| road | killed | write | same end | in the audit log |
| --- | --- | --- | --- | --- |
| abort | – | 1 writes | – | 1 writes |
| abort | before | 0 PATCH NAME | yes | 1 writes |
| abort | after | 0 PATCH NAME | yes | 2 writes |""".splitlines()


@pytest.mark.parametrize(
    ("lines", "road"),
    [
        (
            ON_A_CLUSTER,
            Road(name="abort", writes=2, struck=3, not_reached=1, same=2, requests=460, failed=2),
        ),
        (AUDITED, Road(name="abort", writes=1, struck=2, not_reached=0, same=2, requests=None, failed=None)),
    ],
)
def test_a_road_is_summed_up(lines: list[str], road: Road) -> None:
    assert roads(lines) == [road]


def test_a_matrix_has_its_sums_and_each_kill() -> None:
    said = section(ON_A_CLUSTER, when="Now.").splitlines()
    assert said[0] == "Now."
    assert "| abort | 2 | 3 of 4 | 1 | 2 of 4 | 460 | 2 |" in said
    assert said[-len(ON_A_CLUSTER) :] == ON_A_CLUSTER
    assert "| abort | 1 | 2 of 2 | 0 | 2 of 2 |  |  |" in section(AUDITED, when="Now.")


def test_what_was_not_run_again_stays() -> None:
    cluster, audited = MATRICES.values()
    first = text({cluster: section(ON_A_CLUSTER, when="Then.")})
    assert kept(first)[audited] == NOT_RUN
    second = text({**kept(first), audited: section(AUDITED, when="Now.")})
    assert kept(second)[cluster] == section(ON_A_CLUSTER, when="Then.")
    assert kept(second)[audited].startswith("Now.")
    assert text(kept(second)) == second


def test_roads_that_several_processes_went_are_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOMA_TEST_RESULTS", str(tmp_path / "results"))
    others = [line.replace("abort", "promote") for line in AUDITED]
    keep(AUDITED, "matrix.md")
    keep(others, "matrix.md")
    found = (tmp_path / "results" / "matrix.md").read_text().splitlines()
    assert found == [*AUDITED, *others[2:]]
    assert [road.name for road in roads(found)] == ["abort", "promote"]
