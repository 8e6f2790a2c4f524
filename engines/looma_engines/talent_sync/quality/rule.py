"""What a rule is, and what it finds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import msgspec

from looma_core.api.quality import Family, RuleInfo, Severity

DraftT = TypeVar("DraftT")


class Fault(NamedTuple):
    """One place where a record is not as a rule asks for.

    `share` is how much of the rule's points it costs, 0 to 1: of four jobs one that has no dates costs a quarter.
    """

    field: str
    message: str
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Case(Generic[DraftT]):
    """A record and the day on which it is looked at: what lies in the future depends on that.

    `beside` is what was looked up of other records, for the rules that ask for it; None where nobody looked.
    """

    record: DraftT
    today: date
    beside: object = None

    @cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Every text of the record, with the path of its field."""
        return tuple(texts_of(msgspec.to_builtins(self.record)))

    @cached_property
    def whole(self) -> str:
        """All texts at once, a line each: what is in none of them is looked for once."""
        return "\n".join(text for _, text in self.texts)


def texts_of(
    value: object, path: str = "", found: list[tuple[str, str]] | None = None
) -> list[tuple[str, str]]:
    """Every text in plain data, with the path of its field."""
    # One list for all: generators in generators took a tenth of a record's time.
    found = [] if found is None else found
    if isinstance(value, str):
        found.append((path, value))
    elif isinstance(value, dict):
        for name, item in value.items():
            if item is not None:
                texts_of(item, f"{path}.{name}" if path else str(name), found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            texts_of(item, f"{path}[{index}]", found)
    return found


@dataclass(frozen=True, kw_only=True)
class Rule(Generic[DraftT]):
    """One thing that is asked of a record.

    Args:
        id: what it is called everywhere, as `talent.email.format`.
        fields: what it looks at; `experience[].end` is the end of each job.
        family: what kind of rule it is.
        severity: what comes of a fault.
        points: how many of the 100 a record can lose by it; 0 unless it is a warning.
        asks: what it asks for, in words, for whoever mends a record.
        faults: all places where a record is not so.
    """

    id: str
    fields: tuple[str, ...]
    family: Family
    severity: Severity
    asks: str
    faults: Callable[[Case[DraftT]], Iterable[Fault]]
    points: int = 0


def refusing(
    rule_id: str, *fields: str, family: Family, asks: str, faults: Callable[[Case[DraftT]], Iterable[Fault]]
) -> Rule[DraftT]:
    """A rule without which a record is not taken."""
    return Rule(id=rule_id, fields=fields, family=family, severity=Severity.ERROR, asks=asks, faults=faults)


def warning(
    rule_id: str,
    *fields: str,
    family: Family,
    points: int,
    asks: str,
    faults: Callable[[Case[DraftT]], Iterable[Fault]],
) -> Rule[DraftT]:
    """A rule that costs points."""
    return Rule(
        id=rule_id,
        fields=fields,
        family=family,
        severity=Severity.WARNING,
        points=points,
        asks=asks,
        faults=faults,
    )


def infos(rules: Iterable[Rule[DraftT]]) -> list[RuleInfo]:
    """The rules for people and programs, those that refuse first."""
    order = list(Severity)
    return [
        RuleInfo(
            id=rule.id,
            fields=list(rule.fields),
            family=rule.family,
            severity=rule.severity,
            points=rule.points,
            asks=rule.asks,
        )
        for rule in sorted(rules, key=lambda rule: order.index(rule.severity))
    ]
