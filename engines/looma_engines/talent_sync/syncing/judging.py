"""What the rules say of one record of the source, whatever is known of it here. Pure, and so done ahead of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from looma_core.api.quality import Assessment, Severity
from looma_core.api.reading import read
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.quality.assessing import assess
from looma_engines.talent_sync.records.kind import Kind

from .marks import Mark, mark_of
from .source_row import SourceRow
from .staging import StagedRow


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is stored of a row that the rules take, tidied and plain, and its quality; or why they refuse it.

    `staged` is what is copied to the database if nobody knows the record; None where that is made when it is asked for.
    """

    base: Mapping[str, Any]
    mark: Mark
    faults: tuple[FieldError, ...] = ()
    staged: StagedRow | None = None


def plain_values(entity: Kind[Any], draft: msgspec.Struct) -> dict[str, Any]:
    """The settable fields of a draft or record as JSON has them."""
    found: dict[str, Any] = msgspec.to_builtins(draft)
    return {name: found[name] for name in entity.settable}


def judge(row: SourceRow, entity: Kind[Any], *, today: date) -> Judged:
    """Read a row as a draft, tidy it, and ask the rules."""
    try:
        draft = entity.tidy(read(dict(row.values), entity.draft))
    except ValidationProblem as problem:
        return Judged(base={}, mark=Mark(score=0), faults=tuple(problem.errors))
    found = assess(draft, today=today, rules=entity.rules)
    if not found.accepted:
        return Judged(base={}, mark=mark_of(found), faults=errors_of(found))
    return Judged(base=plain_values(entity, draft), mark=mark_of(found))


def errors_of(found: Assessment, prefix: str = "") -> tuple[FieldError, ...]:
    """What a record is refused for."""
    return tuple(
        FieldError(field=finding.field, message=f"{prefix}{finding.message}")
        for finding in found.findings
        if finding.severity is Severity.ERROR
    )
