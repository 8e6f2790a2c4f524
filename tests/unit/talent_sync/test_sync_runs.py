"""Runs that bring records in, on a real PostgreSQL: each record once, whatever the source has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from looma_core.api.syncjob import ExitCode
from looma_core.api.talent import TalentDraft
from looma_engines.sync_worker.cluster import FencedError
from looma_engines.sync_worker.frame import run
from support.database import DatabaseUrls
from support.sync_runs import Runs, person
from support.sync_server import seen_by

pytestmark = pytest.mark.database


@pytest.fixture
def runs(database_urls: DatabaseUrls, tenant: str, tmp_path: Path) -> Runs:
    return Runs(database_urls, tenant, tmp_path)


def errors(runs: Runs, state: str = "open") -> list[tuple[str, list[str]]]:
    rows = runs.rows(
        "SELECT key, errors FROM talent_sync.quarantine WHERE state = %(state)s ORDER BY position",
        state=state,
    )
    return [
        (row["key"], [f"{error['field']}: {error['message']}" for error in row["errors"]]) for row in rows
    ]


def test_records_are_created_then_unchanged_then_updated(runs: Runs) -> None:
    people = [person(number) for number in range(10)]
    report = runs.one(people)
    assert (report.created, report.read, report.total, report.verified) == (10, 10, 10, 10)
    assert runs.talents()["p-3"]["source_type"] == "sync"
    assert runs.talents()["p-3"]["source_ref"] == "people:p-3"
    again = runs.one()
    assert (again.created, again.updated, again.unchanged, again.verified) == (0, 0, 10, 10)
    people[4]["headline"] = "Analyst"
    changed = runs.one(people)
    assert (changed.updated, changed.unchanged, changed.conflicts) == (1, 9, 0)
    found = runs.talents()["p-4"]
    assert (found["headline"], found["version"]) == ("Analyst", 2)
    assert {row["version"] for key, row in runs.talents().items() if key != "p-4"} == {1}


@pytest.mark.parametrize("shards", [2, 5])
def test_shards_share_the_records_and_lose_none(runs: Runs, shards: int) -> None:
    reports = runs.run([person(number) for number in range(40)], shards=shards)
    assert [report.state for report in reports] == ["Succeeded"] * shards
    assert sum(report.created for report in reports) == 40 == len(runs.talents())
    assert sum(report.verified or 0 for report in reports) == 40


def test_what_was_changed_here_stays_where_the_source_did_not_change_it(runs: Runs) -> None:
    runs.one([person(1)])
    runs.change("UPDATE talent_sync.talents SET headline = 'Lead', version = version + 1, updated_at = now()")
    report = runs.one([person(1, location="Leeds")])
    assert (report.updated, report.conflicts) == (1, 0)
    found = runs.talents()["p-1"]
    assert (found["headline"], found["location"], found["version"]) == ("Lead", "Leeds", 3)


@pytest.mark.parametrize(
    ("policy", "when", "headline", "resolution"),
    [
        ("source", "2026-05-01T12:00:00Z", "Theirs", "source"),
        ("target", "2026-05-01T12:00:00Z", "Ours", "target"),
        ("manual", "2026-05-01T12:00:00Z", "Ours", "open"),
        ("newest", "2020-05-01T12:00:00Z", "Ours", "target"),
        ("newest", "2099-05-01T12:00:00Z", "Theirs", "source"),
        ("newest", None, "Ours", "open"),
    ],
)
def test_a_field_that_both_sides_changed(
    runs: Runs, policy: str, when: str | None, headline: str, resolution: str
) -> None:
    runs.target = {"conflictPolicy": {"default": policy}}
    runs.one([person(1, headline="Before")])
    runs.change("UPDATE talent_sync.talents SET headline = 'Ours', version = version + 1, updated_at = now()")
    report = runs.one([person(1, headline="Theirs", updated_at=when)])
    assert runs.talents()["p-1"]["headline"] == headline
    assert (report.conflicts, report.resolved) == (1, int(resolution != "open"))
    (conflict,) = runs.rows("SELECT * FROM talent_sync.sync_conflicts")
    assert (conflict["field"], conflict["resolution"]) == ("headline", resolution)
    if when == "2099-05-01T12:00:00Z":
        assert conflict["reason"] == "the source's change is the later one", (
            "a clock that is ahead wins, and is told"
        )
    assert (conflict["base"], conflict["source"], conflict["target"]) == ("Before", "Theirs", "Ours")
    assert conflict["reason"]
    again = runs.one()
    assert (again.unchanged, again.conflicts) == (1, 0), "a conflict is had once"


def test_lists_that_both_sides_changed_are_merged(runs: Runs) -> None:
    runs.target = {"conflictPolicy": {"fields": {"skills": "fieldMerge"}}}
    runs.one([person(1, skills=["Python", "SQL"])])
    runs.change(
        """UPDATE talent_sync.talents SET skills = '["Python", "SQL", "Go"]', version = 2, updated_at = now()"""
    )
    report = runs.one([person(1, skills=["Python", "Kafka"])])
    assert runs.talents()["p-1"]["skills"] == ["Python", "Go", "Kafka"]
    assert (report.conflicts, report.resolved) == (1, 1)


BAD = [
    (b'{"id": "p-1", "full_name": "\xff"}', "record: is not UTF-8"),
    ('{"id": "p-1", ', "record: is not JSON"),
    ("[1, 2]", "record: is no JSON object"),
    ('{"id": "p-1", "full_name": "A", "full_name": "B"}', "record: has the same member twice"),
    ({"full_name": "No Key"}, "id: the source's own id is asked for, of 1 to 128 characters"),
    ({"id": "x" * 129, "full_name": "Long Key"}, "id: the source's own id is asked for"),
    (person(1, full_name=7), "full_name: Expected `str`, got `int`"),
    (person(1, updated_at="soon"), "updated_at: write a time as 2026-05-01T12:00:00Z"),
    (person(1, favourite_colour="red"), "favourite_colour: is not a known field"),
    (person(1, source={"type": "resume"}), "source: is not a known field"),
    (person(1, email="nobody"), "email: "),
    (person(1, headline="a\x00b"), "headline: "),
    (person(1, summary="x" * 10_000_000), "record: is longer than"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_is_no_record_is_quarantined_and_the_rest_lands(runs: Runs, bad: object, reason: str) -> None:
    report = runs.one([person(100), bad, person(101)])
    assert (report.created, report.quarantined, report.verified) == (2, 1, 3)
    ((_, (found, *_)),) = errors(runs)
    assert found.startswith(reason)
    again = runs.one()
    assert (again.unchanged, again.quarantined) == (2, 1)
    assert len(errors(runs)) == 1, "the same wrong record is one entry"


def test_of_two_records_with_one_key_the_second_is_quarantined(runs: Runs) -> None:
    rows = [person(1), person(2), person(1, headline="Again"), *(person(n) for n in range(3, 9)), person(2)]
    report = runs.one(rows)
    assert (report.created, report.quarantined, report.verified) == (8, 2, 10)
    assert errors(runs) == [
        ("p-1", ["key: the record at 1 has the same key"]),
        ("p-2", ["key: the record at 2 has the same key"]),
    ]
    assert runs.talents()["p-1"]["headline"] is None


def test_a_later_good_record_closes_its_quarantine(runs: Runs) -> None:
    runs.one([person(1, email="nobody")])
    assert len(errors(runs)) == 1
    runs.one([person(1)])
    assert errors(runs) == []
    assert len(errors(runs, "superseded")) == 1


def test_a_known_record_that_becomes_bad_stays_as_it_was(runs: Runs) -> None:
    runs.target = {"onMissing": "delete"}
    runs.one([person(1), person(2)])
    report = runs.one([person(1, email="nobody"), person(2)])
    assert (report.quarantined, report.deleted, report.updated) == (1, 0, 0)
    assert runs.talents()["p-1"]["email"] == "ada.1@mail.example"


def test_what_the_source_has_no_more_is_deleted_and_comes_back(runs: Runs) -> None:
    runs.target = {"onMissing": "delete"}
    runs.one([person(1), person(2), person(3)])
    report = runs.one([person(1), person(3)])
    assert (report.deleted, report.unchanged) == (1, 2)
    assert set(runs.talents()) == {"p-1", "p-3"}
    back = runs.one([person(1), person(2), person(3)])
    assert (back.updated, back.created, back.deleted) == (1, 0, 0)
    assert runs.talents()["p-2"]["version"] == 3, "the same record, not another one"


def test_unless_asked_nothing_is_deleted(runs: Runs) -> None:
    runs.one([person(1), person(2)])
    assert runs.one([person(1)]).deleted == 0
    assert set(runs.talents()) == {"p-1", "p-2"}


@pytest.mark.parametrize(
    ("policy", "back"), [("source", True), ("target", False), ("manual", False), ("newest", False)]
)
def test_a_record_that_was_deleted_here_and_changed_there(runs: Runs, policy: str, back: bool) -> None:
    runs.target = {"conflictPolicy": {"default": policy}}
    runs.one([person(1)])
    runs.change("UPDATE talent_sync.talents SET deleted_at = now(), version = 2, updated_at = now()")
    assert runs.one().unchanged == 1, "deleted here, and the source says nothing new"
    report = runs.one([person(1, headline="New")])
    assert ("p-1" in runs.talents()) is back
    assert (report.conflicts, report.resolved) == (1, int(policy != "manual"))


def test_records_that_are_not_good_enough_are_quarantined(runs: Runs) -> None:
    runs.target = {"validation": {"minQuality": 101}}
    report = runs.one([person(1)])
    assert report.quarantined == 1
    ((_, (reason,)),) = errors(runs)
    assert reason.startswith("quality: is ")


def test_what_is_refused_can_be_left_out_or_end_the_run(runs: Runs) -> None:
    rows = [person(1), person(2, email="nobody")]
    runs.target = {"validation": {"onInvalid": "skip"}}
    report = runs.one(rows)
    assert (report.created, report.failed, report.quarantined, report.verified) == (1, 1, 0, 1)
    assert errors(runs) == []
    runs.target = {"validation": {"onInvalid": "fail"}}
    (report,) = runs.run(rows)
    assert (report.state, runs.codes) == ("Failed", [ExitCode.BAD_INPUT])
    assert "record at 2: email: " in report.message
    assert "nobody" not in report.message


def test_a_csv_file_is_read_as_well(runs: Runs) -> None:
    runs.source = {"type": "csv", "path": "people.csv"}
    runs.write(["id,full_name,phone,skills", "1,Ada,'+44 20 7946 0142,Python; SQL", "2,,,"], "people.csv")
    report = runs.one()
    assert (report.created, report.quarantined) == (1, 1)
    assert runs.talents()["1"]["phone"] == "+44 20 7946 0142"
    assert runs.talents()["1"]["skills"] == ["Python", "SQL"]
    assert errors(runs) == [("2", ["full_name: is required"])]


def test_companies_and_jobs_are_brought_in(runs: Runs) -> None:
    runs.target = {"entity": "company"}
    assert runs.one([{"id": 1, "name": "Harbour Ltd"}]).created == 1
    runs.target = {"entity": "job"}
    job = {"id": 1, "title": "Engineer", "opens_on": "2026-01-05", "salary": {"min": 10, "max": 20}}
    assert runs.one([job]).created == 1
    (found,) = runs.rows("SELECT title, opens_on::text, salary FROM talent_sync.jobs")
    assert found["opens_on"] == "2026-01-05"
    assert found["salary"]["max"] == 20
    assert runs.one([{**job, "opens_on": "2026-01-06"}]).updated == 1


def test_a_file_that_is_not_there_ends_the_run(runs: Runs) -> None:
    (report,) = runs.run()
    assert (report.state, runs.codes) == ("Failed", [ExitCode.BAD_INPUT])
    assert "people.jsonl cannot be read" in report.message


def test_a_policy_of_no_field_ends_the_run(runs: Runs) -> None:
    runs.target = {"conflictPolicy": {"fields": {"headlines": "source"}}}
    (report,) = runs.run([person(1)])
    assert "a talent has no field headlines" in report.message


def test_a_record_that_was_altered_behind_everybodys_back_is_found_and_repaired(runs: Runs) -> None:
    runs.one([person(1), person(2)])
    runs.change("UPDATE talent_sync.talents SET headline = 'Altered' WHERE source_ref = 'people:p-1'")
    report = runs.one()
    assert (report.updated, report.verified) == (1, 2)
    assert report.message.endswith(
        "2 of 2 found again; 1 were not as they had been written and were put right"
    )
    assert runs.talents()["p-1"]["headline"] is None
    entries = runs.rows(
        "SELECT origin, changes FROM talent_sync.record_history WHERE action = 'update' ORDER BY id"
    )
    assert entries == [
        {"origin": "api", "changes": {"headline": {"before": None, "after": "Altered"}}},
        {"origin": "repair", "changes": {"headline": {"before": "Altered", "after": None}}},
    ]


def test_both_checksums_of_each_shard_are_alike_and_those_of_another_source_are_not(runs: Runs) -> None:
    rows = [person(number, email="nobody" if number == 3 else None) for number in range(20)]
    runs.run(rows, shards=2)
    runs.run([*rows[:-1], person(19, headline="Analyst")], shards=2)
    found = runs.rows("SELECT epoch, shard, verification FROM talent_sync.sync_shards ORDER BY epoch, shard")
    for row in found:
        checked = row["verification"]
        assert checked["source_checksum"] == checked["stored_checksum"] != "0" * 16
        assert checked["looked"] == checked["held"] > 0
    sums = [
        [row["verification"]["source_checksum"] for row in found if row["epoch"] == epoch] for epoch in (1, 2)
    ]
    assert len({*sums[0], *sums[1]}) == 3, "of one shard the source had another record"


def test_a_worker_of_an_earlier_epoch_writes_nothing(runs: Runs) -> None:
    runs.write([person(1), person(2)])
    runs.epoch = runs.server.epoch = 7
    given = runs.inputs(batch=1)
    old = runs.worker(given)
    old.resume(given, None)
    (batch, *_) = old.batches(given, "")
    runs.one()
    runs.change("UPDATE talent_sync.talents SET deleted_at = now()")
    with pytest.raises(FencedError, match="epoch 7 is over"):
        old.write(given, batch)
    assert runs.talents() == {}
    assert run(runs.worker(given), given, seen_by(runs.server, given)) == ExitCode.FENCED
    old.close()


def test_tenants_do_not_see_each_others_runs(runs: Runs, database_urls: DatabaseUrls, tmp_path: Path) -> None:
    runs.one([person(1), person(2, email="nobody")])
    other = Runs(database_urls, f"{runs.tenant}-other", tmp_path)
    for table in ("talents", "quarantine", "sync_states", "sync_shards", "sync_fences", "sync_conflicts"):
        assert other.rows(f"SELECT * FROM talent_sync.{table}") == []  # noqa: S608 - names of this list
    assert other.one([person(1)]).created == 1
    assert runs.talents()["p-1"]["id"] != other.talents()["p-1"]["id"]


def test_a_sync_job_that_is_made_anew_goes_on_with_the_records_of_the_earlier_one(runs: Runs) -> None:
    runs.target = {"onMissing": "delete"}
    for _ in range(3):
        runs.one([person(1), person(2)])
    runs.uid, runs.epoch = "uid-2", 0
    report = runs.one([person(1)])
    assert (report.unchanged, report.quarantined, report.deleted) == (1, 0, 1)


def test_a_worker_of_the_sync_job_that_was_there_before_writes_nothing(runs: Runs) -> None:
    runs.write([person(1)])
    runs.epoch = runs.server.epoch = 9
    given = runs.inputs()
    old = runs.worker(given)
    old.resume(given, None)
    (batch, *_) = old.batches(given, "")
    runs.uid, runs.epoch = "uid-2", 0
    runs.one([person(2)])
    with pytest.raises(FencedError):
        old.write(given, batch)
    old.close()
    assert set(runs.talents()) == {"p-2"}


def test_a_job_of_a_company_that_is_not_there_is_quarantined(runs: Runs) -> None:
    runs.target = {"entity": "company"}
    runs.one([{"id": 1, "name": "Harbour Ltd"}])
    (company,) = runs.rows("SELECT id::text FROM talent_sync.companies")
    runs.target = {"entity": "job"}
    nobody = "01a21c31-88ef-716a-886f-3d3035b10caf"
    report = runs.one(
        [
            {"id": 1, "title": "Engineer", "company_id": company["id"]},
            {"id": 2, "title": "Analyst", "company_id": nobody},
            {"id": 3, "title": "Clerk", "company_id": "Harbour"},
        ]
    )
    assert (report.created, report.quarantined) == (1, 2)
    assert errors(runs)[0] == ("2", ["company_id: there is none with this id"])


def test_a_company_with_open_jobs_stays_until_they_are_closed(runs: Runs) -> None:
    runs.target = {"entity": "company", "onMissing": "delete"}
    runs.one([{"id": 1, "name": "Harbour Ltd"}, {"id": 2, "name": "Fernway"}])
    runs.change(
        """INSERT INTO talent_sync.jobs (id, title, company_id, status, language, source_type)
        SELECT gen_random_uuid(), 'Engineer', id, 'open', 'en', 'manual' FROM talent_sync.companies
        WHERE name = 'Harbour Ltd'"""
    )
    assert runs.one([{"id": 3, "name": "Brindle"}]).deleted == 1
    runs.change("UPDATE talent_sync.jobs SET status = 'closed'")
    assert runs.one([{"id": 3, "name": "Brindle"}]).deleted == 1


def test_relations_go_with_a_person_whom_the_source_has_no_more(runs: Runs) -> None:
    runs.target = {"onMissing": "delete"}
    runs.one([person(1), person(2)])
    ids = {key: row["id"] for key, row in runs.talents().items()}
    runs.change(
        """INSERT INTO talent_sync.relations (id, kind, talent_id, other_talent_id, source_type)
        VALUES (gen_random_uuid(), 'knows', %(one)s, %(other)s, 'manual')""",
        one=ids["p-1"],
        other=ids["p-2"],
    )
    runs.one([person(1)])
    (relation,) = runs.rows("SELECT deleted_at, version FROM talent_sync.relations")
    assert (relation["deleted_at"] is not None, relation["version"]) == (True, 2)


def test_what_a_run_does_is_in_the_history_with_who_did_it(runs: Runs) -> None:
    runs.one([person(1)])
    runs.one([person(1, headline="Analyst")])
    found = runs.rows(
        "SELECT action, actor, origin, changes FROM talent_sync.record_history ORDER BY changed_at, id"
    )
    assert [(row["action"], row["actor"], row["origin"]) for row in found] == [
        ("create", "syncjob:looma/people", "sync"),
        ("update", "syncjob:looma/people", "sync"),
    ]
    assert found[1]["changes"] == {"headline": {"before": None, "after": "Analyst"}}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\x00", "\ud800", "a\x00b", "9" * 400, "\N{REPLACEMENT CHARACTER}", "=1+1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["id", "updated_at", *TalentDraft.__struct_fields__]
ODD = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5).map(json.dumps),
    st.fixed_dictionaries(
        {"id": st.text(max_size=5), "full_name": st.just("Ada")}, optional=dict.fromkeys(FIELDS[3:], JSON)
    ).map(json.dumps),
    JSON.map(json.dumps),
    st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(ODD, max_size=12))
def test_whatever_stands_in_a_file_the_rest_lands(runs: Runs, lines: list[str | bytes]) -> None:
    number = runs.epoch
    good = [person(f"first-{number}"), person(f"last-{number}")]
    report = runs.one([good[0], *lines, good[1]], batch=5)
    assert report.verified == report.read == report.total
    assert report.failed == 0
    assert {f"p-first-{number}", f"p-last-{number}"} <= set(runs.talents())
