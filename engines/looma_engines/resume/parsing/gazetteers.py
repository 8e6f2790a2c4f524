"""Word lists of our own hand, read once from ``resume/data``.

A list file has ``[name]`` lines and under each the words, parted by "|" where a line holds one and by
spaces otherwise; "#" starts a comment line.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from looma_engines.resume.documents.cleaning import fold

_SECTION: Final = re.compile(r"^\[([\w-]+)\]$")


def _sections(name: str) -> dict[str, list[str]]:
    """Lines of each ``[name]`` of a list file, without comments and empty lines."""
    text = files("looma_engines.resume").joinpath("data", name).read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        found = _SECTION.match(line)
        if found:
            current = sections.setdefault(found.group(1), [])
        elif line.strip() and not line.startswith("#"):
            current.append(line.strip())
    return sections


@cache
def words(file: str, section: str) -> tuple[str, ...]:
    """Entries of one section in the order of the file, folded."""
    out: list[str] = []
    for line in _sections(file)[section]:
        out += [fold(part).strip() for part in (line.split("|") if "|" in line else line.split())]
    return tuple(dict.fromkeys(word for word in out if word))


@cache
def headings() -> dict[str, str]:
    """Heading in lower case without white space between Chinese characters: kind of section."""
    return {
        fold(word): kind
        for kind, lines in _sections("headings.txt").items()
        for line in lines
        for word in line.split("|")
    }


@cache
def degrees() -> dict[str, str]:
    """English spelling in lower case: the degree's name as the list says it first."""
    out: dict[str, str] = {}
    for line in _sections("schools.txt")["degrees-english"]:
        spellings = [fold(part).strip() for part in line.split("|")]
        for spelling in spellings:
            out[spelling.lower()] = spellings[0]
    return out


@cache
def surnames() -> tuple[frozenset[str], frozenset[str]]:
    """Single and double Chinese surnames."""
    lists = _sections("names.txt")
    return frozenset("".join(lists["surnames"])), frozenset(" ".join(lists["double-surnames"]).split())


@cache
def not_names() -> frozenset[str]:
    """Words that begin like a Chinese name and are none."""
    return frozenset(" ".join(_sections("names.txt")["not-names"]).split())


def alternation(entries: tuple[str, ...] | list[str]) -> str:
    """A regular expression of the entries, the longest first."""
    return "(?:" + "|".join(re.escape(entry) for entry in sorted(entries, key=len, reverse=True)) + ")"


class Skill(msgspec.Struct, frozen=True):
    """One skill of the list.

    ``spellings`` are taken everywhere, in any case; ``guarded`` ones are common words and are taken only
    in a list of skills and in this very case.
    """

    id: str
    name: str
    category: str
    spellings: tuple[str, ...]
    guarded: tuple[str, ...]


@cache
def skills() -> tuple[Skill, ...]:
    """All skills of ``data/skills.txt``.

    Raises:
        ValueError: if two skills share an id.
    """
    out: dict[str, Skill] = {}
    for category, lines in _sections("skills.txt").items():
        for line in lines:
            skill = _skill(line, category)
            if skill.id in out:
                raise ValueError(f"the skill {skill.id} is listed twice")
            out[skill.id] = skill
    return tuple(out.values())


def _skill(line: str, category: str) -> Skill:
    head, _, rest = line.partition(" = ")
    spelled = rest or head
    forms = [fold(part).strip() for part in spelled.split("|")]
    name = forms[0].rstrip("~")
    return Skill(
        id=head.strip() if rest else slug(name),
        name=name,
        category=category,
        spellings=tuple(form for form in forms if not form.endswith("~")),
        guarded=tuple(form[:-1] for form in forms if form.endswith("~")),
    )


def slug(name: str) -> str:
    """The id of a skill that has none in the list: lower case, words joined by hyphens."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-")
