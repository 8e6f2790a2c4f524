"""Which field is taken from where, how values of databases become JSON's, and which part of a source a run reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from looma_core.api.relation import RelationFields
from looma_core.api.syncjob import CsvSource, Incremental, JsonlSource, PostgresqlSource
from looma_engines.talent_sync.syncing.source_row import SourceRow
from looma_engines.talent_sync.syncing.sources.making import row_of
from looma_engines.talent_sync.syncing.sources.mapping import picked, wrong_paths
from looma_engines.talent_sync.syncing.sources.plain import plain
from looma_engines.talent_sync.syncing.spans import Run, Span, duration, form_of, next_span, watermark_of

DOCUMENT: dict[str, Any] = {
    "name": "Ada",
    "contact": {"email": "ada@mail.example", "phones": ["+44 1", "+44 2"]},
    "tags": [{"label": "Python"}, {"label": "SQL"}, {}],
    "posts": [{"employer": "Analytical", "role": "Engineer"}, {"role": "Analyst"}],
    "pay.from": 10,
    "nothing": None,
}
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({"full_name": "name"}, {"full_name": "Ada"}),
        ({"email": "contact.email"}, {"email": "ada@mail.example"}),
        ({"phone": "contact.phones[1]"}, {"phone": "+44 2"}),
        ({"phone": "contact.phones[7]"}, {}),
        ({"skills": "tags[*].label"}, {"skills": ["Python", "SQL"]}),
        ({"skills": "contact.phones[*]"}, {"skills": ["+44 1", "+44 2"]}),
        ({"salary.min": "pay.from"}, {"salary": {"min": 10}}),
        (
            {"experience[].company": "posts[*].employer", "experience[].title": "posts[*].role"},
            {"experience": [{"company": "Analytical", "title": "Engineer"}, {"title": "Analyst"}]},
        ),
        ({"headline": "missing"}, {}),
        ({"headline": "nothing"}, {"headline": None}),
        ({"headline": "nothing.more"}, {}),
        ({"experience[].title": "missing[*].role"}, {}),
    ],
)
def test_fields_are_taken_from_their_paths(fields, taken):
    assert picked(DOCUMENT, fields) == (taken, ())


@pytest.mark.parametrize(
    ("fields", "strict", "field", "words"),
    [
        ({"email": "name.email"}, False, "email", "no object where name.email goes on"),
        ({"phone": "contact[0]"}, False, "phone", "no list where"),
        ({"experience[].title": "name[*].role"}, False, "experience", "no list where"),
        (
            {"experience[].a": "posts[*].role", "experience[].b": "tags[*].label"},
            False,
            "experience",
            "number",
        ),
        ({"headline": "missing"}, True, "headline", "has no missing any more"),
    ],
)
def test_a_source_that_has_changed_is_a_fault_of_the_record_and_its_field(fields, strict, field, words):
    taken, (fault,) = picked(DOCUMENT, {"full_name": "name", **fields}, strict=strict)
    assert taken["full_name"] == "Ada"
    assert fault.field == field
    assert words in fault.message


def test_paths_that_cannot_be_read_are_named():
    assert wrong_paths({"email": "contact.email", "experience[].title": "posts[*].role"}) == []
    wrong = wrong_paths(
        {"email": "contact..email", "Skills": "a", "phone": "p[x]", "experience[].title": "posts"}
    )
    assert [sentence.split(":")[0] for sentence in wrong] == [
        "fields.email",
        "fields.Skills",
        "fields.phone",
        "fields.experience[].title",
    ]


def test_what_nobody_takes_makes_no_record_another_one():
    source = JsonlSource(path="people.jsonl", key="number", updated_at="at", fields={"full_name": "name"})

    def row(**changes):
        values = {"number": 7, "at": "2026-05-01T12:00:00Z", "name": "Ada", "seen": 1, **changes}
        return row_of(values, position=1, source=source, entity="talent")

    assert (row().key, row().values, row().updated_at) == ("7", {"full_name": "Ada"}, NOW)
    assert row().digest == row(seen=2).digest
    assert row().digest != row(name="Bea").digest
    assert b"seen" not in row().raw


CELLS = {
    "id": "r-1",
    "updated_at": "2026-05-01T12:00:00Z",
    "kind": "works_at",
    "talent_id": "p-7",
    "company_id": "c-3",
    "job_id": "",
    "other_talent_id": "",
    "title": "Engineer",
    "starts_on": "2020-03-01",
    "ends_on": "",
    "note": "'=1+1",
}
RELATION: dict[str, Any] = {
    "kind": "works_at",
    "talent_id": "p-7",
    "company_id": "c-3",
    "job_id": None,
    "other_talent_id": None,
    "title": "Engineer",
    "starts_on": "2020-03-01",
    "ends_on": None,
    "note": "=1+1",
}
RELATIONS_FILE = CsvSource(path="relations.csv")


def relation_of(cells: dict[str, str], source: CsvSource = RELATIONS_FILE) -> SourceRow:
    return row_of(cells, position=2, source=source, entity="relation", cells=True)


def test_cells_of_a_relation_become_a_draft_that_may_name_its_ends_by_keys():
    row = relation_of(CELLS)
    assert (row.key, row.updated_at, row.faults) == ("r-1", NOW, ())
    assert row.values == RELATION
    assert set(RELATION) == set(RelationFields.__struct_fields__)


def test_of_an_exported_relation_the_names_of_its_ends_are_passed_over():
    names = {"talent_name": "Ada", "company_name": "Harbour", "job_title": "", "other_talent_name": ""}
    beside = {"version": "3", "source_type": "manual", "source_ref": "", "created_at": "2026-05-01"}
    assert relation_of({**CELLS, **names, **beside}).values == RELATION


def test_columns_that_a_relation_has_not_are_left_out_of_its_draft():
    some = {name: CELLS[name] for name in ("id", "kind", "talent_id", "company_id")}
    assert relation_of(some).values == {name: RELATION[name] for name in some if name != "id"}


def test_fields_of_a_relation_are_taken_from_other_columns():
    fields = {"kind": "what", "talent_id": "who", "company_id": "where"}
    source = CsvSource(path="staff.csv", key="number", updated_at="at", fields=fields)
    cells = {"number": "7", "at": "", "what": "works_at", "who": "p-7", "where": "c-3", "pay": "12"}
    row = relation_of(cells, source)
    assert (row.key, row.values, row.faults) == (
        "7",
        {"kind": "works_at", "talent_id": "p-7", "company_id": "c-3"},
        (),
    )


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"kind": ""}, "kind", "is required"),
        ({"talent_id": ""}, "talent_id", "is required"),
        ({"pay": "12"}, "pay", "is not a known column"),
    ],
)
def test_a_wrong_cell_of_a_relation_is_a_fault_of_its_column(changes, field, words):
    row = relation_of({**CELLS, **changes})
    (fault,) = row.faults
    assert (fault.field, row.values, row.key) == (field, {}, "r-1")
    assert words in fault.message


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (True, True),
        (7, 7),
        (Decimal("7.00"), 7),
        (Decimal("7.5"), 7.5),
        (float("nan"), "nan"),
        (Decimal("Infinity"), "Infinity"),
        (datetime(2026, 5, 1, 12), "2026-05-01T12:00:00+00:00"),  # noqa: DTZ001 - as a driver gives it
        (date(2026, 5, 1), "2026-05-01"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x01\xff", "01ff"),
        ([{"a": (1, Decimal(2))}], [{"a": [1, 2]}]),
    ],
)
def test_values_become_those_of_json(value, json):
    found = plain(value)
    assert (found, type(found)) == (json, type(json))


def run(*, since: datetime | None = None, watermark: datetime | None = NOW, form: str = "f") -> Run:
    return Run(span=Span(until=NOW, form=form, since=since), watermark=watermark)


ALWAYS, THIRD = Incremental(overlap="1h"), Incremental(overlap="1h", full_every=3)


@pytest.mark.parametrize(
    ("asked", "past", "since", "full_in"),
    [
        (None, [run()], None, None),
        (ALWAYS, [], None, None),
        (ALWAYS, [run(watermark=None)], None, None),
        (ALWAYS, [Run(span=None, watermark=NOW)], None, None),
        (ALWAYS, [run(form="other")], None, None),
        (ALWAYS, [run()], NOW - HOUR, None),
        (ALWAYS, [run(since=NOW)] * 50, NOW - HOUR, None),
        (THIRD, [], None, 3),
        (THIRD, [run()], NOW - HOUR, 2),
        (THIRD, [run(since=NOW), run()], NOW - HOUR, 1),
        (THIRD, [run(since=NOW), run(since=NOW), run()], None, 3),
        (THIRD, [run(since=NOW)] * 2, None, 3),
    ],
)
def test_a_run_reads_all_or_what_changed(asked, past, since, full_in):
    span = next_span(asked=asked, form="f", past=past, now=NOW + HOUR)
    assert (span.since, span.full, span.until) == (since, since is None, NOW + HOUR)
    assert span.before == (NOW if since else None)
    assert span.full_in == full_in


@pytest.mark.parametrize(
    ("until", "before", "latest", "watermark"),
    [
        (NOW, None, None, None),
        (NOW, None, NOW - HOUR, NOW - HOUR),
        (NOW, None, NOW + HOUR, NOW),
        (NOW, NOW - HOUR, None, NOW - HOUR),
        (NOW, NOW - HOUR, NOW - 2 * HOUR, NOW - HOUR),
        (NOW, NOW - HOUR, NOW, NOW),
    ],
)
def test_the_watermark_is_neither_after_what_was_read_nor_before_what_it_was(
    until, before, latest, watermark
):
    assert watermark_of(Span(until=until, before=before), latest) == watermark


def test_what_makes_other_records_is_another_form_and_a_word_too():
    source = PostgresqlSource(url="postgresql://crm.example/crm", table="people")
    assert form_of(source) == form_of(PostgresqlSource(url=source.url, table="people"))
    others = [
        PostgresqlSource(url=source.url, table="people", fields={"full_name": "name"}),
        PostgresqlSource(url="postgresql://other.example/crm", table="people"),
        PostgresqlSource(url=source.url, table="people", incremental=Incremental(full="again")),
    ]
    assert len({form_of(each) for each in [source, *others]}) == 4
    slow = Incremental(full="again", overlap="2h", full_every=9)
    assert form_of(PostgresqlSource(url=source.url, table="people", incremental=slow)) == form_of(others[2])


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400)])
def test_overlaps_are_times(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)
