"""All rules of relations, in one table. Pure: what others there are beside one is looked up elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from looma_core.api.quality import Family
from looma_core.api.relation import OBJECTS, RelationDraft
from looma_engines.talent_sync.quality import texts
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

FIRST_DAY = date(1900, 1, 1)
FURTHEST_YEARS = 10
"""A date beyond is a slip: nobody's work is settled so long before."""
LONGEST_YEARS = 50
WORK = frozenset({"works_at", "worked_at"})
CHAINS = frozenset({"referred_by", "reports_to"})
"""Kinds that lead from one person to the next, and never back."""
HAPPENED = frozenset({"applied_to", "interviewed_for", "referred_by"})
"""Kinds of what has happened, as hiring for a day to come has not."""

_EVERY_TEXT = ("title", "note", "source.ref")
_WORDS = {"company_id": "company", "job_id": "job", "other_talent_id": "other person"}
_YEAR = timedelta(days=365.25)


class Span(NamedTuple):
    """From a day to a day, both included; None is open."""

    starts_on: date | None
    ends_on: date | None


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What was found of other relations.

    Args:
        work: when else the person works at the same company.
        circle: names of the people along the circle that the relation would close.
    """

    work: tuple[Span, ...] = ()
    circle: tuple[str, ...] = ()


def overlapping(one: Span, other: Span) -> bool:
    """Whether two spans have a day in common.

    | one          | other        | answer |
    | ------------ | ------------ | ------ |
    | 2020 to 2021 | 2021 to 2022 | True   |
    | 2020 to 2021 | 2022 on      | False  |
    | 2020 on      | 2022 on      | True   |
    | open         | 2022 to 2023 | True   |
    """
    return (one.starts_on or date.min) <= (other.ends_on or date.max) and (other.starts_on or date.min) <= (
        one.ends_on or date.max
    )


def _unfit(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    wanted = OBJECTS[relation.kind]
    for field, word in _WORDS.items():
        given = getattr(relation, field) is not None
        if field == wanted and not given:
            yield Fault(field, f"is missing: {relation.kind} names the {word}")
        elif field != wanted and given:
            yield Fault(field, f"leave it out: {relation.kind} names the {_WORDS[wanted]} alone")


def _alone(case: Case[RelationDraft]) -> Iterator[Fault]:
    if case.record.other_talent_id == case.record.talent_id:
        yield Fault("other_talent_id", "is the person itself: name another")


def _titled(case: Case[RelationDraft]) -> Iterator[Fault]:
    if case.record.title and case.record.kind not in WORK:
        yield Fault("title", "leave it out, or write it into the note: only work has a title")


def _turned(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    if relation.starts_on and relation.ends_on and relation.ends_on < relation.starts_on:
        yield Fault("ends_on", f"lies before {relation.starts_on.isoformat()}, when it begins")


def _far(case: Case[RelationDraft]) -> Iterator[Fault]:
    last = case.today + FURTHEST_YEARS * _YEAR
    for field in ("starts_on", "ends_on"):
        day: date | None = getattr(case.record, field)
        if day is not None and not FIRST_DAY <= day <= last:
            yield Fault(field, f"write a day from {FIRST_DAY.isoformat()} to {last.isoformat()}")


def _side_by_side(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    if relation.kind != "works_at" or not isinstance(case.beside, Beside):
        return
    here = Span(relation.starts_on, relation.ends_on)
    for other in case.beside.work:
        if overlapping(here, other):
            since = f"since {other.starts_on.isoformat()}" if other.starts_on else "already"
            until = f" until {other.ends_on.isoformat()}" if other.ends_on else ""
            yield Fault("starts_on", f"the person works there {since}{until}: end that relation before")


def _in_a_circle(case: Case[RelationDraft]) -> Iterator[Fault]:
    if isinstance(case.beside, Beside) and case.beside.circle:
        path = " → ".join(case.beside.circle)
        yield Fault("other_talent_id", f"closes a circle: {path}; end or delete one of these relations first")


def _over(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    if relation.kind == "works_at" and relation.ends_on and relation.ends_on < case.today:
        yield Fault("kind", f"ended on {relation.ends_on.isoformat()}: write worked_at")


def _not_over(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    if relation.kind == "worked_at" and (relation.ends_on is None or relation.ends_on > case.today):
        yield Fault("ends_on", "has not come: write the last day, or works_at")


def _to_come(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    if relation.kind in HAPPENED and relation.starts_on and relation.starts_on > case.today:
        yield Fault("starts_on", f"lies in the future, and {relation.kind} says that it happened")


def _long(case: Case[RelationDraft]) -> Iterator[Fault]:
    relation = case.record
    if relation.kind in WORK and relation.starts_on:
        end = relation.ends_on or case.today
        if end - relation.starts_on > LONGEST_YEARS * _YEAR:
            yield Fault("ends_on", f"is more than {LONGEST_YEARS} years after the beginning")


def _untitled(case: Case[RelationDraft]) -> Iterator[Fault]:
    if case.record.kind in WORK and not case.record.title:
        yield Fault("title", "is missing")


RULES: tuple[Rule[RelationDraft], ...] = (
    texts.control("relation.texts.control", *_EVERY_TEXT),
    texts.identity_number("relation.texts.identity_number", *_EVERY_TEXT),
    refusing(
        "relation.object.kind",
        "kind",
        "company_id",
        "job_id",
        "other_talent_id",
        family=Family.CROSS_FIELD,
        asks="There is one other end: of work a company, of applying and hiring a job, else a person.",
        faults=_unfit,
    ),
    refusing(
        "relation.object.other",
        "talent_id",
        "other_talent_id",
        family=Family.CROSS_FIELD,
        asks="The other person is another one.",
        faults=_alone,
    ),
    refusing(
        "relation.title.kind",
        "kind",
        "title",
        family=Family.CROSS_FIELD,
        asks="Only work has a title.",
        faults=_titled,
    ),
    refusing(
        "relation.dates.order",
        "starts_on",
        "ends_on",
        family=Family.CROSS_FIELD,
        asks="It does not end before it begins.",
        faults=_turned,
    ),
    refusing(
        "relation.dates.range",
        "starts_on",
        "ends_on",
        family=Family.RANGE,
        asks=f"Days are in 1900 or later, and at most {FURTHEST_YEARS} years ahead.",
        faults=_far,
    ),
    refusing(
        "relation.work.once",
        "kind",
        "talent_id",
        "company_id",
        "starts_on",
        "ends_on",
        family=Family.REFERENTIAL,
        asks="Nobody works at one company twice at a time: the one relation ends before the next begins.",
        faults=_side_by_side,
    ),
    refusing(
        "relation.chain.circle",
        "kind",
        "talent_id",
        "other_talent_id",
        "starts_on",
        "ends_on",
        family=Family.REFERENTIAL,
        asks="Nobody was referred by, or at any one time reports to, someone whose own chain leads back.",
        faults=_in_a_circle,
    ),
    warning(
        "relation.work.over",
        "kind",
        "ends_on",
        family=Family.CROSS_FIELD,
        points=30,
        asks="Work that ended is worked_at.",
        faults=_over,
    ),
    warning(
        "relation.work.ended",
        "kind",
        "ends_on",
        family=Family.CROSS_FIELD,
        points=15,
        asks="What is worked_at has an end, and it is over.",
        faults=_not_over,
    ),
    warning(
        "relation.dates.future",
        "kind",
        "starts_on",
        family=Family.RANGE,
        points=10,
        asks="Nobody has applied, was interviewed or was referred on a day to come.",
        faults=_to_come,
    ),
    warning(
        "relation.work.length",
        "starts_on",
        "ends_on",
        family=Family.RANGE,
        points=10,
        asks=f"Work lasts at most {LONGEST_YEARS} years.",
        faults=_long,
    ),
    texts.present("relation.starts_on.required", "starts_on", points=25, asks="There is a beginning."),
    warning(
        "relation.title.required",
        "kind",
        "title",
        family=Family.REQUIRED,
        points=10,
        asks="Work has a title.",
        faults=_untitled,
    ),
)
