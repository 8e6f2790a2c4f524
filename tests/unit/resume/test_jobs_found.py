"""Jobs as people write them: title, employer, place and dates in every order, and where a description begins."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from support.resume_texts import chinese, english, spans


class Found(NamedTuple):
    """What one entry must be read as."""

    title: str | None
    company: str | None
    start: str | None
    end: str | None
    location: str | None = None


ENGLISH: dict[str, tuple[tuple[str, ...], list[Found]]] = {
    "a title, a dash and the employer": (
        ("Software Engineer - Fjordline", "Bergen, Norway", "May 2018 – Jul 2020", "• Kept bookings running"),
        [Found("Software Engineer", "Fjordline", "2018-05", "2020-07", "Bergen, Norway")],
    ),
    "the employer, a colon and a title": (
        ("Fjordline: Senior Analyst\tJan 2015 - Dec 2016",),
        [Found("Senior Analyst", "Fjordline", "2015-01", "2016-12")],
    ),
    "a title at an employer": (
        ("Data Scientist at Nordic Seafood\t2017 - 2019", "Denver, CO"),
        [Found("Data Scientist", "Nordic Seafood", "2017", "2019", "Denver, CO")],
    ),
    "a title @ an employer": (
        ("Data Scientist @ Nordic Seafood\t2017 - 2019",),
        [Found("Data Scientist", "Nordic Seafood", "2017", "2019")],
    ),
    "the comma of a legal form parts nothing": (
        ("Project Manager, Harbour Cloud, Inc.\t2012 - 2014",),
        [Found("Project Manager", "Harbour Cloud, Inc.", "2012", "2014")],
    ),
    "a team after the comma of a title, below its employer": (
        (
            "Fjordline Group",
            "Staff Engineer, Platform\tAug 2021 - Present",
            "• Led",
            "Engineer, Data\tAug 2019 - Jul 2021",
            "• Built",
        ),
        [
            Found("Staff Engineer, Platform", "Fjordline Group", "2021-08", None),
            Found("Engineer, Data", "Fjordline Group", "2019-08", "2021-07"),
        ],
    ),
    "a bank after the comma of a title is no team": (
        ("Data Engineer, Northern Data Bank\t2012 - 2014",),
        [Found("Data Engineer", "Northern Data Bank", "2012", "2014")],
    ),
    "kinds of contract and lengths of time say nothing": (
        ("Fjordline Shipping | Full-time | Test Engineer | Oslo, Norway | 2 years 3 months", "2014 - 2016"),
        [Found("Test Engineer", "Fjordline Shipping", "2014", "2016", "Oslo, Norway")],
    ),
    "pieces that end with points": (
        ("Fjordline Shipping. Test Engineer. 2014 - 2016",),
        [Found("Test Engineer", "Fjordline Shipping", "2014", "2016")],
    ),
    "a campus belongs to the university's name": (
        ("Research Assistant\tSep 2016 - May 2018", "University of California, Berkeley", "• Measured tides"),
        [Found("Research Assistant", "University of California, Berkeley", "2016-09", "2018-05")],
    ),
    "a place behind the employer": (
        ("Harbour Cloud Ltd, Denver, CO\tSep 2016 - May 2018", "Site Reliability Engineer"),
        [Found("Site Reliability Engineer", "Harbour Cloud Ltd", "2016-09", "2018-05", "Denver, CO")],
    ),
    "an employer that reads like a title": (
        ("Product Manager\tSep 2016 - May 2018", "Lighthouse Assistant"),
        [Found("Product Manager", "Lighthouse Assistant", "2016-09", "2018-05")],
    ),
    "an employer that begins small": (
        ("eBay | Cloud Engineer | 2017 - 2019",),
        [Found("Cloud Engineer", "eBay", "2017", "2019")],
    ),
    "a title in no list, its head in front": (
        ("Fjordline - Head Buoys and Lights\t2011 - 2013",),
        [Found("Head Buoys and Lights", "Fjordline", "2011", "2013")],
    ),
    "a title in no list, in a cell of its own": (
        ("Fjordline Shipping Ltd | Keeper Lighthouse | 2011 - 2013",),
        [Found("Keeper Lighthouse", "Fjordline Shipping Ltd", "2011", "2013")],
    ),
    "neither is in a list: the employer comes first": (
        ("Fjordline | Lamp lighting | 2011 - 2013",),
        [Found("Lamp lighting", "Fjordline", "2011", "2013")],
    ),
    "a lone year behind the employer": (
        ("Harbour Cloud Ltd, Denver, CO — 2015", "Cloud Engineer"),
        [Found("Cloud Engineer", "Harbour Cloud Ltd", "2015", "2015", "Denver, CO")],
    ),
    "no dates at all": (
        (
            "Harbour Cloud Ltd",
            "Cloud Engineer",
            "• Ran the clusters",
            "",
            "Fjordline Shipping Ltd",
            "Test Engineer",
            "• Tested the ferries",
        ),
        [
            Found("Cloud Engineer", "Harbour Cloud Ltd", None, None),
            Found("Test Engineer", "Fjordline Shipping Ltd", None, None),
        ],
    ),
    "a list of bullets, a job each": (
        (
            "• Cloud Engineer, Harbour Cloud Ltd, 2017 - 2019",
            "• Test Engineer, Fjordline Shipping Ltd, 2014 - 2016",
        ),
        [
            Found("Cloud Engineer", "Harbour Cloud Ltd", "2017", "2019"),
            Found("Test Engineer", "Fjordline Shipping Ltd", "2014", "2016"),
        ],
    ),
    "three lines a job, the date last": (
        (
            *("Cloud Engineer", "Harbour Cloud Ltd", "2017 - 2019", ""),
            *("Test Engineer", "Fjordline Shipping Ltd", "2014 - 2016"),
        ),
        [
            Found("Cloud Engineer", "Harbour Cloud Ltd", "2017", "2019"),
            Found("Test Engineer", "Fjordline Shipping Ltd", "2014", "2016"),
        ],
    ),
    "rows of a form, the date last": (
        (
            "Company: Fjordline Shipping",
            "Role: Release Manager",
            "Location: Bergen, Norway",
            "Department: Tools",
            "Duration: 03/2016 - 02/2018",
            "Responsibilities:",
            "Planned the releases of four teams.",
            "Company: Harbour Cloud",
            "Role: Cloud Engineer",
            "Location: Denver, CO",
            "Department: Servers",
            "Duration: 01/2014 - 02/2016",
        ),
        [
            Found("Release Manager", "Fjordline Shipping", "2016-03", "2018-02", "Bergen, Norway"),
            Found("Cloud Engineer", "Harbour Cloud", "2014-01", "2016-02", "Denver, CO"),
        ],
    ),
}

CHINESE: dict[str, tuple[tuple[str, ...], list[Found]]] = {
    "company and title without a mark between": (
        ("2018.03-2020.02 北京晨光软件有限公司测试工程师", "负责回归测试。"),
        [Found("测试工程师", "北京晨光软件有限公司", "2018-03", "2020-02")],
    ),
    "title and company without a mark between": (
        ("2016.01-2018.02 软件工程师杭州青松科技有限公司",),
        [Found("软件工程师", "杭州青松科技有限公司", "2016-01", "2018-02")],
    ),
    "a department before the title, a size behind": (
        ("2018.03-2020.02  北京晨光软件有限公司  质量部 / 测试经理  150人以上",),
        [Found("测试经理", "北京晨光软件有限公司", "2018-03", "2020-02")],
    ),
    "the title on a line of its own": (
        ("2018.03-2020.02 中国银行杭州分行", "客户经理"),
        [Found("客户经理", "中国银行杭州分行", "2018-03", "2020-02")],
    ),
    "no employer": (("测试经理 2018年3月至今",), [Found("测试经理", None, "2018-03", None)]),
    "the date in brackets at the end": (
        ("北京晨光软件有限公司-测试工程师（2018.03-2020.02）",),
        [Found("测试工程师", "北京晨光软件有限公司", "2018-03", "2020-02")],
    ),
    "rows of a form, the date last": (
        (
            *("公司名称：北京晨光软件有限公司", "职位：测试工程师", "工作地点：北京"),
            *("所属行业：互联网", "部门：质量部", "2019.01-2020.02", "工作内容：编写自动化测试用例。"),
        ),
        [Found("测试工程师", "北京晨光软件有限公司", "2019-01", "2020-02", "北京")],
    ),
    "rows of a form, the date first": (
        (
            *("2019.01-2020.02", "所属行业：互联网", "部门：质量部"),
            *("公司名称：北京晨光软件有限公司", "职位：测试工程师", "工作描述：编写自动化测试用例。"),
        ),
        [Found("测试工程师", "北京晨光软件有限公司", "2019-01", "2020-02")],
    ),
}


@pytest.mark.parametrize("which", ENGLISH)
def test_english_jobs(which: str) -> None:
    lines, expected = ENGLISH[which]
    found = english("EXPERIENCE", *lines)
    jobs = [Found(j.title, j.company, j.start, j.end, j.location) for j in found.experience]
    assert jobs == expected
    organisations = spans(found, "ORG") + spans(found, "SCHOOL")
    assert {job.company for job in expected if job.company} <= set(organisations)
    assert {job.title for job in expected if job.title} <= set(spans(found, "TITLE"))


@pytest.mark.parametrize("which", CHINESE)
def test_chinese_jobs(which: str) -> None:
    lines, expected = CHINESE[which]
    found = chinese("工作经历", *lines)
    jobs = [Found(j.title, j.company, j.start, j.end, j.location) for j in found.experience]
    assert jobs == expected
    assert {job.company for job in expected if job.company} <= set(spans(found, "ORG"))


DESCRIPTIONS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "a sentence that names a year is no job": (
        (
            "Migrated the ledger of the company to new machines in the autumn of 2018",
            "• Awarded a prize in 2019",
            "Achievements: won the prize of 2018",
        ),
        (
            "Migrated the ledger of the company to new machines in the autumn of 2018\n"
            "• Awarded a prize in 2019\nAchievements: won the prize of 2018"
        ),
    ),
    "a broken word is healed, a wrapped line joined": (
        (
            "• Moved the settlement ledger of the company to a data-",
            "base that is copied to three towns",
            "• Rewrote the deploy pipeline so that every engineer of the company could",
            "Ship within an hour.",
        ),
        (
            "• Moved the settlement ledger of the company to a database that is copied to three towns\n"
            "• Rewrote the deploy pipeline so that every engineer of the company could Ship within an hour."
        ),
    ),
    "a capital before the hyphen keeps it": (
        ("• Ran the servers of the harbour on IBM Z-", "series machines"),
        "• Ran the servers of the harbour on IBM Z-series machines",
    ),
    "nothing said": ((), None),
}


@pytest.mark.parametrize("which", DESCRIPTIONS)
def test_what_follows_a_header_is_its_description(which: str) -> None:
    lines, description = DESCRIPTIONS[which]
    (job,) = english("EXPERIENCE", "Cloud Engineer | Harbour Cloud Ltd | 2017 - 2019", *lines).experience
    assert job.description == description


def test_wrapped_chinese_lines_are_joined_without_a_space() -> None:
    (job,) = chinese(
        "工作经历",
        "2018.03-2020.02 北京晨光软件有限公司 测试工程师",
        "负责港口调度系统的接口测试、性能测试与回归测试，并与开发人员一起定位缺陷，推动缺陷在每个版本发布之前全部修复，减少线上故障，提高发布的",
        "质量。",
    ).experience
    assert job.description is not None
    assert job.description.endswith("提高发布的质量。")
