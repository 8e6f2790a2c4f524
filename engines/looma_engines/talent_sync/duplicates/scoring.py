"""Whether two records are of one person: what each field says, how much it weighs, and what follows. Pure.

After I. P. Fellegi and A. B. Sunter, A Theory for Record Linkage, Journal of the American Statistical Association 64
(1969), 1183-1210. For each field there are a few outcomes. `m` is how often an outcome is seen where both records are
of one person, `u` how often where they are of two people who have a blocking key in common. An outcome weighs
log2(m / u); weights of fields are added, as if fields were independent; the sum and the odds before anything was
compared are the odds in the end. The numbers here are our own estimates, held against a labelled set by the bench;
nothing is learned from people's data.

A sum alone may not decide: people who share a telephone, a recruiter's number in many records, namesakes at one
company. So `certain` also asks for a name that agrees, and an address or a number beside it (`verdict_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import log2
from typing import Final

from looma_core.api.duplicates import Verdict
from looma_engines.talent_sync.duplicates.features import Features, Stay, overlap
from looma_engines.talent_sync.duplicates.naming import Likeness, likeness

PRIOR: Final = -5.0
"""log2 of the odds that two of one block are one person: about 1 to 30."""
CERTAIN_FROM: Final = 10.0
LIKELY_FROM: Final = 2.0

CHANCES: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "name": {
        Likeness.SAME: (0.62, 0.006),
        Likeness.TRANSLITERATED: (0.15, 0.003),
        Likeness.CLOSE: (0.12, 0.004),
        Likeness.INITIALS: (0.05, 0.01),
        Likeness.PART: (0.03, 0.25),
        Likeness.DIFFERENT: (0.03, 0.727),
    },
    "email": {
        "same": (0.5, 0.0001),
        "mailbox": (0.12, 0.002),
        "different": (0.38, 0.9979),
    },
    "phone": {
        "same": (0.6, 0.0005),
        "different": (0.4, 0.9995),
    },
    "experience": {
        "together": (0.5, 0.03),
        "company": (0.25, 0.05),
        "different": (0.25, 0.92),
    },
    "education": {
        "same": (0.75, 0.05),
        "different": (0.25, 0.95),
    },
    "location": {
        "same": (0.65, 0.15),
        "different": (0.35, 0.85),
    },
}
"""By field and outcome: how often it is seen of one person, and of two."""
_AGREEING: Final = frozenset({Likeness.SAME, Likeness.TRANSLITERATED})
_NEAR: Final = frozenset({Likeness.CLOSE, Likeness.INITIALS})
_SHARED: Final = frozenset({"together", "company"})


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one field says: its outcome, and the weight of that."""

    field: str
    outcome: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What all fields say. `weight` is log2 of the odds that it is one person."""

    verdict: Verdict
    weight: float
    reasons: tuple[Found, ...]


def judge(one: Features, other: Features, *, today: date) -> Judged:
    """Whether two are one person, with the reasons; a field that one of them has not says nothing."""
    outcomes = {
        "name": str(likeness(one.name, other.name)),
        "email": _email(one.email, other.email),
        "phone": _equal(one.phone, other.phone),
        "experience": _employers(one.employers, other.employers, today=today),
        "education": _schools(one.schools, other.schools),
        "location": _equal(one.place, other.place),
    }
    reasons = tuple(
        Found(field=field, outcome=outcome, weight=weight_of(field, outcome))
        for field, outcome in outcomes.items()
        if outcome is not None
    )
    weight = PRIOR + sum(reason.weight for reason in reasons)
    return Judged(verdict=verdict_of(outcomes, weight), weight=round(weight, 2), reasons=reasons)


def weight_of(field: str, outcome: str) -> float:
    """log2(m / u), to two digits."""
    of_one, of_two = CHANCES[field][outcome]
    return round(log2(of_one / of_two), 2)


def verdict_of(outcomes: dict[str, str | None], weight: float) -> Verdict:
    """What follows of the outcomes and their sum.

    | name                 | address, number     | sum    | answer   |
    | -------------------- | ------------------- | ------ | -------- |
    | same, transliterated | one of them is same | ≥ 10   | certain  |
    | close, initials      | both are the same   | ≥ 10   | certain  |
    | part                 | both are the same, or the address and a company or school | ≥ 2 | likely |
    | part                 | anything less       | any    | unlikely |
    | different            | anything            | any    | unlikely |
    | anything else        | anything            | ≥ 2    | likely   |
    | anything             | anything            | < 2    | unlikely |
    """
    name = outcomes["name"]
    same = sum(outcomes[field] == "same" for field in ("email", "phone"))
    if weight < LIKELY_FROM:
        return "unlikely"
    if name not in _AGREEING | _NEAR:
        # A surname may change. But a couple shares a number, and a recruiter's desk is in many records.
        shares_life = outcomes["experience"] in _SHARED or outcomes["education"] == "same"
        same_person = same == 2 or (outcomes["email"] == "same" and shares_life)
        return "likely" if name == Likeness.PART and same_person else "unlikely"
    if weight >= CERTAIN_FROM and ((name in _AGREEING and same) or (name in _NEAR and same == 2)):
        return "certain"
    return "likely"


def _equal(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return None
    return "same" if one == other else "different"


def _email(one: str | None, other: str | None) -> str | None:
    found = _equal(one, other)
    if found == "different" and one and other and one.partition("@")[0] == other.partition("@")[0]:
        return "mailbox"
    return found


def _employers(one: Sequence[Stay], other: Sequence[Stay], *, today: date) -> str | None:
    if not one or not other:
        return None
    shared = [(mine, theirs) for mine in one for theirs in other if mine.name == theirs.name]
    if any(overlap(mine, theirs, today=today) for mine, theirs in shared):
        return "together"
    return "company" if shared else "different"


def _schools(one: Sequence[Stay], other: Sequence[Stay]) -> str | None:
    if not one or not other:
        return None
    return "same" if {stay.name for stay in one} & {stay.name for stay in other} else "different"
