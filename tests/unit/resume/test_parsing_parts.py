"""The parser's decisions one by one: dates, headings, titles, places, phones, names, degrees, skills."""

from __future__ import annotations

import pytest
import spacy

from looma_core.api.resume import ParsedResume
from looma_engines.resume.documents import exact_text, read_document, read_text
from looma_engines.resume.parsing import ResumeParser, gazetteers, recognise
from looma_engines.resume.parsing.contact import phone_number
from looma_engines.resume.parsing.dates import find_dates
from looma_engines.resume.parsing.degrees import find_degree
from looma_engines.resume.parsing.language import detect_language
from looma_engines.resume.parsing.narrative import organisation_length
from looma_engines.resume.parsing.person import is_chinese_name
from looma_engines.resume.parsing.pipeline import COMPONENTS
from looma_engines.resume.parsing.sections import heading_kind
from support.resume_files import ADA, pdf_pages
from support.resume_files import parser as shared_parser


@pytest.fixture(scope="module")
def parser() -> ResumeParser:
    return shared_parser()


@pytest.mark.parametrize(
    ("text", "first", "last", "present"),
    [
        ("Jan 2020 - Present", "2020-01", None, True),
        ("2018.07-2021.03", "2018-07", "2021-03", False),
        ("2019年3月至今", "2019-03", None, True),
        ("March - May 2019", "2019-03", "2019-05", False),
        ("2016-18", "2016", "2018", False),
        ("Summer 2022", "2022", None, False),
        ("2013.10--2017.10", "2013-10", "2017-10", False),
        ("03/2021 - Present", "2021-03", None, True),
        ("01/05/2019 to 02/06/2020", "2019-01", "2020-02", False),
        ("2006年10月-2013年08月", "2006-10", "2013-08", False),
        ("since 2015", "2015", None, True),
        ("from 2019 to 2020", "2019", "2020", False),
        ("May '19 - Jun '20", "2019-05", "2020-06", False),
        ("2007.03-2012.07物探工程师", "2007-03", "2012-07", False),
    ],
)
def test_dates(text: str, first: str, last: str | None, present: bool) -> None:
    span = next(find_dates(text))
    assert (
        span.first.iso() if span.first else None,
        span.last.iso() if span.last else None,
        span.present,
    ) == (
        first,
        last,
        present,
    )


@pytest.mark.parametrize("text", ["", "call 555 1234", "v1.2.3", "room 3021", "x2019x1234567"])
def test_no_range_where_there_is_none(text: str) -> None:
    assert not [span for span in find_dates(text) if span.is_range]


def test_a_range_that_runs_backwards_is_none() -> None:
    spans = list(find_dates("2021-05 - 2019-03"))
    assert [span.is_range for span in spans] == [False, False]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("WORK EXPERIENCE", "experience"),
        ("二、教育背景", "education"),
        ("教育背景 Education", "education"),
        ("■ Technical Skills:", "skills"),
        ("Performance Experience", "experience"),
        ("主要经历ProjectExperience", "experience"),
        ("Experienced in Java and Go", None),
        ("more.", None),
        ("Northwind Continuing Education", None),
        ("工作经历丰富，能独立负责项目", None),
    ],
)
def test_headings(line: str, kind: str | None) -> None:
    assert heading_kind(line) == kind


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("Senior Software Engineer", 2),
        ("Director of Sales", 2),
        ("Office manager", 2),
        ("高级Java工程师", 2),
        ("Sr. Engineering Manager (L6 / L7)", 2),
        ("Led a team of engineers in the redesign of the site", 0),
        ("Globex Corporation", 0),
        ("浙江大学", 0),
    ],
)
def test_titles(text: str, strength: int) -> None:
    assert recognise.title_strength(text) == strength


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Austin, TX", True),
        ("Palo Alto, CA & Ithaca, NY", True),
        ("Pune, Maharashtra, India", True),
        ("Remote", True),
        ("上海市浦东新区", True),
        ("Northwind Bank, India", False),
        ("University of La Verne, La Verne, CA", False),
        ("Staff Engineer, Platform", False),
        ("北京大学", False),
    ],
)
def test_places(text: str, place: bool) -> None:
    assert recognise.is_place(text) is place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Initech Robotics, Denver, CO", "Denver, CO"),
        ("Globex Corporation Austin, TX", "Austin, TX"),
        ("Northwind Bank, India", "India"),
        ("Northwind Technology. San Jose, California", "San Jose, California"),
        ("Acme Cloud, Inc.", None),
    ],
)
def test_a_place_at_the_end(text: str, place: str | None) -> None:
    at = recognise.trailing_place(text)
    assert (text[at:] if at is not None else None) == place


@pytest.mark.parametrize(
    ("text", "chinese", "labelled", "number"),
    [
        ("+1 312 555 0123", False, False, "+13125550123"),
        ("(+91) 8087996634", False, False, "+918087996634"),
        ("(312) 555-0123", False, False, "(312) 555-0123"),
        ("138 0013 8000", True, False, "+8613800138000"),
        ("+86-13800138000", True, False, "+8613800138000"),
        ("0571-88886666", True, True, "0571-88886666"),
        ("2019 - 2021", False, False, None),
        ("2018.07-2021.03", True, False, None),
        ("12345", False, True, None),
    ],
)
def test_phones(text: str, chinese: bool, labelled: bool, number: str | None) -> None:
    assert phone_number(text, chinese=chinese, labelled=labelled) == number


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("B.S. in Computer Science", "B.S."),
        ("Ph.D., Applied Mathematics", "Ph.D."),
        ("Master of Science, Statistics", "Master of Science"),
        ("MBA, INSEAD", "MBA"),
        ("as a member of the club", None),
        ("Certificate of attendance: be there", "Certificate"),
        ("Scrum Master, Acme", None),
    ],
)
def test_degrees(text: str, degree: str | None) -> None:
    found = find_degree(text)
    assert (text[found[0] : found[1]] if found else None) == degree


