"""Talents with a label each: good ones, and bad ones with the field that is wrong. Made here, from a seed.

A bad one is a good one with one defect; the label says where it was put, and knows nothing of the rules. Some are near
the border on purpose: a name with an apostrophe is good, two jobs side by side for four months are, a telephone number
with the right length that no country gives out is bad.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from looma_core.api.talent import TalentDraft

Document = dict[str, Any]
THIS_YEAR = 2026

_NAMES = {
    "en": [
        "Ada O'Neil",
        "Maya Okafor",
        "Jean-Luc Moreau",
        "Priya N. Rao",
        "Li Wei",
        "Zoë de la Cruz",
        "Sam Young",
    ],
    "zh": ["王小明", "欧阳娜娜", "李雷", "古丽·买买提", "陈思远", "林雨晴", "赵敏"],
}
_EMAILS = [
    "ada@mail.example",
    "maya+crm@post.example.org",
    "x_1@qq.com",
    "first.last@gmail.com",
    "li@163.com",
]
_PHONES = {
    "en": ["+44 20 7946 0142", "(212) 555-0147", "+1 415 555 2671", "+86 138 0013 8000", "+49 30 123456"],
    "zh": ["13800138000", "+86 139 1234 5678", "010-88888888", "021-6888 8888转803", "+852 2345 6789"],
}
_PLACES = {"en": ["London", "Leeds, UK", "Boston"], "zh": ["上海市", "北京", "杭州市西湖区"]}
_HEADLINES = {"en": ["Senior Backend Engineer", "Analyst"], "zh": ["高级后端工程师", "数据分析师"]}
_SUMMARIES = {
    "en": ["Builds payment services in Python and Go, and likes small interfaces with clear contracts."],
    "zh": ["八年后端开发经验，专注于高并发交易系统，熟悉 Go 与 Kubernetes，重视接口契约与自动化测试。"],
}
_TITLES = {"en": ["Engineer", "Team Lead", "Developer"], "zh": ["工程师", "组长", "开发"]}
_COMPANIES = {"en": ["Harbour Ltd", "Fernway", "Brindle & Stone"], "zh": ["云栈科技", "蓝鲸网络", "东海银行"]}
_SCHOOLS = {"en": ["University of Eastmoor", "Westlake College"], "zh": ["东海大学", "西湖学院"]}
_DEGREES = {"en": ["BSc", "MSc"], "zh": ["本科", "硕士"]}
_MAJORS = {"en": ["Computer Science", "Mathematics"], "zh": ["软件工程", "数学"]}
_SKILLS = ["Python", "Go", "PostgreSQL", "Kafka", "Redis", "Kubernetes", "微服务", "数据分析", "CI/CD", "C++"]


@dataclass(frozen=True)
class Labelled:
    """A record and what is wrong with it: the `field` where the defect is, empty for a good one; `kind` in words."""

    draft: TalentDraft
    kind: str
    field: str


def _month(months: int) -> str:
    return f"{months // 12}-{months % 12 + 1:02}"


def _good(draw: random.Random) -> Document:
    """A record that nobody would object to."""
    language = draw.choice(["en", "zh"])
    jobs, begin = [], 12 * draw.randint(2004, 2012) + draw.randint(0, 11)
    for number in range(draw.randint(1, 4)):
        end = begin + draw.randint(10, 40)
        last = end >= 12 * THIS_YEAR
        job: Document = {
            "title": draw.choice(_TITLES[language]) + " I" * number,
            "company": draw.choice(_COMPANIES[language]),
            "start": draw.choice([_month(begin), str(begin // 12)]),
            "description": "Built it." if language == "en" else "负责开发。",
        }
        if last:
            job["dates"] = f"{begin // 12} - Present" if language == "en" else f"{begin // 12} 至今"
        else:
            job["end"] = _month(end)
            job["dates"] = f"{job['start']} - {job['end']}"
        jobs.append(job)
        if last:
            break
        # Now and then the next one begins while this one still goes on, for some months, or a while after.
        begin = end + draw.randint(-4, 9)
    first = draw.randint(1998, 2003)
    schools = [
        {
            "institution": _SCHOOLS[language][number],
            "degree": _DEGREES[language][number],
            "major": draw.choice(_MAJORS[language]),
            "start": str(first + 4 * number),
            "end": str(first + 4 * number + draw.choice([3, 4])),
        }
        for number in range(draw.choice([1, 2]))
    ]
    source = draw.choice([{"type": "manual"}, {"type": "resume", "ref": f"r-{draw.randint(1, 999)}"}])
    return {
        "full_name": draw.choice(_NAMES[language]),
        "email": draw.choice(_EMAILS),
        "phone": draw.choice(_PHONES[language]),
        "location": draw.choice(_PLACES[language]),
        "headline": draw.choice(_HEADLINES[language]),
        "summary": draw.choice(_SUMMARIES[language]),
        "language": language,
        "skills": draw.sample(_SKILLS, draw.randint(5, 9)),
        "experience": jobs,
        "education": schools,
        "source": source,
    }


def identity_number(draw: random.Random) -> str:
    """A made-up number of an identity card with its right check digit (GB 11643-1999, ISO 7064)."""
    body = (
        f"{draw.choice(['110105', '310115', '440305'])}{draw.randint(1950, 2005)}{draw.randint(1, 12):02}15"
    )
    body += f"{draw.randint(0, 999):03}"
    # The weight of position i from the right is 2 to the power of i, modulo 11.
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def _set(field: str, *values: object) -> Callable[[Document, random.Random], None]:
    def change(record: Document, draw: random.Random) -> None:
        record[field] = draw.choice(values)

    return change


def _job(**fields: object) -> Callable[[Document, random.Random], None]:
    def change(record: Document, _: random.Random) -> None:
        record["experience"] = [record["experience"][0] | {"dates": None} | fields]

    return change


def _school(**fields: object) -> Callable[[Document, random.Random], None]:
    def change(record: Document, _: random.Random) -> None:
        record["education"] = [record["education"][0] | fields]

    return change


def _jobs(*periods: tuple[str, str | None]) -> Callable[[Document, random.Random], None]:
    def change(record: Document, _: random.Random) -> None:
        first = record["experience"][0]
        record["experience"] = [
            first
            | {"company": f"Company {number}", "start": start, "end": end, "dates": None if end else "至今"}
            for number, (start, end) in enumerate(periods)
        ]

    return change


def _schools(*rows: tuple[str, str, str]) -> Callable[[Document, random.Random], None]:
    def change(record: Document, _: random.Random) -> None:
        record["education"] = [
            record["education"][0]
            | {"institution": f"School {number}", "degree": degree, "start": start, "end": end}
            for number, (degree, start, end) in enumerate(rows)
        ]

    return change


def _twice(field: str) -> Callable[[Document, random.Random], None]:
    def change(record: Document, _: random.Random) -> None:
        record[field] = [record[field][0], *record[field]]

    return change


def _with_identity_number(record: Document, draw: random.Random) -> None:
    record["summary"] += f" 身份证号码{identity_number(draw)}。"


def _in_another_language(record: Document, draw: random.Random) -> None:
    other = {"en": "zh", "zh": "en"}[record["language"]]
    record |= {"headline": draw.choice(_HEADLINES[other]), "summary": _SUMMARIES[other][0]}


def _unreachable(record: Document, _: random.Random) -> None:
    record |= {"email": None, "phone": None}


DEFECTS: dict[str, tuple[str, Callable[[Document, random.Random], None]]] = {
    "a name that is none": (
        "full_name",
        _set("full_name", "个人简历", "Curriculum Vitae", "张先生", "ada_99"),
    ),
    "a name without letters": ("full_name", _set("full_name", "12", "--", "*** ")),
    "no address": ("email", _set("email", "ada.example.org", "ada@@example.org", "ada@host", "a b@x.org")),
    "a slip in the address": (
        "email",
        _set("email", "ada@gmial.com", "li@qq.con", "x@163.con", "y@hotmial.com", "z@gmsil.com"),
    ),
    "no number": ("phone", _set("phone", "call me", "123", "+86 138 0013 8000 0000 0000")),
    "a number of no country": (
        "phone",
        _set("phone", "12345", "+86 110 0000 0000", "+1 012 345 6789", "00000000"),
    ),
    "a control character": ("summary", _set("summary", "Builds\x00 things", "做开发\x1b[1m")),
    "an identity number": ("summary", _with_identity_number),
    "an end before the beginning": ("experience[0].end", _job(start="2020-05", end="2020-04")),
    "a school that ends first": ("education[0].end", _school(start="2010", end="2006")),
    "a year long ago": ("experience[0].start", _job(start="1815", end="1820")),
    "a job to come": ("experience[0].start", _job(start="2031-01", end=None)),
    "a school far ahead": ("education[0].end", _school(start="2025", end="2050")),
    "a job of a lifetime": ("experience[0]", _job(start="1960-01", end="2020-12")),
    "a school of decades": ("education[0]", _school(start="1980", end="2005")),
    "a job a century ago": ("experience[0].start", _job(start="1919-01", end="1921-12")),
    "jobs side by side": ("experience[1].start", _jobs(("2015-01", "2019-12"), ("2016-01", "2018-12"))),
    "many jobs now": ("experience[2].end", _jobs(("2026-08", None), ("2026-09", None), ("2026-10", None))),
    "schools side by side": ("education[1].start", _schools(("BSc", "2008", "2012"), ("BA", "2009", "2012"))),
    "a doctor before the bachelor": (
        "education[0].end",
        _schools(("PhD", "2001", "2004"), ("BSc", "2008", "2012")),
    ),
    "硕士 before 本科": ("education[0].end", _schools(("硕士", "2001", "2004"), ("本科", "2008", "2012"))),
    "a job twice": ("experience[1]", _twice("experience")),
    "a school twice": ("education[1]", _twice("education")),
    "a skill twice": ("skills[1]", _twice("skills")),
    "a skill that is a sentence": (
        "skills[0]",
        _set("skills", ["Worked with many people on many things.", *_SKILLS]),
    ),
    "another language": ("language", _in_another_language),
    "no way to the person": ("email", _unreachable),
    "no headline": ("headline", _set("headline", None)),
    "no place": ("location", _set("location", None)),
    "no skills": ("skills", _set("skills", [], ["Go"])),
    "no jobs": ("experience", _set("experience", [])),
    "a job without its company": ("experience[0].company", _job(company=None)),
    "a job without a beginning": ("experience[0].start", _job(start=None)),
    "a school without its name": ("education[0].institution", _school(institution=None)),
    "a résumé without its name": ("source.ref", _set("source", {"type": "resume"})),
}


def labelled(seed: int, *, good: int = 250, bad: int = 250) -> list[Labelled]:
    """So many good records, and bad ones of each kind by turns."""
    draw = random.Random(seed)  # noqa: S311 - made-up people
    kinds = list(DEFECTS)
    records = [Labelled(msgspec.convert(_good(draw), TalentDraft), "good", "") for _ in range(good)]
    for number in range(bad):
        kind = kinds[number % len(kinds)]
        field, spoil = DEFECTS[kind]
        record = _good(draw)
        spoil(record, draw)
        records.append(Labelled(msgspec.convert(record, TalentDraft), kind, field))
    return records
