"""Quality of the records of a run, before it and after it: the sums, and what real runs make of real records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from looma_engines.talent_sync.syncing.marks import Mark, Marks
from looma_engines.talent_sync.syncing.quality_told import change_of
from support.database import DatabaseUrls
from support.sync_runs import Runs, person

Client = TestClient[Any]
Auth = dict[str, str]
RULES = ("a", "b", "c")
MARKS = st.none() | st.builds(
    Mark,
    score=st.integers(0, 100),
    broken=st.sets(st.sampled_from(RULES)).map(lambda rules: tuple(sorted(rules))),
)
RECORDS = st.lists(st.tuples(MARKS, MARKS), max_size=30)


@given(RECORDS, RECORDS)
def test_parts_come_to_the_same_as_the_whole(
    some: list[tuple[Mark | None, Mark | None]], others: list[tuple[Mark | None, Mark | None]]
) -> None:
    whole = Marks.of([*some, *others])
    assert Marks.of(some) + Marks.of(others) == whole
    assert whole - Marks.of(others) == Marks.of(some)
    for end, bands, total in (
        (0, whole.before, whole.before_sum),
        (1, whole.after, whole.after_sum),
    ):
        there = [record[end] for record in (*some, *others) if record[end] is not None]
        assert sum(bands.values()) == len(there)
        assert total == sum(mark.score for mark in there if mark is not None)


@given(RECORDS)
def test_who_fails_a_rule_adds_up(records: list[tuple[Mark | None, Mark | None]]) -> None:
    marks = Marks.of(records)
    gone = Counter(rule for was, now in records if was is not None and now is None for rule in was.broken)
    for rule in RULES:
        before, after, broken, mended = (
            numbers.get(rule, 0) for numbers in (marks.failed, marks.fails, marks.broken, marks.mended)
        )
        # Who was deleted neither fails it any more nor was mended.
        assert before + broken - mended - gone[rule] == after


def test_what_a_report_tells() -> None:
    poor, good = Mark(score=64, broken=("b", "a")), Mark(score=100)
    records = [(poor, good), (poor, poor), (None, Mark(score=90, broken=("c",))), (good, None)]
    told = change_of(Marks.of(records))
    assert told is not None
    assert (told.before.records, told.before.mean) == (3, 76.0)
    assert (told.after.records, told.after.mean) == (3, 84.7)
    assert [(band.least, band.records) for band in told.after.bands] == [(100, 1), (90, 1), (60, 1)]
    assert [(rule.rule, rule.before, rule.after, rule.broken, rule.mended) for rule in told.rules] == [
        ("a", 2, 1, 0, 1),
        ("b", 2, 1, 0, 1),
        ("c", 0, 1, 1, 0),
    ]
    assert change_of(Marks()) is None


# ---- real runs ---------------------------------------------------------------------------------------------


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path, target={"onMissing": "delete"})


def marks_now(client: Client, auth: Auth, runs: Runs) -> dict[str, tuple[int, set[str]]]:
    """What the API says of each record that is there, which reads it as it is stored."""
    found = {}
    for key, row in runs.talents().items():
        told = client.get(f"/api/v1/talents/{row['id']}/quality", headers=auth).json()
        found[key] = (told["score"], {finding["rule"] for finding in told["findings"]})
    return found


def reported(client: Client, auth: Auth) -> dict[str, Any]:
    """The report of the latest run."""
    latest = client.get("/api/v1/sync-runs?limit=1", headers=auth).json()["items"][0]
    report: dict[str, Any] = client.get(f"/api/v1/sync-runs/{latest['id']}", headers=auth).json()
    change = report["quality_change"]
    for end in ("before", "after"):
        assert report[f"quality_{end}"] == latest[f"quality_{end}"] == change[end]["mean"]
        assert sum(band["records"] for band in change[end]["bands"]) == change[end]["records"]
    return report


def expect(report: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    """The report says just what was found out of each record, one by one."""
    change = report["quality_change"]
    for end, marks in (("before", before), ("after", after)):
        scores = [score for score, _ in marks.values()]
        bands = Counter(score // 10 * 10 for score in scores)
        assert change[end]["mean"] == (round(sum(scores) / len(scores), 1) if scores else None)
        assert {band["least"]: band["records"] for band in change[end]["bands"]} == bands
    told = {rule["rule"]: rule for rule in change["rules"]}
    failed = Counter(rule for _, rules in before.values() for rule in rules)
    fails = Counter(rule for _, rules in after.values() for rule in rules)
    assert told.keys() == {*failed, *fails}
    none: tuple[int, set[str]] = (0, set())
    for name, rule in told.items():
        assert (rule["before"], rule["after"]) == (failed[name], fails[name])
        newly = [
            key for key, (_, rules) in after.items() if name in rules and name not in before.get(key, none)[1]
        ]
        mended = [key for key, (_, rules) in before.items() if name in rules and key in after]
        assert rule["broken"] == len(newly)
        assert rule["mended"] == sum(name not in after[key][1] for key in mended)


@pytest.mark.database
@pytest.mark.parametrize("shards", [1, 3])
def test_a_run_knows_what_it_made_better_and_what_worse(
    client: Client, auth: Auth, runs: Runs, shards: int
) -> None:
    people = [person(number) for number in range(1, 9)]
    runs.run(people, shards=shards)
    first = marks_now(client, auth, runs)
    expect(reported(client, auth), {}, first)
    # One is changed here meanwhile: what it was before the run is what it is now.
    third = runs.talents()["p-3"]
    headline = {"headline": "Engineer"}
    url = f"/api/v1/talents/{third['id']}"
    assert client.patch(url, json=headline, headers={**auth, "If-Match": "*"}).status_code == 200
    before = marks_now(client, auth, runs)
    assert before != first
    people[0] |= {"headline": "Analyst", "location": "Leeds", "summary": "Counts what there is to count."}
    people[1] |= {"email": None}
    people[5] |= {"email": "nobody"}
    del people[3]
    people.append(person(9, skills=[]))
    reports = runs.run(people, shards=shards)
    assert sum(report.deleted for report in reports) == 1
    assert sum(report.quarantined for report in reports) == 1
    after = marks_now(client, auth, runs)
    assert before.keys() - after.keys() == {"p-4"}
    report = reported(client, auth)
    expect(report, before, after)
    rules = {rule["rule"]: rule for rule in report["quality_change"]["rules"]}
    assert rules["talent.headline.required"]["mended"] == 1
    assert rules["talent.contact.required"]["broken"] == 1
    # The operator's metric is made of what the shards say.
    told = [report.quality for report in reports if report.quality is not None]
    assert sum(shard.score_before for shard in told) == sum(score for score, _ in before.values())
    assert sum(shard.records_after for shard in told) == len(after)


@pytest.mark.database
def test_records_of_an_earlier_release_are_looked_at_once(client: Client, auth: Auth, runs: Runs) -> None:
    people = [person(1), person(2, headline="Analyst")]
    runs.one(people)
    runs.change("UPDATE talent_sync.sync_states SET quality = NULL")
    runs.one()
    now = marks_now(client, auth, runs)
    expect(reported(client, auth), now, now)
    kept = runs.rows("SELECT quality FROM talent_sync.sync_states ORDER BY key")
    assert [row["quality"]["score"] for row in kept] == [now["p-1"][0], now["p-2"][0]]
    assert {rule for row in kept for rule in row["quality"].get("broken", ())} == now["p-1"][1] | now["p-2"][
        1
    ]


@pytest.mark.database
def test_a_record_that_people_put_right_counts_as_it_is(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(1, email="nobody"), person(2)])
    (entry,) = client.get("/api/v1/quarantine", headers=auth).json()["items"]
    put = {"draft": {"full_name": "Ada", "headline": "Analyst"}}
    url = f"/api/v1/quarantine/{entry['id']}/replay"
    assert client.post(url, json=put, headers={**auth, "If-Match": "*"}).status_code == 200
    before = marks_now(client, auth, runs)
    assert runs.one().unchanged == 2
    expect(reported(client, auth), before, before)


@pytest.mark.database
def test_what_was_deleted_here_has_no_quality(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(1), person(2)])
    gone = runs.talents()["p-1"]["id"]
    assert client.delete(f"/api/v1/talents/{gone}", headers={**auth, "If-Match": "*"}).status_code == 204
    left = marks_now(client, auth, runs)
    runs.one()
    expect(reported(client, auth), left, left)


@pytest.mark.database
def test_a_run_says_what_it_read(client: Client, auth: Auth, runs: Runs) -> None:
    runs.one([person(1)])
    report = reported(client, auth)
    assert (report["mode"], report["since"], report["full_in"]) == ("full", None, None)
    assert report["watermark"] is None, "a file is always read as a whole"
