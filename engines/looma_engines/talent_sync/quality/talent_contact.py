"""Rules of a talent's name, address and number. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from looma_core.api.quality import Family
from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality import contact
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

LONGEST_NAME_WORDS = 8
_NO_NAME = re.compile(r"[0-9@#<>{}|\\/=_~]|\b(?:resume|résumé|curriculum|cv)\b|简历|先生|女士", re.IGNORECASE)


def _no_address(case: Case[TalentDraft]) -> Iterator[Fault]:
    email = case.record.email
    if email is not None and not contact.is_address(email):
        yield Fault("email", "write an address such as ada@example.org")


def _no_number(case: Case[TalentDraft]) -> Iterator[Fault]:
    phone = case.record.phone
    if phone is not None and not contact.is_number(phone):
        yield Fault("phone", "write a number such as +86 138 0013 8000")


def _odd_name(case: Case[TalentDraft]) -> Iterator[Fault]:
    name = case.record.full_name
    if _NO_NAME.search(name) or len(name.split()) > LONGEST_NAME_WORDS:
        yield Fault("full_name", "looks like no person's name: write the name alone")


def _slip(case: Case[TalentDraft]) -> Iterator[Fault]:
    email = case.record.email
    meant = contact.meant_host(email) if email else None
    if meant:
        yield Fault("email", f"ask whether {meant} is meant")


def _not_called(case: Case[TalentDraft]) -> Iterator[Fault]:
    phone = case.record.phone
    if phone is None or not contact.is_number(phone):
        return
    if not contact.can_be_called(phone, case.record.language):
        yield Fault("phone", "no country gives out such a number: ask for it again, with its country")


def _unreachable(case: Case[TalentDraft]) -> Iterator[Fault]:
    if not case.record.email and not case.record.phone:
        yield Fault("email", "neither address nor number: nobody can be reached")


def _one_way(case: Case[TalentDraft]) -> Iterator[Fault]:
    record = case.record
    for name, other in (("email", record.phone), ("phone", record.email)):
        if not getattr(record, name) and other:
            yield Fault(name, "a second way to the person is missing")


RULES: tuple[Rule[TalentDraft], ...] = (
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
        "talent.contact.required",
        "email",
        "phone",
        family=Family.REQUIRED,
        points=10,
        asks="There is an address or a number.",
        faults=_unreachable,
    ),
    warning(
        "talent.contact.both",
        "email",
        "phone",
        family=Family.REQUIRED,
        points=2,
        asks="Where there is an address there is a number as well, and the other way round.",
        faults=_one_way,
    ),
)
