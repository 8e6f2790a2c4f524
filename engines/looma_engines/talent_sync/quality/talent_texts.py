"""Rules of a talent's texts: names, addresses, skills, languages. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from looma_core.api.quality import Family, Severity
from looma_engines.talent_sync.quality import contact
from looma_engines.talent_sync.quality.identity_numbers import masked
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

LONGEST_SKILL_WORDS = 6
LONGEST_NAME_WORDS = 8
LEAST_LETTERS = 20
"""In fewer letters no language is told."""
ENOUGH_TO_TELL = 500
"""Characters of headline and summary that tell their language."""

# PostgreSQL's text cannot hold NUL, and no name has a control character; lines of paragraphs may.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_NAME = re.compile(r"[0-9@#<>{}|\\/=_~]|\b(?:resume|résumé|curriculum|cv)\b|简历|先生|女士", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")


def _without_letter(case: Case) -> Iterator[Fault]:
    if not any(letter.isalpha() for letter in case.record.full_name):
        yield Fault("full_name", "write the person's name")


def _no_address(case: Case) -> Iterator[Fault]:
    email = case.record.email
    if email is not None and not contact.is_address(email):
        yield Fault("email", "write an address such as ada@example.org")


def _no_number(case: Case) -> Iterator[Fault]:
    phone = case.record.phone
    if phone is not None and not contact.is_number(phone):
        yield Fault("phone", "write a number such as +86 138 0013 8000")


def _with_control(case: Case) -> Iterator[Fault]:
    if not _CONTROL.search(case.whole):
        return
    for path, text in case.texts:
        if _CONTROL.search(text):
            yield Fault(path, "has a control character")


def _with_identity_number(case: Case) -> Iterator[Fault]:
    if masked(case.whole) == case.whole:
        return
    for path, text in case.texts:
        if masked(text) != text:
            yield Fault(path, "has the number of an identity card, which is not stored: leave it out")


def _odd_name(case: Case) -> Iterator[Fault]:
    name = case.record.full_name
    if _NO_NAME.search(name) or len(name.split()) > LONGEST_NAME_WORDS:
        yield Fault("full_name", "looks like no person's name: write the name alone")


def _slip(case: Case) -> Iterator[Fault]:
    email = case.record.email
    meant = contact.meant_host(email) if email else None
    if meant:
        yield Fault("email", f"ask whether {meant} is meant")


def _not_called(case: Case) -> Iterator[Fault]:
    phone = case.record.phone
    if (
        phone is not None
        and contact.is_number(phone)
        and not contact.can_be_called(phone, case.record.language)
    ):
        yield Fault("phone", "no country gives out such a number: ask for it again, with its country")


def _long_skills(case: Case) -> Iterator[Fault]:
    skills = case.record.skills
    for index, skill in enumerate(skills):
        if len(skill.split()) > LONGEST_SKILL_WORDS or skill.rstrip().endswith(("。", ".", "；", ";")):
            yield Fault(f"skills[{index}]", "is a sentence: name the skill", 2 / len(skills))


def _other_language(case: Case) -> Iterator[Fault]:
    record = case.record
    text = f"{record.headline or ''} {record.summary or ''}"[:ENOUGH_TO_TELL]
    if record.language == "zh":
        if not _HAN.search(text) and len(_LETTER.findall(text)) >= LEAST_LETTERS:
            yield Fault("language", "no Chinese sign is in headline and summary: it is another language")
    elif not text.isascii():
        letters = len(_LETTER.findall(text))
        if letters >= LEAST_LETTERS and 2 * len(_HAN.findall(text)) > letters:
            yield Fault("language", "headline and summary are Chinese: write zh")


def _repeated_skills(skills: Iterable[str]) -> Iterator[int]:
    seen: set[str] = set()
    for index, skill in enumerate(skills):
        spelled = " ".join(skill.split()).casefold()
        if spelled in seen:
            yield index
        seen.add(spelled)


def _skills_twice(case: Case) -> Iterator[Fault]:
    for index in _repeated_skills(case.record.skills):
        yield Fault(f"skills[{index}]", "is there already", 1 / len(case.record.skills))


_EVERY_TEXT = (
    "full_name",
    "email",
    "phone",
    "location",
    "headline",
    "summary",
    "skills[]",
    "experience[].title",
    "experience[].company",
    "experience[].location",
    "experience[].dates",
    "experience[].description",
    "education[].institution",
    "education[].degree",
    "education[].major",
    "education[].dates",
    "source.ref",
)

RULES: tuple[Rule, ...] = (
    refusing(
        "talent.full_name.letters",
        "full_name",
        family=Family.REQUIRED,
        asks="The name has a letter.",
        faults=_without_letter,
    ),
    refusing(
        "talent.email.format",
        "email",
        family=Family.FORMAT,
        asks="The address is something@host.domain.",
        faults=_no_address,
    ),
    refusing(
        "talent.phone.format",
        "phone",
        family=Family.FORMAT,
        asks="The number has 5 to 20 digits, with a plus, brackets, spaces, dots, hyphens or an extension.",
        faults=_no_number,
    ),
    refusing(
        "talent.texts.control",
        *_EVERY_TEXT,
        family=Family.FORMAT,
        asks="No text has a control character.",
        faults=_with_control,
    ),
    Rule(
        id="talent.texts.identity_number",
        fields=_EVERY_TEXT,
        family=Family.FORMAT,
        severity=Severity.MASKED,
        asks="No text has the number of a Chinese identity card; one that its check digit tells is masked.",
        faults=_with_identity_number,
    ),
    warning(
        "talent.full_name.plausible",
        "full_name",
        family=Family.FORMAT,
        points=4,
        asks="The name is a person's, without a form of address, digits or the word résumé.",
        faults=_odd_name,
    ),
    warning(
        "talent.email.slip",
        "email",
        family=Family.FORMAT,
        points=3,
        asks="The host of the address is not one that is often typed by mistake.",
        faults=_slip,
    ),
    warning(
        "talent.phone.callable",
        "phone",
        family=Family.FORMAT,
        points=4,
        asks="The number is one that a country gives out; without its country, one where the language is spoken.",
        faults=_not_called,
    ),
    warning(
        "talent.skills.names",
        "skills[]",
        family=Family.FORMAT,
        points=3,
        asks=f"A skill is a name of at most {LONGEST_SKILL_WORDS} words.",
        faults=_long_skills,
    ),
    warning(
        "talent.skills.once",
        "skills[]",
        family=Family.DUPLICATE,
        points=1,
        asks="No skill is there twice, in whatever case; when it is stored the first stays.",
        faults=_skills_twice,
    ),
    warning(
        "talent.language.matches",
        "language",
        "headline",
        "summary",
        family=Family.CROSS_FIELD,
        points=3,
        asks="The language is that of headline and summary.",
        faults=_other_language,
    ),
)
