"""People who are there twice, and strangers who nearly are: made by a seed, each pair with the truth.

Names, companies and schools are our own lists, in Chinese and English, common ones on purpose. Addresses are of the
domains that are kept for examples.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from looma_core.api.person import Education, Experience
from looma_core.api.talent import TalentDraft

_GIVEN: Final = [
    "Jane",
    "John",
    "Mary",
    "David",
    "Anna",
    "Peter",
    "Laura",
    "James",
    "Sophie",
    "Daniel",
    "Emma",
    "Thomas",
    "Olivia",
    "Robert",
    "Nina",
    "Alexander",
]
_FAMILY: Final = [
    "Smith",
    "Jones",
    "Brown",
    "Miller",
    "Taylor",
    "Wilson",
    "Walker",
    "Johnson",
    "Martin",
    "Anderson",
    "Thompson",
    "Fischer",
    "Novak",
]
_SURNAMES: Final = [
    ("王", "Wang"),
    ("李", "Li"),
    ("张", "Zhang"),
    ("刘", "Liu"),
    ("陈", "Chen"),
    ("曾", "Zeng"),
]
_CHINESE: Final = [
    ("伟", "Wei"),
    ("芳", "Fang"),
    ("小明", "Xiaoming"),
    ("秀英", "Xiuying"),
    ("建国", "Jianguo"),
    ("丽", "Li"),
    ("海燕", "Haiyan"),
    ("志强", "Zhiqiang"),
]
_COMPANIES: Final = [
    "Harbour Payments Ltd",
    "Northwind Analytics",
    "Blue Kettle GmbH",
    "Ferry & Sons",
    "Granite Cloud Inc",
    "港湾支付有限公司",
    "青石科技股份有限公司",
    "明日数据集团",
]
_SCHOOLS: Final = ["University of Leeds", "Charles University", "Tartu College", "东湖大学", "西岭理工大学"]
_PLACES: Final = ["London", "Leeds", "Prague", "Shanghai", "上海", "北京", "Hangzhou", "Berlin, Germany"]
_HOSTS: Final = ["mail.example", "post.example", "work.example"]

Draft = TalentDraft
Change = Callable[[random.Random, Draft], Draft]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two records, what was done to make the second, and whether they are of one person."""

    one: Draft
    other: Draft
    how: str
    same: bool


def pairs(number: int, *, seed: int) -> list[Pair]:
    """So many pairs of each sort."""
    chance = random.Random(seed)  # noqa: S311 - the same people each time
    found = []
    for sorts, same in ((VARIATIONS, True), (STRANGERS, False)):
        for how, change in sorts.items():
            for _ in range(number):
                one = person(chance)
                found.append(Pair(one=one, other=change(chance, one), how=how, same=same))
    return found


def person(chance: random.Random) -> Draft:
    """Somebody."""
    chinese = chance.random() < 0.5
    if chinese:
        (surname, latin), (given, given_latin) = chance.choice(_SURNAMES), chance.choice(_CHINESE)
        name, letters = surname + given, f"{given_latin}.{latin}"
    else:
        first, last = chance.choice(_GIVEN), chance.choice(_FAMILY)
        name, letters = f"{first} {last}", f"{first}.{last}"
    return Draft(
        full_name=name,
        email=f"{letters.lower()}{chance.randrange(10, 9999)}@{chance.choice(_HOSTS)}",
        phone=_number(chance),
        location=chance.choice(_PLACES),
        language="zh" if chinese else "en",
        experience=[_job(chance) for _ in range(chance.randrange(1, 4))],
        education=[Education(institution=chance.choice(_SCHOOLS))] if chance.random() < 0.8 else [],
    )


def _number(chance: random.Random) -> str:
    return f"+86 13{chance.randrange(10)} {chance.randrange(10**4):04} {chance.randrange(10**4):04}"


def _job(chance: random.Random) -> Experience:
    start = chance.randrange(2005, 2024)
    return Experience(
        company=chance.choice(_COMPANIES),
        title="Engineer",
        start=f"{start}-{chance.randrange(1, 13):02}",
        end=f"{min(start + chance.randrange(1, 6), 2026)}-01",
    )


def _with(draft: Draft, **changes: object) -> Draft:
    return msgspec.structs.replace(draft, **changes)


def _slip(chance: random.Random, draft: Draft) -> Draft:
    """A letter of the longest word is another one, and the place is left out."""
    words = draft.full_name.split()
    if len(words) < 2:
        # Another sign of the same sound.
        same = {
            "伟": "玮",
            "芳": "方",
            "丽": "莉",
            "燕": "艳",
            "英": "瑛",
            "国": "帼",
            "明": "鸣",
            "强": "蔷",
        }
        return _with(draft, full_name=draft.full_name[:-1] + same[draft.full_name[-1]], location=None)
    place = max(range(len(words)), key=lambda index: len(words[index]))
    at = chance.randrange(1, len(words[place]))
    words[place] = words[place][:at] + chance.choice("aeiou") + words[place][at + 1 :]
    return _with(draft, full_name=" ".join(words), location=None)


