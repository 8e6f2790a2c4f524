"""All rules of skills, in one table. Pure: what is around one in the taxonomy is looked up elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from looma_core.api.quality import Family
from looma_core.api.skill import SkillDraft
from looma_engines.talent_sync.quality import texts
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

_EVERY_TEXT = ("key", "name_en", "name_zh", "aliases[].language", "aliases[].name", "esco_uri", "source.ref")
_CONCEPT = re.compile(r"http://data\.europa\.eu/esco/(skill|isced-f)/[A-Za-z0-9._-]+")
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What was found of other skills.

    Args:
        key: the key that it has so far; None for a new one.
        missing: skills that it is to be under, and that are not there.
        circle: keys along the circle that it would close, and the field by which.
    """

    key: str | None = None
    missing: tuple[UUID, ...] = ()
    circle: tuple[str, ...] = ()
    closed_by: str = "parents"


def names_of(skill: SkillDraft) -> Iterator[tuple[str, str, str]]:
    """Every name of a skill: the path of its field, its language, the name."""
    for field, language in (("name_en", "en"), ("name_zh", "zh")):
        if (name := getattr(skill, field)) is not None:
            yield field, language, name
    for index, alias in enumerate(skill.aliases):
        yield f"aliases[{index}].name", alias.language, alias.name


def _keyless(case: Case[SkillDraft]) -> Iterator[Fault]:
    key, before = case.record.key, case.beside.key if isinstance(case.beside, Beside) else None
    if key is None:
        yield Fault("key", "is missing: none can be made of the English name")
    elif before is not None and key != before:
        yield Fault("key", f"stays as it is, {before}: make another skill, and say that it replaces this one")


def _nameless(case: Case[SkillDraft]) -> Iterator[Fault]:
    if case.record.name_en is None and case.record.name_zh is None:
        yield Fault("name_en", "is missing: give a name in English, in Chinese, or both")


def _wordless(case: Case[SkillDraft]) -> Iterator[Fault]:
    for field, _, name in names_of(case.record):
        if not _LETTER.search(name):
            yield Fault(field, "has no letter and no digit: write a name")


def _away(case: Case[SkillDraft]) -> Iterator[Fault]:
    if isinstance(case.beside, Beside) and case.beside.missing:
        ids = ", ".join(str(number) for number in case.beside.missing)
        yield Fault("parents", f"there is no skill {ids}: leave it out, or make it first")


def _in_a_circle(case: Case[SkillDraft]) -> Iterator[Fault]:
    if isinstance(case.beside, Beside) and case.beside.circle:
        path = " → ".join(case.beside.circle)
        yield Fault(case.beside.closed_by, f"closes a circle: {path}; nothing is above itself")


def _no_concept(case: Case[SkillDraft]) -> Iterator[Fault]:
    uri = case.record.esco_uri
    if uri is not None and not _CONCEPT.fullmatch(uri):
        yield Fault("esco_uri", "write the address of a concept, as http://data.europa.eu/esco/skill/…")


def _replaced(case: Case[SkillDraft]) -> Iterator[Fault]:
    if case.record.replaced_by is not None and case.record.status != "retired":
        yield Fault("replaced_by", "leave it out, or retire the skill: an active one is not replaced")


def _again(case: Case[SkillDraft]) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    names = list(names_of(case.record))
    for field, language, name in names:
        spelled = (language, " ".join(name.split()).casefold())
        if spelled in seen:
            yield Fault(field, "is there already", 1 / len(names))
        seen.add(spelled)


def _alone(case: Case[SkillDraft]) -> Iterator[Fault]:
    if case.record.kind != "group" and not case.record.parents:
        yield Fault("parents", "is empty: nobody finds it from above")


RULES: tuple[Rule[SkillDraft], ...] = (
    texts.control("skill.texts.control", *_EVERY_TEXT),
    refusing(
        "skill.key.fixed",
        "key",
        family=Family.REFERENTIAL,
        asks="There is a key, and it stays as it is: others know the skill by it.",
        faults=_keyless,
    ),
    refusing(
        "skill.name.required",
        "name_en",
        "name_zh",
        family=Family.REQUIRED,
        asks="There is a name, in English or in Chinese.",
        faults=_nameless,
    ),
    refusing(
        "skill.names.letters",
        "name_en",
        "name_zh",
        "aliases[].name",
        family=Family.FORMAT,
        asks="Each name has a letter or a digit.",
        faults=_wordless,
    ),
    refusing(
        "skill.parents.there",
        "parents[]",
        family=Family.REFERENTIAL,
        asks="Skills above it are there.",
        faults=_away,
    ),
    refusing(
        "skill.parents.circle",
        "parents[]",
        "replaced_by",
        family=Family.REFERENTIAL,
        asks="No skill is above itself, or takes its own place, by whatever way round.",
        faults=_in_a_circle,
    ),
    refusing(
        "skill.esco_uri.format",
        "esco_uri",
        family=Family.FORMAT,
        asks="The concept is one of ESCO, by its address.",
        faults=_no_concept,
    ),
    refusing(
        "skill.replaced_by.retired",
        "status",
        "replaced_by",
        family=Family.CROSS_FIELD,
        asks="Only a retired skill is replaced by another.",
        faults=_replaced,
    ),
    texts.present("skill.name_en.required", "name_en", points=30, asks="There is a name in English."),
    texts.present("skill.name_zh.required", "name_zh", points=30, asks="There is a name in Chinese."),
    warning(
        "skill.aliases.once",
        "name_en",
        "name_zh",
        "aliases[].name",
        "aliases[].language",
        family=Family.DUPLICATE,
        points=20,
        asks="No name is there twice in one language.",
        faults=_again,
    ),
    warning(
        "skill.parents.required",
        "kind",
        "parents[]",
        family=Family.REQUIRED,
        points=20,
        asks="A skill that is no group is under another.",
        faults=_alone,
    ),
)
