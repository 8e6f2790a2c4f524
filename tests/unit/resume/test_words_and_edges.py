"""Edges of the parser's small questions: dates, degrees, titles, organisations, places, and where entries part."""

from __future__ import annotations

import pytest

from looma_engines.resume.parsing import recognise
from looma_engines.resume.parsing.dates import find_dates
from looma_engines.resume.parsing.degrees import find_degree
from support.resume_texts import english

DATES: dict[str, tuple[str, list[tuple[str | None, str | None, str]]]] = {
    "the first month takes the year of the last": (
        "10月-2019年12月",
        [("2019-10", "2019-12", "10月-2019年12月")],
    ),
    "two single dates": (
        "May 2019, June 2020",
        [("2019-05", None, "May 2019"), ("2020-06", None, "June 2020")],
    ),
    "a range backwards is two dates": (
        "2021-05 - 2019-03",
        [("2021-05", None, "2021-05"), ("2019-03", None, "2019-03")],
    ),
    "the day first": ("25/12/2019", [("2019-12", None, "25/12/2019")]),
}


@pytest.mark.parametrize("which", DATES)
def test_dates_at_their_edges(which: str) -> None:
    text, expected = DATES[which]
    found = [
        (
            span.first.iso() if span.first else None,
            span.last.iso() if span.last else None,
            text[span.start : span.end],
        )
        for span in find_dates(text)
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("as me ma be", None),
        ("MA", "MA"),
        ("Minor in Music", None),
        ("Master in Marine Biology", "Master"),
        ("Studies as Master, Lakeside", None),
        ("the diploma hangs on the wall", None),
        ("Diploma, Lakeside College", "Diploma"),
    ],
)
def test_words_that_are_degrees_only_in_company(text: str, degree: str | None) -> None:
    found = find_degree(text)
    assert (text[found[0] : found[1]] if found else None) == degree


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("", 0),
        ("---", 0),
        ("负责港口调度系统的接口测试与性能测试以及回归测试工作的高级测试工程师", 0),
        ("Fjordline Engineers Ltd", 1),
        ("Test Engineer.", 0),
        ("Engineering Manager", 2),
    ],
)
def test_titles_at_their_edges(text: str, strength: int) -> None:
    assert recognise.title_strength(text) == strength


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("", 0),
        ("...", 0),
        ("harbour bank", 0),
        ("Harbour Bank", 2),
        ("Bank of the Harbour", 1),
        ("青岛海蓝（集团）", 0),
        ("青岛海蓝集团（青岛）", 2),
    ],
)
def test_organisations_at_their_edges(text: str, strength: int) -> None:
    assert recognise.organisation_strength(text) == strength


PARTED: dict[str, tuple[tuple[str, ...], list[tuple[str | None, str | None]]]] = {
    "a line above the date that no list knows opens the entry": (
        (
            *("Test Engineer\t2017 - 2019", "Fjordline", "• Tested ferries"),
            *("Blue Lagoon", "Cloud Engineer\t2014 - 2016", "• Ran clusters"),
        ),
        [("Test Engineer", "Fjordline"), ("Cloud Engineer", "Blue Lagoon")],
    ),
    "a gap parts a description's last line from the next entry": (
        (
            *("Test Engineer, Fjordline Ltd\t2017 - 2019", "• Tested ferries", "Sailing on weekends", ""),
            *("Cloud Engineer, Harbour Ltd\t2014 - 2016", "• Ran clusters"),
        ),
        [("Test Engineer", "Fjordline Ltd"), ("Cloud Engineer", "Harbour Ltd")],
    ),
    "entries without descriptions, two lines each": (
        (
            *("Test Engineer\t2017 - 2019", "Fjordline Ltd"),
            *("Cloud Engineer\t2014 - 2016", "Harbour Ltd"),
            *("Data Analyst\t2012 - 2014", "Lagoon Ltd"),
        ),
        [
            ("Test Engineer", "Fjordline Ltd"),
            ("Cloud Engineer", "Harbour Ltd"),
            ("Data Analyst", "Lagoon Ltd"),
        ],
    ),
    "entries without descriptions, the date last": (
        (
            *("Fjordline Ltd", "Test Engineer, 2017 - 2019"),
            *("Harbour Ltd", "Cloud Engineer, 2014 - 2016"),
        ),
        [("Test Engineer", "Fjordline Ltd"), ("Cloud Engineer", "Harbour Ltd")],
    ),
    "a gap below a header ends it": (
        (
            *("Fjordline Ltd", "Test Engineer\t2017 - 2019", "", "Ferries and their engines"),
            *("Harbour Ltd", "Cloud Engineer\t2014 - 2016"),
        ),
        [("Test Engineer", "Fjordline Ltd"), ("Cloud Engineer", "Harbour Ltd")],
    ),
}


@pytest.mark.parametrize("which", PARTED)
def test_where_one_entry_ends_and_the_next_begins(which: str) -> None:
    lines, expected = PARTED[which]
    found = english("EXPERIENCE", *lines)
    assert [(job.title, job.company) for job in found.experience] == expected


def test_what_stands_between_entries_belongs_to_the_one_before() -> None:
    lines, _ = PARTED["a gap parts a description's last line from the next entry"]
    first, second = english("EXPERIENCE", *lines).experience
    assert (first.description, second.description) == (
        "• Tested ferries\nSailing on weekends",
        "• Ran clusters",
    )
