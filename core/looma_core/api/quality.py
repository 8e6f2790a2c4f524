"""What rules say of a record: the rules themselves, what they found, and the score."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class Family(StrEnum):
    """What kind of thing a rule asks for."""

    REQUIRED = "required"
    FORMAT = "format"
    RANGE = "range"
    CROSS_FIELD = "cross-field"
    REFERENTIAL = "referential"
    DUPLICATE = "duplicate"


class Severity(StrEnum):
    """What comes of a fault: the record is refused, it loses points, or the text is masked when it is stored."""

    ERROR = "error"
    WARNING = "warning"
    MASKED = "masked"


class RuleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, for people and programs that want to know what is asked of a record."""

    id: Annotated[str, Meta(examples=["talent.email.format"])]
    fields: Annotated[
        list[str], Meta(description="What it looks at; `experience[].end` is the end of each job.")
    ]
    family: Family
    severity: Severity
    points: Annotated[
        int, Meta(ge=0, le=100, description="How many of the 100 points a record can lose by it.")
    ]
    asks: Annotated[str, Meta(description="What it asks for.")]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a record is not as a rule asks for."""

    rule: Annotated[str, Meta(description="Id of the rule.")]
    field: Annotated[str, Meta(examples=["experience[0].end"])]
    severity: Severity
    message: Annotated[str, Meta(description="What is wrong, and what to do.")]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """How many points a record lost by one rule."""

    rule: Annotated[str, Meta(description="Id of the rule.")]
    points: Annotated[float, Meta(ge=0, le=100)]
    of: Annotated[int, Meta(ge=0, le=100, description="How many it could have lost.")]


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What all rules say of one record. `score` is 100 less all losses, rounded: it is explained in full."""

    score: Annotated[int, Meta(ge=0, le=100)]
    accepted: Annotated[bool, Meta(description="Whether no rule refuses it.")]
    findings: list[Finding]
    losses: Annotated[list[Loss], Meta(description="Where points were lost, the most first.")]
