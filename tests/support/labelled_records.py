"""Companies, jobs and relations with a label each, as `labelled_talents` has them. Made here, from a seed.

A bad one is a good one with one defect; the label says where it was put, and knows nothing of the rules. Some are near
the border on purpose: a job whose last day is today is good, so is a salary that reaches four times its lower end, and
work that begins and ends on one day.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft
from looma_core.api.relation import OBJECTS, RelationDraft
from support.labelled_talents import identity_number

Document = dict[str, Any]
Spoil = Callable[[Document, random.Random], None]
TODAY = date(2026, 11, 27)

_PLACES = {"en": ["London", "Leeds, UK", "Boston"], "zh": ["上海市", "北京", "杭州市西湖区"]}
_COMPANIES = {
    "en": ["Harbour Payments Ltd", "Brindle & Stone", "Fernway", "O'Neil Shipping plc", "3M Trading"],
    "zh": ["云栈科技有限公司", "蓝鲸网络科技有限公司", "东海银行股份有限公司", "七一一贸易公司"],
}
_SHORT = {"en": ["HP", "Northwind", "B&S"], "zh": ["云栈", "蓝鲸", "东海"]}
_INDUSTRIES = {"en": ["Software", "Banking"], "zh": ["软件", "银行"]}
_ABOUT = {
    "en": [
        "Runs the payment network of retailers in nine countries, day and night; small teams of engineers build it."
    ],
    "zh": [
        "为零售企业提供支付与结算服务，日均处理订单一千二百万笔，由六个研发小组共同维护网关与对账系统的稳定运行。"
    ],
}
_TITLES = {
    "en": ["Backend Engineer", "Data Analyst (m/f/d)", "C++ Developer", "Head of Risk"],
    "zh": ["后端工程师", "数据分析师", "高级 Java 开发", "风控主管"],
}
_SKILLS = ["Python", "Go", "PostgreSQL", "Kafka", "Redis", "Kubernetes", "微服务", "数据分析", "CI/CD", "C++"]
_SITES = ["https://www.example.org", "http://例子.公司/关于", "https://example.org:8443/a?b=c#d"]
_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


@dataclass(frozen=True)
class Labelled:
    """A record and what is wrong with it: the `field` where the defect is, empty for a good one; `kind` in words."""

    draft: Any
    kind: str
    field: str


def credit_code(draw: random.Random) -> str:
    """A made-up unified social credit code with its right check sign (GB 32100-2015)."""
    body = "91" + "".join(draw.choice("0123456789") for _ in range(6)) + "".join(draw.choices(_SIGNS, k=9))
    total = sum(_SIGNS.index(sign) * weight for sign, weight in zip(body, _WEIGHTS, strict=True))
    return body + _SIGNS[(31 - total % 31) % 31]


def _set(field: str, *values: object) -> Spoil:
    def change(record: Document, draw: random.Random) -> None:
        record[field] = draw.choice(values)

    return change


def _another_sign(record: Document, draw: random.Random) -> None:
    code, place = record["registration_number"], draw.randrange(17)
    other = draw.choice([sign for sign in _SIGNS if sign != code[place]])
    record["registration_number"] = code[:place] + other + code[place + 1 :]


def _with_identity_number(field: str) -> Spoil:
    def change(record: Document, draw: random.Random) -> None:
        record[field] = f"{record.get(field) or ''} 身份证号码{identity_number(draw)}。"

    return change


def _in_another_language(record: Document, _: random.Random) -> None:
    record["language"] = {"en": "zh", "zh": "en"}[record["language"]]


def _twice(field: str) -> Spoil:
    def change(record: Document, _: random.Random) -> None:
        record[field] = [record[field][0], *record[field]]

    return change


# ---- companies ---------------------------------------------------------------------------------------------


def _company(draw: random.Random) -> Document:
    language = draw.choice(["en", "zh"])
    return {
        "name": draw.choice(_COMPANIES[language]),
        "aliases": draw.sample(_SHORT[language], draw.randint(1, 3)),
        "registration_number": credit_code(draw) if language == "zh" else "GB 04123456",
        "website": draw.choice(_SITES),
        "industry": draw.choice(_INDUSTRIES[language]),
        "size": draw.choice(["1-10", "51-200", "5001+"]),
        "location": draw.choice(_PLACES[language]),
        "description": draw.choice(_ABOUT[language]),
        "language": language,
    }


def _chinese(spoil: Spoil) -> Spoil:
    def change(record: Document, draw: random.Random) -> None:
        record |= {"registration_number": credit_code(draw)}
        spoil(record, draw)

    return change


COMPANY_DEFECTS: dict[str, tuple[str, Spoil]] = {
    "a name without letters": ("name", _set("name", "12", "--", "*** ")),
    "a name that is an address": (
        "name",
        _set("name", "info@example.org", "www.example.org", "https://example.org"),
    ),
    "no address of a site": (
        "website",
        _set("website", "www.example.org", "ftp://example.org", "https://localhost"),
    ),
    "a site with a password": ("website", _set("website", "https://ada:secret@example.org")),
    "a slip in the code": ("registration_number", _chinese(_another_sign)),
    "an alias twice": ("aliases[1]", _twice("aliases")),
    "an alias that is the name": (
        "aliases[0]",
        lambda record, _: record.update(aliases=[record["name"]]),
    ),
    "another language": ("language", _in_another_language),
    "no code": ("registration_number", _set("registration_number", None)),
    "no site": ("website", _set("website", None)),
    "no industry": ("industry", _set("industry", None)),
    "no size": ("size", _set("size", None)),
    "no place": ("location", _set("location", None)),
    "no description": ("description", _set("description", None)),
    "a control character": ("industry", _set("industry", "Soft\x00ware", "银行\x1b[1m")),
    "an identity number": ("description", _with_identity_number("description")),
}


# ---- jobs --------------------------------------------------------------------------------------------------


def _job(draw: random.Random) -> Document:
    language = draw.choice(["en", "zh"])
    lower = draw.choice([8_000, 20_000, 35_000])
    opened = TODAY - timedelta(days=draw.randint(0, 60))
    known: Document = {"company_name": draw.choice(_COMPANIES[language])}
    return {
        "title": draw.choice(_TITLES[language]),
        **draw.choice([known, {"company_id": str(uuid.UUID(int=draw.getrandbits(128)))}]),
        "location": draw.choice(_PLACES[language]),
        "workplace": draw.choice(["on-site", "hybrid", "remote"]),
        "employment": draw.choice(["full-time", "part-time", "contract"]),
        "description": draw.choice(_ABOUT[language]),
        "skills": draw.sample(_SKILLS, draw.randint(3, 8)),
        "experience_years": draw.choice([None, 0, 3, 10]),
        "degree": draw.choice([None, "bachelor", "master"]),
        "salary": draw.choice(
            [
                {"min": lower, "max": lower * draw.choice([1, 2, 4])},
                {"min": lower},
                {"min": lower, "max": lower + 1, "currency": "GBP", "per": "year"},
            ]
        ),
        "openings": draw.randint(1, 20),
        "opens_on": opened.isoformat(),
        "closes_on": draw.choice([None, TODAY.isoformat(), (TODAY + timedelta(days=60)).isoformat()]),
        "language": language,
    }


def _with(**fields: object) -> Spoil:
    def change(record: Document, _: random.Random) -> None:
        record |= fields

    return change


JOB_DEFECTS: dict[str, tuple[str, Spoil]] = {
    "a title without letters": ("title", _set("title", "…", "12", "--")),
    "a salary upside down": ("salary.max", _set("salary", {"min": 5000, "max": 4000}, {"min": 2, "max": 1})),
    "a salary of all and nothing": ("salary.max", _set("salary", {"min": 2_500, "max": 40_000})),
    "an end before the beginning": ("closes_on", _with(opens_on="2027-02-01", closes_on="2027-01-31")),
    "an end that is over": ("closes_on", _with(opens_on="2026-01-01", closes_on="2026-11-26")),
    "experience of a lifetime": ("experience_years", _set("experience_years", 21, 45)),
    "an internship for the experienced": (
        "experience_years",
        _with(employment="internship", experience_years=5, degree=None),
    ),
    "an internship for doctors": (
        "degree",
        _with(employment="internship", experience_years=None, degree="doctor"),
    ),
    "a skill that is a sentence": (
        "skills[0]",
        lambda record, _: record.update(skills=["熟悉分布式系统的设计与实现。", *record["skills"]]),
    ),
    "a skill twice": ("skills[1]", _twice("skills")),
    "too few skills": ("skills", _set("skills", [], ["Go"])),
    "another language": ("language", _in_another_language),
    "no company": ("company_name", _with(company_name=None, company_id=None)),
    "no place": ("location", _with(location=None, workplace="on-site")),
    "no description": ("description", _set("description", None)),
    "a description of a word": ("description", lambda record, _: record.update(description="Go.")),
    "no salary": ("salary", _set("salary", None, {"currency": "EUR"})),
    "no employment": ("employment", _set("employment", None)),
    "no workplace": ("workplace", _set("workplace", None)),
    "a control character": ("location", _set("location", "Lon\x07don", "杭州\x07")),
    "an identity number": ("description", _with_identity_number("description")),
}


# ---- relations ---------------------------------------------------------------------------------------------


def _relation(draw: random.Random) -> Document:
    kind = draw.choice(list(OBJECTS))
    begin = date(draw.randint(1985, 2024), draw.randint(1, 12), draw.randint(1, 28))
    end = begin + timedelta(days=draw.choice([0, 90, 700]))
    return {
        "kind": kind,
        "talent_id": str(uuid.UUID(int=draw.getrandbits(128))),
        OBJECTS[kind]: str(uuid.UUID(int=draw.getrandbits(128))),
        "title": draw.choice(["Engineer", "组长"]) if kind in ("works_at", "worked_at") else None,
        "starts_on": begin.isoformat(),
        "ends_on": end.isoformat() if kind == "worked_at" else None,
        "note": draw.choice([None, "Told by a colleague.", "同事推荐"]),
    }


def _of(kind: str, **fields: object) -> Spoil:
    """The same of another kind, whole, and then spoilt."""

    def change(record: Document, draw: random.Random) -> None:
        other = str(uuid.UUID(int=draw.getrandbits(128)))
        record |= {**dict.fromkeys(OBJECTS.values()), "kind": kind, OBJECTS[kind]: other, "ends_on": None}
        record["title"] = "Engineer" if kind in ("works_at", "worked_at") else None
        if kind == "worked_at":
            record["ends_on"] = (date.fromisoformat(record["starts_on"]) + timedelta(days=90)).isoformat()
        record |= fields

    return change


def _of_oneself(record: Document, draw: random.Random) -> None:
    _of("reports_to")(record, draw)
    record["other_talent_id"] = record["talent_id"]


RELATION_DEFECTS: dict[str, tuple[str, Spoil]] = {
    "work at no company": ("company_id", _of("works_at", company_id=None)),
    "an application to nothing": ("job_id", _of("applied_to", job_id=None)),
    "work at a job too": ("job_id", _of("works_at", job_id=str(uuid.UUID(int=7)))),
    "an acquaintance with a company": ("company_id", _of("knows", company_id=str(uuid.UUID(int=7)))),
    "somebody who leads themselves": ("other_talent_id", _of_oneself),
    "a title of an acquaintance": ("title", _of("knows", title="Friend")),
    "an end before the beginning": (
        "ends_on",
        _of("reports_to", starts_on="2020-01-02", ends_on="2020-01-01"),
    ),
    "a day long ago": ("starts_on", _of("knows", starts_on="1899-12-31")),
    "a day far ahead": ("ends_on", _of("works_at", ends_on="2037-01-01")),
    "work that is over": ("kind", _of("works_at", starts_on="2020-01-01", ends_on="2026-11-26")),
    "work that was, without an end": ("ends_on", _of("worked_at", ends_on=None)),
    "work that was, until later": ("ends_on", _of("worked_at", ends_on="2026-11-28")),
    "an application to come": ("starts_on", _of("applied_to", starts_on="2026-11-28")),
    "work of a lifetime": ("ends_on", _of("worked_at", starts_on="1950-01-01", ends_on="2024-01-31")),
    "no beginning": ("starts_on", _of("works_at", starts_on=None)),
    "work without a title": ("title", _of("works_at", title=None)),
    "a control character": ("note", _set("note", "a\x00b")),
    "an identity number": ("note", _with_identity_number("note")),
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How records of one kind are made and spoilt."""

    draft: type[msgspec.Struct]
    good: Callable[[random.Random], Document]
    defects: Mapping[str, tuple[str, Spoil]]


KINDS: Mapping[str, Kind] = {
    "company": Kind(draft=CompanyDraft, good=_company, defects=COMPANY_DEFECTS),
    "job": Kind(draft=JobDraft, good=_job, defects=JOB_DEFECTS),
    "relation": Kind(draft=RelationDraft, good=_relation, defects=RELATION_DEFECTS),
}


def labelled(entity: str, seed: int, *, good: int = 50, bad: int = 50) -> list[Labelled]:
    """So many good records of a kind, and bad ones with each defect by turns."""
    kind, draw = KINDS[entity], random.Random(seed)  # noqa: S311 - made-up records
    records = [Labelled(msgspec.convert(kind.good(draw), kind.draft), "good", "") for _ in range(good)]
    names = list(kind.defects)
    for number in range(bad):
        name = names[number % len(names)]
        field, spoil = kind.defects[name]
        record = kind.good(draw)
        spoil(record, draw)
        records.append(Labelled(msgspec.convert(record, kind.draft), name, field))
    return records
