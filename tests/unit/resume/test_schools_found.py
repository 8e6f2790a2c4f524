"""Schools as people write them: school or degree first, majors behind many words, remarks that are none."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from support.resume_texts import chinese, english, spans


class Found(NamedTuple):
    """What one entry must be read as."""

    institution: str | None
    degree: str | None
    major: str | None
    start: str | None
    end: str | None


ENGLISH: dict[str, tuple[tuple[str, ...], list[Found]]] = {
    "the degree first; a minor is no second school": (
        (
            "B.S. in Computer Science, Minor in Music",
            "Northfield University, Denver, CO\t2012 - 2016",
            "GPA: 3.9, Dean's List",
        ),
        [Found("Northfield University", "B.S.", "Computer Science", "2012", "2016")],
    ),
    "a college of the university is a part of it": (
        (
            "Northfield University",
            "College of Engineering",
            "Master of Science in Marine Biology",
            "Sep 2016 - Jun 2018",
        ),
        [Found("Northfield University", "Master of Science", "Marine Biology", "2016-09", "2018-06")],
    ),
    "from a school; a school behind a dash": (
        (
            "MBA from Harbour Business School, 2019",
            "Bachelor of Arts, Economics - Northfield College (2011 – 2014)",
        ),
        [
            Found("Harbour Business School", "MBA", None, None, "2019"),
            Found("Northfield College", "Bachelor of Arts", "Economics", "2011", "2014"),
        ],
    ),
    "the major behind its label": (
        ("Northfield University, 2012 - 2016", "Bachelor's Degree", "Major: Ocean Engineering, GPA 3.8"),
        [Found("Northfield University", "Bachelor's Degree", "Ocean Engineering", "2012", "2016")],
    ),
    "a field of study without a degree": (
        ("University of Lakeside, 2014", "Field of study: Statistics"),
        [Found("University of Lakeside", None, "Statistics", None, "2014")],
    ),
    "schools that no list knows": (
        (
            "Lakeside Tech Collective",
            "Master of Science, Statistics\t2014 - 2016",
            "Hillside Guild",
            "Bachelor of Science, Physics\t2010 - 2014",
        ),
        [
            Found("Lakeside Tech Collective", "Master of Science", "Statistics", "2014", "2016"),
            Found("Hillside Guild", "Bachelor of Science", "Physics", "2010", "2014"),
        ],
    ),
    "an unknown school after a known one": (
        (
            "Northfield University",
            "Master of Science, Statistics\t2014 - 2016",
            "Hillside Guild",
            "Bachelor of Science, Physics\t2010 - 2014",
        ),
        [
            Found("Northfield University", "Master of Science", "Statistics", "2014", "2016"),
            Found("Hillside Guild", "Bachelor of Science", "Physics", "2010", "2014"),
        ],
    ),
    "an unknown school with a date and no degree": (
        ("Northfield University, B.S. Physics, 2010 - 2014", "Winter Guild of Makers, 2015"),
        [
            Found("Northfield University", "B.S.", "Physics", "2010", "2014"),
            Found("Winter Guild of Makers", None, None, None, "2015"),
        ],
    ),
    "a list of bullets, a school each": (
        (
            "• Northfield University, Master of Science in Statistics, 2014 - 2016",
            "• Lakeside College, Bachelor of Science in Physics, 2010 - 2014",
        ),
        [
            Found("Northfield University", "Master of Science", "Statistics", "2014", "2016"),
            Found("Lakeside College", "Bachelor of Science", "Physics", "2010", "2014"),
        ],
    ),
    "courses, marks, a thesis and a sentence are remarks": (
        (
            "Northfield University\tSep 2012 - Jun 2016",
            "Bachelor of Engineering in Civil Engineering with honours",
            "• Coursework: statics, dynamics",
            "Cumulative GPA: 3.9; Dean's List 2015-2016",
            "Thesis: How Bridges Hum",
            "Built a bridge of ice with forty other students of the winter class over the river.",
        ),
        [
            Found(
                "Northfield University", "Bachelor of Engineering", "Civil Engineering", "2012-09", "2016-06"
            )
        ],
    ),
    "a campus stays, a town goes": (
        ("University of California, Berkeley", "B.A. Economics, May 2013"),
        [Found("University of California, Berkeley", "B.A.", "Economics", None, "2013-05")],
    ),
    "the major before the degree": (
        ("Computer Science, B.S., Northfield University, 2016",),
        [Found("Northfield University", "B.S.", "Computer Science", None, "2016")],
    ),
    "a certificate and a diploma": (
        (
            "Certificate in Data Analysis, Northfield College, 2020",
            "High School Diploma, Hillside High School, 2010",
        ),
        [
            Found("Northfield College", "Certificate", "Data Analysis", None, "2020"),
            Found("Hillside High School", "High School Diploma", None, None, "2010"),
        ],
    ),
    "a degree still to come": (
        ("Northfield University", "Ph.D. in Oceanography, Expected May 2027"),
        [Found("Northfield University", "Ph.D.", "Oceanography", None, "2027-05")],
    ),
}

CHINESE: dict[str, tuple[tuple[str, ...], list[Found]]] = {
    "one line a school": (
        ("2014.09-2018.06 青岛海洋学院 海洋科学专业 本科", "2011.09-2014.06 青岛第三中学 高中"),
        [
            Found("青岛海洋学院", "本科", "海洋科学", "2014-09", "2018-06"),
            Found("青岛第三中学", "高中", None, "2011-09", "2014-06"),
        ],
    ),
    "rows of a form": (
        (
            "学校：青岛海洋学院",
            "专业：物流管理",
            "学历：大专",
            "时间：2010年9月-2013年6月",
            "主修课程：仓储、运输",
        ),
        [Found("青岛海洋学院", "大专", "物流管理", "2010-09", "2013-06")],
    ),
    "a major that no list knows": (
        ("2014.09-2018.06 | 青岛海洋学院 | 船舶与海洋结构 | 本科",),
        [Found("青岛海洋学院", "本科", "船舶与海洋结构", "2014-09", "2018-06")],
    ),
    "an unknown word beside a degree alone is its major": (
        ("2014.09-2018.06\t硕士\t星际航行",),
        [Found(None, "硕士", "星际航行", "2014-09", "2018-06")],
    ),
    "no school": (
        ("本科 物流管理 2014.09-2018.06",),
        [Found(None, "本科", "物流管理", "2014-09", "2018-06")],
    ),
    "a degree in brackets is not the school's": (
        ("2014.09-2018.06青岛海洋学院（本科）海洋科学",),
        [Found("青岛海洋学院", "本科", "海洋科学", "2014-09", "2018-06")],
    ),
    "a campus in brackets is the school's": (
        ("2014.09-2018.06 北方地质大学（青岛） 海洋科学 本科",),
        [Found("北方地质大学（青岛）", "本科", "海洋科学", "2014-09", "2018-06")],
    ),
    "a school of the university, a degree behind the major": (
        ("青岛大学海洋学院  2014.09-2018.06  软件工程（硕士）",),
        [Found("青岛大学海洋学院", "硕士", "软件工程", "2014-09", "2018-06")],
    ),
    "a major with an ending that majors have": (
        ("2014.09-2018.06 青岛海洋学院 潮汐观测工程 本科",),
        [Found("青岛海洋学院", "本科", "潮汐观测工程", "2014-09", "2018-06")],
    ),
}


@pytest.mark.parametrize("which", ENGLISH)
def test_english_schools(which: str) -> None:
    lines, expected = ENGLISH[which]
    found = english("EDUCATION", *lines)
    assert [Found(e.institution, e.degree, e.major, e.start, e.end) for e in found.education] == expected
    assert {school.institution for school in expected} <= set(spans(found, "SCHOOL"))
    assert {school.degree for school in expected if school.degree} <= set(spans(found, "EDU"))


@pytest.mark.parametrize("which", CHINESE)
def test_chinese_schools(which: str) -> None:
    lines, expected = CHINESE[which]
    found = chinese("教育背景", *lines)
    assert [Found(e.institution, e.degree, e.major, e.start, e.end) for e in found.education] == expected
    assert {school.major for school in expected if school.major} <= set(spans(found, "PRO"))


def test_a_line_of_marks_alone_is_no_school() -> None:
    assert english("EDUCATION", "GPA 3.9", "Dean's List 2015").education == []
