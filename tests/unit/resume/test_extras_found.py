"""Summary, languages, certifications, projects and listed skills of résumés in both languages."""

from __future__ import annotations

import pytest

from support.resume_files import parser
from support.resume_texts import chinese, english, parsed

LANGUAGES: dict[str, tuple[str, list[str]]] = {
    "a section with levels": (
        "Mira Solberg\n\nLANGUAGES\nNorwegian (native), English - fluent\nGerman: intermediate\nSKILLS\nSQL\n",
        ["Norwegian", "English", "German"],
    ),
    "a label among the skills": (
        "Mira Solberg\n\nSKILLS\nProgramming: Python\n• Languages: English, Spanish\n",
        ["English", "Spanish"],
    ),
    "programming languages are none": ("Mira Solberg\n\nSKILLS\nLanguages: Python, Java\n", []),
    "each once": ("Mira Solberg\n\nLANGUAGES\nEnglish\nTechnical English\n", ["English"]),
    "a Chinese section, a level without a space": (
        "陈思远\n\n语言能力\n英语（CET-6），日语N2，普通话\n",
        ["英语", "日语", "普通话"],
    ),
    "a Chinese label": ("陈思远\n语言：英语、法语\n", ["英语", "法语"]),
}


@pytest.mark.parametrize("which", LANGUAGES)
def test_languages(which: str) -> None:
    text, expected = LANGUAGES[which]
    assert parsed(text).languages == expected


CERTIFICATIONS: dict[str, tuple[str, list[str]]] = {
    "a section: bullets and dates away, other lists left out": (
        (
            "Mira Solberg\n\nCERTIFICATIONS\n• AWS Certified Solutions Architect - Associate (2021)\n"
            "• Certified Kubernetes Administrator, Mar 2022\nProject Management Professional (PMP)\n2020\n"
            "Skills: Python\nCertifications: Oracle Certified Professional\n"
        ),
        [
            "AWS Certified Solutions Architect - Associate",
            "Certified Kubernetes Administrator",
            "Project Management Professional (PMP)",
            "Oracle Certified Professional",
        ],
    ),
    "in a sentence": (
        (
            "Mira Solberg\n\nSUMMARY\nBecame AWS Certified Solutions Architect, Red Hat Certified Engineer and a "
            "certified diver.\n"
        ),
        ["AWS Certified Solutions Architect", "Red Hat Certified Engineer"],
    ),
    "a section outranks sentences": (
        "Mira Solberg\n\nSUMMARY\nAWS Certified Developer.\nCERTIFICATIONS\nDeep Sea Rescue\n",
        ["Deep Sea Rescue"],
    ),
    "Chinese, in a section and in a sentence": (
        (
            "陈思远\n\n证书\n大学英语六级\n注册会计师证书（2020年6月）\n\n自我评价\n"
            "已取得教师资格证，普通话二级甲等，通过计算机二级。\n"
        ),
        ["大学英语六级", "注册会计师证书", "教师资格证", "普通话二级甲等", "计算机二级"],
    ),
}


@pytest.mark.parametrize("which", CERTIFICATIONS)
def test_certifications(which: str) -> None:
    text, expected = CERTIFICATIONS[which]
    assert parsed(text).certifications == expected


PROJECTS: dict[str, tuple[list[str], list[str]]] = {
    "a name, its date, and sentences": (
        [
            "Tide Tables\tMar 2021 - Jun 2021",
            "• Wrote a service that predicts tides for forty harbours",
            "• Deployed it with Docker",
            "Seal Counter (2020)",
            "Developed a model that counts seals on photographs taken by drones in winter.",
            "",
            "Project: Open Buoy",
            "- Published the plans of a buoy for schools",
        ],
        ["Tide Tables", "Seal Counter", "Open Buoy"],
    ),
    "a bullet each": (
        [
            "• Tide Tables: predicts tides for forty harbours",
            "• Seal Counter - counts seals on photographs",
        ],
        ["Tide Tables", "Seal Counter"],
    ),
    "a gap parts two names, a place is none": (
        ["Tide Tables", "Go and PostgreSQL", "", "Denver, CO", "", "Seal Counter"],
        ["Tide Tables", "Seal Counter"],
    ),
}


@pytest.mark.parametrize("which", PROJECTS)
def test_projects(which: str) -> None:
    lines, expected = PROJECTS[which]
    assert english("PROJECTS", *lines).projects == expected


def test_chinese_projects() -> None:
    found = chinese(
        "项目经历",
        "项目名称：智慧仓储管理系统",
        "2020.03-2020.09",
        "项目描述：为仓库提供入库、出库与盘点功能。",
        "职责：负责后端接口的设计与开发。",
        "",
        "城市公交查询小程序  2019.05-2019.08",
        "• 使用Vue开发前端页面",
    )
    assert found.projects == ["智慧仓储管理系统", "城市公交查询小程序"]
    assert "Vue" in {skill.name for skill in found.skills}


def test_the_first_summary_with_words_is_taken() -> None:
    text = "Mira Solberg\n\nSUMMARY\n\nOBJECTIVE\nA post at sea,\n\nnear Bergen.\n\nPROFILE\nCalm.\n"
    assert parsed(text).summary == "A post at sea, near Bergen."
    assert english("SUMMARY").summary is None


def _mentions(text: str) -> list[tuple[str, str]]:
    found = parser().skills(text)
    return [(skill.name, skill.id) for skill in found]


def test_a_section_of_skills_lists_names_and_not_sentences() -> None:
    assert _mentions(
        "Mira Solberg\nSKILLS\nProgramming: Go, Python, Zigzag, TideLang, Zigzag\n"
        "Familiar with many, good English, the art of (sailing), norwegian\n"
        "English, Fjordscript - Swift\n• Kelp Studio; x; 99; mail@kelp; a list that is far too long\n"
    ) == [
        ("Go", "go"),
        ("Python", "python"),
        ("Zigzag", "unlisted:zigzag"),
        ("TideLang", "unlisted:tidelang"),
        ("Fjordscript", "unlisted:fjordscript"),
        ("Swift", "swift"),
        ("Kelp Studio", "unlisted:kelp-studio"),
    ]


def test_a_chinese_section_of_skills_parts_at_spaces_between_words() -> None:
    assert _mentions("技能\n熟悉 潮汐建模 珊瑚绘图、Python，海图编绘\n") == [
        ("潮汐建模", "unlisted:潮汐建模"),
        ("珊瑚绘图", "unlisted:珊瑚绘图"),
        ("Python", "python"),
        ("海图编绘", "unlisted:海图编绘"),
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "We use Python, Go and R/Java; also Scala & Swift.",
            ["Python", "Go", "R", "Java", "Scala", "Swift"],
        ),
        ("Write to java@example.org or see python.org.", []),
        ("C&A, AT&T and R&D pay in cash.", []),
    ],
    ids=["beside a certain skill", "addresses", "letters of a name"],
)
def test_common_words_are_skills_beside_others_and_names_are_none(text: str, names: list[str]) -> None:
    assert [name for name, _ in _mentions(text)] == names


def test_a_skill_in_a_name_or_a_plain_title_is_none() -> None:
    found = english(
        "EXPERIENCE",
        "Sales Manager | Python Consulting Ltd | 2017 - 2019",
        "• Wrote reports",
        "Java Developer | Harbour Cloud Ltd | 2015 - 2017",
    )
    assert [skill.name for skill in found.skills] == ["Java"]
