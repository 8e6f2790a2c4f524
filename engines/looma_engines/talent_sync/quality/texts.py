"""Rules that every kind of record has for its texts, made for the fields of each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from looma_core.api.quality import Family, Severity
from looma_engines.talent_sync.quality.identity_numbers import masked
from looma_engines.talent_sync.quality.rule import Case, DraftT, Fault, Rule, refusing, warning

LONGEST_SKILL_WORDS = 6
LEAST_LETTERS = 20
"""In fewer letters no language is told."""
ENOUGH_TO_TELL = 500
"""Characters that tell a language."""

# PostgreSQL's text cannot hold NUL, and no name has a control character; lines of paragraphs may.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")


def letters(rule_id: str, field: str, message: str) -> Rule[DraftT]:
    """A name without which there is no record."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        if not any(sign.isalpha() for sign in getattr(case.record, field)):
            yield Fault(field, message)

    return refusing(rule_id, field, family=Family.REQUIRED, asks="The name has a letter.", faults=faults)


def control(rule_id: str, *fields: str) -> Rule[DraftT]:
    """No text has a control character."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        if not _CONTROL.search(case.whole):
            return
        for path, text in case.texts:
            if _CONTROL.search(text):
                yield Fault(path, "has a control character")

    return refusing(
        rule_id, *fields, family=Family.FORMAT, asks="No text has a control character.", faults=faults
    )


def identity_number(rule_id: str, *fields: str) -> Rule[DraftT]:
    """Numbers of identity cards, which are masked when a record is stored."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        if masked(case.whole) == case.whole:
            return
        for path, text in case.texts:
            if masked(text) != text:
                yield Fault(path, "has the number of an identity card, which is not stored: leave it out")

    return Rule(
        id=rule_id,
        fields=fields,
        family=Family.FORMAT,
        severity=Severity.MASKED,
        asks="No text has the number of a Chinese identity card; one that its check digit tells is masked.",
        faults=faults,
    )


def present(rule_id: str, field: str, *, points: int, asks: str, message: str = "is missing") -> Rule[DraftT]:
    """A field that a whole record has."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        if not getattr(case.record, field):
            yield Fault(field, message)

    return warning(rule_id, field, family=Family.REQUIRED, points=points, asks=asks, faults=faults)


def enough(rule_id: str, field: str, *, least: int, points: int, asks: str) -> Rule[DraftT]:
    """A list that has so many entries."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        missing = least - len(getattr(case.record, field))
        if missing > 0:
            yield Fault(field, f"{missing} more would be {least}", missing / least)

    return warning(rule_id, field, family=Family.REQUIRED, points=points, asks=asks, faults=faults)


def skill_names(rule_id: str, *, points: int) -> Rule[DraftT]:
    """Skills that are names and no sentences."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        skills: Sequence[str] = getattr(case.record, "skills")  # noqa: B009 - of whatever kind has them
        for index, skill in enumerate(skills):
            if len(skill.split()) > LONGEST_SKILL_WORDS or skill.rstrip().endswith(("。", ".", "；", ";")):
                yield Fault(f"skills[{index}]", "is a sentence: name the skill", 2 / len(skills))

    return warning(
        rule_id,
        "skills[]",
        family=Family.FORMAT,
        points=points,
        asks=f"A skill is a name of at most {LONGEST_SKILL_WORDS} words.",
        faults=faults,
    )


def once(rule_id: str, field: str, *, points: int, asks: str) -> Rule[DraftT]:
    """A list of texts in which none is there twice, in whatever case."""

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        texts: Sequence[str] = getattr(case.record, field)
        seen: set[str] = set()
        for index, text in enumerate(texts):
            spelled = " ".join(text.split()).casefold()
            if spelled in seen:
                yield Fault(f"{field}[{index}]", "is there already", 1 / len(texts))
            seen.add(spelled)

    return warning(rule_id, f"{field}[]", family=Family.DUPLICATE, points=points, asks=asks, faults=faults)


def language(rule_id: str, *fields: str, points: int) -> Rule[DraftT]:
    """The record's language is that of these texts."""
    names = " and ".join(fields)

    def faults(case: Case[DraftT]) -> Iterator[Fault]:
        text = " ".join(getattr(case.record, field) or "" for field in fields)[:ENOUGH_TO_TELL]
        if getattr(case.record, "language") == "zh":  # noqa: B009 - every kind has one
            if not _HAN.search(text) and len(_LETTER.findall(text)) >= LEAST_LETTERS:
                yield Fault("language", f"no Chinese sign is in {names}: it is another language")
        elif not text.isascii():
            count = len(_LETTER.findall(text))
            if count >= LEAST_LETTERS and 2 * len(_HAN.findall(text)) > count:
                yield Fault("language", f"{names} are Chinese: write zh")

    return warning(
        rule_id,
        "language",
        *fields,
        family=Family.CROSS_FIELD,
        points=points,
        asks=f"The language is that of {names}.",
        faults=faults,
    )