def _turned(_: random.Random, draft: Draft) -> Draft:
    first, _sign, last = draft.full_name.partition(" ")
    name = f"{last.upper()}, {first}" if last else draft.full_name
    local, _at, host = (draft.email or "").partition("@")
    return _with(draft, full_name=name, phone=None, email=f"{local.upper()}@{host}")


def _other_script(_: random.Random, draft: Draft) -> Draft:
    for signs, latin in _SURNAMES:
        if draft.full_name.startswith(signs):
            given = dict(_CHINESE)[draft.full_name[len(signs) :]]
            return _with(draft, full_name=f"{given} {latin}", language="en", email=None)
    return _with(draft, email=None)


def _moved_on(chance: random.Random, draft: Draft) -> Draft:
    """Another address, place and company; the number stays."""
    return _with(
        draft,
        email=f"new{chance.randrange(10**6)}@post.example",
        location=chance.choice(_PLACES),
        experience=[_job(chance), *draft.experience[:1]],
        phone=(draft.phone or "").replace(" ", "-"),
    )


def _new_number(chance: random.Random, draft: Draft) -> Draft:
    return _with(draft, phone=_number(chance), experience=[_job(chance)], education=[])


def _no_contact(_: random.Random, draft: Draft) -> Draft:
    """A profile without address and number; life and place are the same."""
    return _with(draft, email=None, phone=None)


def _initial(_: random.Random, draft: Draft) -> Draft:
    first, _sign, last = draft.full_name.partition(" ")
    return _with(draft, full_name=f"{first[0]}. {last}" if last else draft.full_name, location=None)


def _fresh(chance: random.Random, draft: Draft) -> Draft:
    """Address, number and place are new; one job is in both."""
    return _with(
        draft,
        email=f"fresh{chance.randrange(10**6)}@post.example",
        phone=_number(chance),
        location=chance.choice(_PLACES),
        experience=[_job(chance), draft.experience[0]],
    )


def _another_surname(chance: random.Random, draft: Draft) -> Draft:
    """As after a marriage; the address stays, the number does not."""
    first, _sign, last = draft.full_name.partition(" ")
    name = f"{first} {chance.choice(_FAMILY)}" if last else chance.choice(_SURNAMES)[0] + draft.full_name[1:]
    return _with(draft, full_name=name, phone=_number(chance))


def _namesake(chance: random.Random, draft: Draft) -> Draft:
    """The same common name and nothing else."""
    return _with(person(chance), full_name=draft.full_name, language=draft.language)


def _colleague(chance: random.Random, draft: Draft) -> Draft:
    """A namesake who was at the same company, at another time, in another town."""
    start = (draft.experience[0].start or "2010")[:4]
    job = Experience(company=draft.experience[0].company, start=f"{int(start) - 9}", end=f"{int(start) - 8}")
    elsewhere = chance.choice([place for place in _PLACES if place != draft.location])
    return _with(
        person(chance),
        full_name=draft.full_name,
        language=draft.language,
        location=elsewhere,
        experience=[job],
        education=[Education(institution=chance.choice(_SCHOOLS))],
    )


def _other_given(chance: random.Random, draft: Draft) -> str:
    if " " in draft.full_name:
        first, last = draft.full_name.split(" ")
        return f"{chance.choice([name for name in _GIVEN if name[0] != first[0]])} {last}"
    given = chance.choice([signs for signs, _ in _CHINESE if signs != draft.full_name[1:]])
    return draft.full_name[0] + given


def _couple(chance: random.Random, draft: Draft) -> Draft:
    """Somebody of the same surname, with the same number and place."""
    return _with(
        person(chance),
        full_name=_other_given(chance, draft),
        language=draft.language,
        phone=draft.phone,
        location=draft.location,
    )


def _one_recruiter(chance: random.Random, draft: Draft) -> Draft:
    """Somebody else whom the same recruiter wrote down, with the recruiter's own number and address."""
    return _with(person(chance), phone=draft.phone, email=draft.email)


def _team(chance: random.Random, draft: Draft) -> Draft:
    """Somebody of the same surname in the same team and from the same school."""
    return _with(
        person(chance),
        full_name=_other_given(chance, draft),
        location=draft.location,
        experience=draft.experience,
        education=draft.education,
    )


VARIATIONS: Final[dict[str, Change]] = {
    "a slip in the name": _slip,
    "the name turned round, no number": _turned,
    "another script, no address": _other_script,
    "another address, place and company": _moved_on,
    "another number and company": _new_number,
    "neither address nor number": _no_contact,
    "an initial": _initial,
    "all contact is new": _fresh,
    "another surname": _another_surname,
}
"""One person."""
STRANGERS: Final[dict[str, Change]] = {
    "a namesake": _namesake,
    "a namesake at the same company": _colleague,
    "a couple with one number": _couple,
    "one recruiter's number and address": _one_recruiter,
    "the same team": _team,
}
"""Two people."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How right a judgement is: of what it says, and of what there is."""

    precision: float
    recall: float
    said: int
    right: int


def rates(judged: list[tuple[bool, bool]]) -> Rates:
    """Of pairs of what was said and what is so."""
    said = sum(says for says, _ in judged)
    there = sum(so for _, so in judged)
    right = sum(says and so for says, so in judged)
    return Rates(
        precision=right / said if said else 1.0,
        recall=right / there if there else 1.0,
        said=said,
        right=right,
    )
