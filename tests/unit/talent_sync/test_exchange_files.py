"""The flat form of records and files of them: what was written is read back, and faulty rows are told one by one."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft, Salary
from looma_core.api.person import Education, Experience
from looma_core.api.relation import RelationDraft
from looma_core.api.talent import TalentDraft
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.exchange.cells import defused, joined, restored, split
from looma_engines.talent_sync.exchange.columns import BESIDE, COLUMNS, column_of, from_columns, to_columns
from looma_engines.talent_sync.exchange.reading import MAX_ROW_BYTES, Row, RowFault, count_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looma_engines.talent_sync.exchange.reading import Format

DRAFTS: dict[str, type[msgspec.Struct]] = {
    "talent": TalentDraft,
    "company": CompanyDraft,
    "job": JobDraft,
    "relation": RelationDraft,
}

# What spreadsheets and separators make much of comes often.
TEXTS = st.text(
    st.one_of(st.sampled_from("'=+-@＝＋－＠\t\r\n ;；\\\",\ufeff"), st.characters(codec="utf-8"))
)
LINES = TEXTS.map(lambda text: text[:300])
NAMES = TEXTS.filter(bool)
OPTIONAL = st.none() | LINES
LISTS = st.lists(NAMES, max_size=4)
MONTHS = st.none() | st.sampled_from(["2021", "2021-03"])
EXPERIENCE = st.builds(Experience, title=OPTIONAL, company=OPTIONAL, start=MONTHS, description=OPTIONAL)
EDUCATION = st.builds(Education, institution=OPTIONAL, degree=OPTIONAL, end=MONTHS)
SALARIES = st.builds(
    Salary,
    min=st.none() | st.integers(0, 10**9),
    max=st.none() | st.integers(0, 10**9),
    currency=st.sampled_from(["CNY", "GBP"]),
    per=st.sampled_from(["hour", "year"]),
)
LANGUAGES = st.sampled_from(["zh", "en"])
TALENTS = st.builds(
    TalentDraft,
    full_name=NAMES,
    email=OPTIONAL,
    phone=OPTIONAL,
    location=OPTIONAL,
    headline=OPTIONAL,
    summary=OPTIONAL,
    language=LANGUAGES,
    skills=LISTS,
    experience=st.lists(EXPERIENCE, max_size=3),
    education=st.lists(EDUCATION, max_size=3),
)
COMPANIES = st.builds(
    CompanyDraft,
    name=NAMES,
    aliases=LISTS,
    registration_number=OPTIONAL,
    website=OPTIONAL,
    industry=OPTIONAL,
    size=st.sampled_from([None, "1-10", "5001+"]),
    location=OPTIONAL,
    description=OPTIONAL,
    language=LANGUAGES,
)
JOBS = st.builds(
    JobDraft,
    title=NAMES,
    company_id=st.none() | st.uuids(),
    company_name=OPTIONAL,
    status=st.sampled_from(["draft", "open"]),
    location=OPTIONAL,
    workplace=st.sampled_from([None, "on-site"]),
    employment=st.sampled_from([None, "full-time"]),
    description=OPTIONAL,
    skills=LISTS,
    experience_years=st.none() | st.integers(0, 60),
    degree=st.sampled_from([None, "bachelor"]),
    salary=st.none() | SALARIES,
    openings=st.integers(1, 10_000),
    opens_on=st.none() | st.dates(),
    closes_on=st.none() | st.dates(),
    language=LANGUAGES,
)
RELATIONS = st.builds(
    RelationDraft,
    kind=st.sampled_from(["works_at", "knows"]),
    talent_id=st.uuids(),
    company_id=st.none() | st.uuids(),
    job_id=st.none() | st.uuids(),
    other_talent_id=st.none() | st.uuids(),
    title=OPTIONAL,
    starts_on=st.none() | st.dates(),
    ends_on=st.none() | st.dates(),
    note=OPTIONAL,
)
ANY_DRAFT = st.one_of(
    TALENTS.map(lambda draft: ("talent", draft)),
    COMPANIES.map(lambda draft: ("company", draft)),
    JOBS.map(lambda draft: ("job", draft)),
    RELATIONS.map(lambda draft: ("relation", draft)),
)


def csv_of(rows: list[dict[str, str]], **dialect: Any) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def read(data: bytes, file_format: Format = "csv", *, piece: int = 7) -> list[Row | RowFault]:
    found = list(read_rows((data[at : at + piece] for at in range(0, len(data), piece)), file_format))
    assert count_rows((data[at : at + piece] for at in range(0, len(data), piece)), file_format) == len(found)
    return found


@pytest.mark.parametrize("name", DRAFTS)
def test_every_field_of_a_draft_has_its_column(name: str) -> None:
    wanted = {field.name for field in msgspec.structs.fields(DRAFTS[name])} - {"source"}
    assert {column.field for column in COLUMNS[name].values()} == wanted
    required = {field.name for field in msgspec.structs.fields(DRAFTS[name]) if field.required}
    assert {column.field for column in COLUMNS[name].values() if column.required} == required


@given(ANY_DRAFT)
def test_a_draft_comes_back_from_its_columns(named: tuple[str, Any]) -> None:
    name, draft = named
    assert msgspec.convert(from_columns(name, to_columns(name, draft)), DRAFTS[name]) == draft


@given(st.lists(TALENTS, min_size=1, max_size=4), st.sampled_from(",;\t"), st.integers(1, 40))
def test_drafts_come_back_from_a_file(drafts: list[TalentDraft], delimiter: str, piece: int) -> None:
    data = csv_of([to_columns("talent", draft) for draft in drafts], delimiter=delimiter)
    found = [
        msgspec.convert(from_columns("talent", row.values), TalentDraft)
        for row in only_rows(read(data, piece=piece))
    ]
    assert found == drafts


def only_rows(found: list[Row | RowFault]) -> Iterator[Row]:
    for row in found:
        assert isinstance(row, Row), row
        yield row


@given(ANY_DRAFT)
def test_no_cell_is_a_formula(named: tuple[str, Any]) -> None:
    name, draft = named
    for cell in to_columns(name, draft).values():
        assert not cell.strip().startswith(tuple("=+-@＝＋－＠"))
        assert not cell.startswith(("\t", "\r"))


@given(TEXTS)
def test_what_was_defused_is_restored(text: str) -> None:
    assert restored(defused(text)) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Ada", "Ada"),
        ("+86 139 0000 0000", "'+86 139 0000 0000"),
        ("  =1+1", "'  =1+1"),
        ("＝1", "'＝1"),
        ("\tx", "'\tx"),
        ("'=1", "''=1"),
        ("'tis", "'tis"),
        ("a-b", "a-b"),
        ("", "'"),
    ],
)
def test_a_formula_becomes_a_text(text: str, cell: str) -> None:
    assert defused(text) == cell
    assert restored(cell) == text


def test_a_cell_that_nobody_defused_stays_as_it_is() -> None:
    assert restored("+86 139 0000 0000") == "+86 139 0000 0000"


@given(LISTS)
def test_texts_come_back_from_their_cell(texts: list[str]) -> None:
    assert split(joined(texts)) == texts


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("SQL; Go", ["SQL", "Go"]),
        ("SQL;Go;", ["SQL", "Go"]),
        ("数据库；机器学习", ["数据库", "机器学习"]),
        (r"a\;b; c\\d", ["a;b", r"c\d"]),
        (r"C:\temp\new; \ ", [r"C:\temp\new", " "]),
        (";;", []),
    ],
)
def test_people_write_lists_in_their_own_way(cell: str, texts: list[str]) -> None:
    assert split(cell) == texts


def test_empty_cells() -> None:
    assert from_columns("job", {"title": "Smith", "company_name": "", "skills": "", "status": ""}) == {
        "title": "Smith",
        "company_name": None,
        "skills": [],
    }


@pytest.mark.parametrize(
    ("cells", "salary"),
    [
        ({"salary_min": "", "salary_max": "", "salary_currency": ""}, None),
        ({"salary_min": "10", "salary_max": ""}, {"min": 10, "max": None}),
        ({"salary_currency": "GBP"}, {"currency": "GBP"}),
    ],
)
def test_a_salary_has_a_column_for_each_member(cells: dict[str, str], salary: object) -> None:
    assert from_columns("job", {"title": "Smith", **cells}) == {"title": "Smith", "salary": salary}
    assert column_of("job", "salary.min") == "salary_min"
    assert column_of("job", "source.ref") == "source_ref"
    assert column_of("job", "skills[0]") == "skills[0]"


def test_every_wrong_cell_is_named() -> None:
    row = {"title": "", "salary_min": "much", "openings": "1.5", "wage": "7", "id": "passed over"}
    with pytest.raises(ValidationProblem) as refused:
        from_columns("job", row)
    told = {error.field: error.message for error in refused.value.errors}
    assert set(told) == {"title", "salary_min", "openings", "wage"}
    assert told["wage"] == "is not a known column"
    assert "much" not in str(told)


@pytest.mark.parametrize("cell", ["{}", "[", "[" * 100_000, "nonsense", "[1] [2]"])
def test_a_cell_that_is_no_json_array_is_named(cell: str) -> None:
    with pytest.raises(ValidationProblem) as refused:
        from_columns("talent", {"full_name": "Ada", "experience": cell})
    assert [error.field for error in refused.value.errors] == ["experience"]


def test_columns_of_a_draft_have_no_id_and_those_of_a_row_may() -> None:
    draft = JobDraft(title="Smith", opens_on=date(2026, 11, 1))
    assert not set(BESIDE) & set(to_columns("job", draft))
    assert from_columns("job", {**dict.fromkeys(BESIDE, "x"), "title": "Smith"}) == {"title": "Smith"}


def test_faulty_rows_are_told_and_the_rest_goes_on() -> None:
    data = (
        b"\xef\xbb\xbffull_name;email\r\n"
        b"Ada;a@example.org\r\n"
        b"B\xff;b@example.org\r\n"
        b"\r\n"
        b"C;c@example.org;more\r\n"
        b"D\r\n"
        b'"E"x;e@example.org\r\n'
        b'"F\r\nG";f@example.org\r\n'
        b'H;"not closed\r\n'
        b"I;i@example.org"
    )
    found = read(data)
    assert [(row.line, row.values["full_name"]) for row in found if isinstance(row, Row)] == [
        (2, "Ada"),
        (6, "D"),
        (8, "F\r\nG"),
        (11, "I"),
    ]
    faults = {fault.line: fault.reason for fault in found if isinstance(fault, RowFault)}
    assert set(faults) == {3, 5, 7, 10}
    assert "UTF-8" in faults[3]
    assert "more cells" in faults[5]
    assert Row(6, {"full_name": "D"}) in found
    assert "quotes" in faults[7]
    assert "quotes" in faults[10]
    assert "example.org" not in str(faults)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_lines_end_in_any_way(end: str, piece: int) -> None:
    data = end.join(["name,website", "A,a", "B,b", ""]).encode()
    assert [(row.line, row.values["name"]) for row in only_rows(read(data, piece=piece))] == [
        (2, "A"),
        (3, "B"),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfen\x00", "UTF-8"),
        (b"name,name\nA,B\n", "same name"),
        (b'"name\nA\n', "quotes"),
    ],
)
def test_a_file_without_a_header_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValidationProblem) as refused:
        read(data)
    assert message in refused.value.errors[0].message


def test_empty_columns_behind_the_last_are_passed_over() -> None:
    assert read(b"name,,\nA,,\nB\n,,\n") == [Row(2, {"name": "A"}), Row(3, {"name": "B"})]


def test_objects_one_a_line() -> None:
    data = (
        b'\xef\xbb\xbf{"name": "A"}\n'
        b"\n"
        b"[1]\n"
        b'{"name": \n'
        b'{"name": "B", "name": "C"}\n'
        b'{"name": "\xff"}\n'
        b'{"source": {"ref": "1", "ref": "2"}}\n'
        b'{"name": NaN}\n' + b'{"a":' * 100_000 + b"\n"
        b'{"name": "D"}'
    )
    found = read(data, "jsonl", piece=1000)
    assert [row for row in found if isinstance(row, Row)] == [Row(1, {"name": "A"}), Row(10, {"name": "D"})]
    assert {fault.line for fault in found if isinstance(fault, RowFault)} == {3, 4, 5, 6, 7, 8, 9}


MEMBERS = st.sampled_from(["a", "b", ":", "\\u003a", "a:", "\\n"])
OBJECTS = st.recursive(
    st.sampled_from(["1", '"x"', '":"', '"\\u003A"', "null", "[]", "1.5e3", '"\\""']),
    lambda inner: (
        st.lists(st.tuples(MEMBERS, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f'"{name}" :{value}' for name, value in pairs) + "}"
        )
        | st.lists(inner, max_size=2).map(lambda items: f"[{','.join(items)}]")
    ),
    max_leaves=8,
)


@given(OBJECTS.map(lambda text: f'{{"first": {text}}}'))
def test_a_member_that_is_there_twice_is_seen_however_it_is_written(text: str) -> None:
    repeated = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) < len(pairs)

    json.loads(text, object_pairs_hook=note)
    (found,) = read(text.encode(), "jsonl", piece=1000)
    assert isinstance(found, RowFault) is repeated


def test_a_row_that_is_too_long_is_told_and_the_rest_goes_on() -> None:
    long = b"x" * (MAX_ROW_BYTES + 1)
    found = read(b"name,website\nA,a\n" + long + b",b\nC,c\n", piece=100_000)
    assert found[0] == Row(2, {"name": "A", "website": "a"})
    assert isinstance(found[1], RowFault)
    assert found[1].line == 3
    assert found[2] == Row(4, {"name": "C", "website": "c"})
    assert [row.line for row in read(b'{"a": "' + long + b'"}\n{"a": 1}\n', "jsonl", piece=100_000)] == [1, 2]


def test_a_quote_that_is_not_closed_costs_its_own_row_alone() -> None:
    rest = b"".join(b"name %d,w\n" % number for number in range(200_000))
    found = read(b'name,website\n"A,a\n' + rest, piece=100_000)
    assert isinstance(found[0], RowFault)
    assert len(found) == 200_001


def test_quotes_that_never_fit_do_not_hold_a_process_for_hours() -> None:
    found = read(b"name,website\n" + b'x","\n' * 600_000, piece=100_000)
    assert isinstance(found[-1], RowFault)
    assert "all after it" in found[-1].reason


def test_memory_does_not_grow_with_the_file() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"name,website\n"
        for number in range(10_000):
            yield b"a company of number %d,%s\n" % (number, b"x" * 2_000)

    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(pieces(), "csv"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 10_000
    assert peak < 4 * MAX_ROW_BYTES


def test_a_file_is_read_in_pieces_even_without_lines() -> None:
    found = list(read_rows(io.BytesIO(b"name\n" + b"x" * (3 * MAX_ROW_BYTES)), "csv"))
    assert [type(row) for row in found] == [RowFault]