@pytest.mark.parametrize(
    ("text", "organisation"),
    [
        ("云南罗平锌电股份有限公司董事", "云南罗平锌电股份有限公司"),
        ("兰州大学经济系讲师", "兰州大学经济系"),
        ("公司副总经理", "公司"),
        ("光缆分厂副厂长", ""),
        ("博彦科技财务总监", "博彦科技"),
        ("证券部经理", ""),
    ],
)
def test_where_a_chinese_organisation_ends(text: str, organisation: str) -> None:
    assert text[: organisation_length(text)] == organisation


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("林晓雯", True),
        ("欧阳锋", True),
        ("王伟", True),
        ("简历", False),
        ("北京市", False),
        ("自我评价", False),
    ],
)
def test_chinese_names(text: str, is_name: bool) -> None:
    assert is_chinese_name(text) is is_name


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("熟悉 Java、Spring Boot，三年经验", "zh"),
        ("Senior engineer (张伟), Shanghai office", "en"),
        ("123", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_the_list_of_skills_is_ours_and_sound() -> None:
    skills = gazetteers.skills()
    assert len(skills) >= 800
    seen: dict[str, str] = {}
    for skill in skills:
        assert skill.id == skill.id.lower()
        assert skill.category
        for spelling in (*skill.spellings, *skill.guarded):
            other = seen.setdefault(spelling.lower(), skill.id)
            assert other == skill.id, f"{spelling!r} names both {other} and {skill.id}"


def test_skills_by_spelling_and_only_as_words(parser: ResumeParser) -> None:
    text = (
        "Skills: postgres, k8s, C++, C#, Go, R, .NET, node.js\nJavaFX is not Java; going to go home in C-17."
    )
    found = {skill.name for skill in parser.skills(text)}
    assert found == {"PostgreSQL", "Kubernetes", "C++", "C#", "Go", "R", ".NET", "Node.js", "Java"}


def test_common_words_are_skills_only_where_skills_are_listed(parser: ResumeParser) -> None:
    assert parser.skills("We go to the vault and make rust, then we swift past the chef.") == []


def test_offsets_count_code_points(parser: ResumeParser) -> None:
    text = "😀😀 张伟，１９８０年生，汉族。\r\n曾任星河科技有限公司总经理--精通ＳＱＬ与Java。"
    for entity in parser.entities(text):
        assert text[entity.start : entity.end] == entity.text
    labels = {(entity.label, entity.text) for entity in parser.entities(text)}
    assert labels >= {("RACE", "汉族"), ("ORG", "星河科技有限公司"), ("TITLE", "总经理"), ("SKILL", "Java")}
    assert [text[s.start : s.end] for s in parser.skills(text)] == ["ＳＱＬ", "Java"]
    assert exact_text(text).text == text


def test_several_roles_under_one_employer(parser: ResumeParser) -> None:
    parsed = parser.parse(
        read_text(
            "Ada Byron\nEXPERIENCE\nAcme Corporation\nStaff Engineer, Platform Infrastructure\tAug 2024 - Present\n"
            "• Led reliability\nEngineer, Identity Services\tAug 2020 - Jul 2022\n• Built sign-on\n"
        )
    )
    assert [(job.title, job.company) for job in parsed.experience] == [
        ("Staff Engineer, Platform Infrastructure", "Acme Corporation"),
        ("Engineer, Identity Services", "Acme Corporation"),
    ]


def test_a_biography_without_headings(parser: ResumeParser) -> None:
    text = (
        "谢远航先生：1966年12月出生，汉族，中国国籍，经济学硕士，高级工程师。"
        "2013年4月至今任云帆电子股份有限公司董事、副总经理。"
    )
    labels = [(entity.label, entity.text) for entity in parser.entities(text)]
    for expected in [
        ("NAME", "谢远航"),
        ("RACE", "汉族"),
        ("CONT", "中国国籍"),
        ("PRO", "经济学"),
        ("EDU", "硕士"),
        ("TITLE", "高级工程师"),
        ("ORG", "云帆电子股份有限公司"),
        ("TITLE", "董事"),
        ("TITLE", "副总经理"),
    ]:
        assert expected in labels


def test_a_page_break_in_a_sidebar_layout_keeps_the_section(parser: ResumeParser) -> None:

    parsed = parser.parse(read_document(pdf_pages(ADA, 2)))
    assert len(parsed.experience) == 16
    assert parsed.pages == 2


def test_a_text_without_a_person_says_what_is_missing(parser: ResumeParser) -> None:
    parsed: ParsedResume = parser.parse(read_text("lorem ipsum dolor sit amet, nothing to see here at all"))
    assert parsed.contact.full_name is None
    assert len(parsed.warnings) == 3


def test_a_component_can_be_put_between_the_rules(parser: ResumeParser) -> None:
    for language in ("en", "zh"):
        nlp = parser._pipelines[language]
        assert tuple(nlp.pipe_names) == COMPONENTS
        assert isinstance(nlp, type(spacy.blank(language)))
    # A trained component would write spans where the rules do.
    doc = parser._pipelines["en"].make_doc("Go and C++")
    assert [token.text for token in doc] == ["Go", "and", "C", "+", "+"]
    assert doc.text == "Go and C++"
