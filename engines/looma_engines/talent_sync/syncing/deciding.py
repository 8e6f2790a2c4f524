"""What becomes of one record of the source. Pure: the repository says what is known of it, and carries out.

| what the source has           | what is known of it                       | what becomes of it                 |
| ----------------------------- | ----------------------------------------- | ---------------------------------- |
| no record, or a refused one   | anything                                  | quarantined, with what is wrong    |
| a key that this run had       | anything                                  | quarantined                        |
| a key that was erased         | anything                                  | nothing: it is not kept            |
| the same bytes as last time   | stored, or deleted here                   | unchanged                          |
| a record                      | nothing                                   | created                            |
| a record                      | deleted, since the source had it no more  | brought back                       |
| other bytes                   | deleted here                              | a conflict of the field `deleted`  |
| other bytes                   | stored                                    | merged, `three_way` says how       |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from looma_core.api.reading import read
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.quality.assessing import assess
from looma_engines.talent_sync.records.kind import Kind

from .back.offering import without_own
from .beside import Beside
from .judging import Judged, errors_of, judge
from .marks import Mark, mark_of
from .source_row import SourceRow
from .staging import StagedRow
from .three_way import FieldConflict, Policy, Resolution, Times, merge

KEY = "key"
"""The field of a fault of a row whose key this run had before."""
DELETED = "deleted"
"""The field of a conflict about whether there is a record at all."""


class Verdict(StrEnum):
    """What becomes of a record."""

    CREATE = "create"
    UPDATE = "update"
    RESTORE = "restore"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    ERASED = "erased"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the database knows of a key.

    `base` and `raw_digest` are of what the source last gave, None where it never did. `gone` says that the record was
    deleted as the source had it no more. `values` are the stored record's fields, plain. `mark` says how good the
    record is, None where nobody looked since it was changed. `intended` is what was meant to be written to the source,
    and may have been: by the rows of the outbox, fields with their values.
    """

    record_id: UUID
    version: int
    deleted: bool
    updated_at: datetime
    values: Mapping[str, Any]
    base: Mapping[str, Any] | None
    raw_digest: bytes | None
    seen_generation: int
    seen_position: int
    gone: bool
    mark: Mark | None = None
    intended: Mapping[UUID, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds in a batch.

    `present` has, by field, the ids that a record may refer to, as texts; `erased` keys of records that were erased;
    `judged` what the rules were asked of before, by position; `absent` what is wrong with rows that refer to a record
    which is not here, likewise. `beside` knows the other relations where the records are some.
    """

    generation: int
    entity: Kind[Any]
    policy: Policy
    by_field: Mapping[str, Policy]
    min_quality: int
    today: date
    present: Mapping[str, Collection[str]]
    erased: Collection[str] = ()
    judged: Mapping[int, Judged] = field(default_factory=dict)
    absent: Mapping[int, tuple[FieldError, ...]] = field(default_factory=dict)
    beside: Beside | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is for the rows of a batch, whose references are Looma's ids; of the others as in `Rules`."""

    rows: Sequence[SourceRow]
    known: Mapping[str, Known]
    present: Mapping[str, Collection[str]]
    erased: Collection[str]
    absent: Mapping[int, tuple[FieldError, ...]]
    beside: Beside | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a row. `base` is what the source gave, tidied; `values` what is to be stored.

    `before` and `after` say how good the record was and is, where there was one and is one. `staged` is what is copied
    to the database of a new record, where that was made before.
    """

    row: SourceRow
    verdict: Verdict
    record_id: UUID | None = None
    values: Mapping[str, Any] | None = None
    base: Mapping[str, Any] | None = None
    conflicts: tuple[FieldConflict, ...] = ()
    faults: tuple[FieldError, ...] = ()
    score: int | None = None
    before: Mark | None = None
    after: Mark | None = None
    staged: StagedRow | None = None


def decide(row: SourceRow, known: Known | None, rules: Rules) -> Decision:
    """What becomes of a row, by the table above."""
    if row.faults:
        return _refused(row, row.faults, known, rules)
    # One that this run made there itself was met nowhere yet.
    if known is not None and known.seen_generation == rules.generation and known.seen_position:
        return _second(row, known.seen_position)
    if known is not None and known.raw_digest == row.digest and not known.gone:
        mark = _mark_of(known, rules)
        return Decision(
            row=row, verdict=Verdict.UNCHANGED, record_id=known.record_id, before=mark, after=mark
        )
    try:
        found = _accepted(row, rules)
    except ValidationProblem as problem:
        return _refused(row, tuple(problem.errors), known, rules)
    if known is None:
        return Decision(
            row=row,
            verdict=Verdict.CREATE,
            values=found.base,
            base=found.base,
            score=found.mark.score,
            after=found.mark,
            staged=found.staged,
        )
    return _meet(row, known, rules, base=found.base, mark=found.mark)


def decide_all(rows: Sequence[SourceRow], known: Mapping[str, Known], rules: Rules) -> list[Decision]:
    """What becomes of the rows of a batch.

    Of two with one key the first counts, if it was taken or its key is known.
    """
    first: dict[str, int] = {}
    decisions = []
    stands: dict[UUID, Mapping[str, Any]] = {}
    for row in rows:
        # First of all: a record that was erased is not kept as a refused one either.
        if row.key in rules.erased:
            decisions.append(Decision(row=row, verdict=Verdict.ERASED))
            continue
        if (position := first.get(row.key)) is not None:
            decisions.append(_second(row, position))
            continue
        stored = _as_it_stands(known.get(row.key), stands)
        decision = _beside_others(decide(row, stored, rules), stored, rules)
        if decision.record_id is not None and decision.values is not None:
            stands[decision.record_id] = decision.values
        if row.key and (decision.verdict is not Verdict.REFUSED or row.key in known):
            first[row.key] = row.position
        decisions.append(decision)
    return [_together(decision, stands) for decision in decisions]


def _beside_others(decision: Decision, known: Known | None, rules: Rules) -> Decision:
    """The decision, or a refusal where what is to be stored cannot be beside the others."""
    if rules.beside is None or decision.values is None:
        return decision
    name = decision.record_id or decision.row.key
    if faults := rules.beside.refuses(name, decision.values):
        return _refused(decision.row, faults, known, rules)
    rules.beside.stands(name, decision.values)
    return decision


def _as_it_stands(known: Known | None, stands: Mapping[UUID, Mapping[str, Any]]) -> Known | None:
    """What is known of a key whose record an earlier row of the batch changed: of two keys people made one record."""
    if known is None or known.record_id not in stands:
        return known
    return replace(known, values=stands[known.record_id], deleted=False, mark=None)


def _together(decision: Decision, stands: Mapping[UUID, Mapping[str, Any]]) -> Decision:
    """Rows of one record write the same, what it is after the last of them: they are written by one statement."""
    values = stands.get(decision.record_id) if decision.record_id is not None else None
    if values is None or decision.base is None or decision.values is values:
        return decision
    verdict = Verdict.UPDATE if decision.verdict is Verdict.UNCHANGED else decision.verdict
    return replace(decision, verdict=verdict, values=values)


def forgotten(known: Known) -> Known:
    """What is known of a key as if the source had never given it: the record as it is, and nothing to compare with."""
    return replace(known, base=None, raw_digest=None, seen_generation=0, seen_position=0)


def _second(row: SourceRow, position: int) -> Decision:
    again = FieldError(field=KEY, message=f"the record at {position} has the same key")
    return Decision(row=row, verdict=Verdict.REFUSED, faults=(again,))


def _refused(row: SourceRow, faults: tuple[FieldError, ...], known: Known | None, rules: Rules) -> Decision:
    """What is stored of the row's key stays as it is."""
    # Another record of a key that this run had: it was counted there.
    met = known is None or known.seen_generation == rules.generation
    mark = None if met else _mark_of(known, rules)
    return Decision(row=row, verdict=Verdict.REFUSED, faults=faults, before=mark, after=mark)


def _mark_of(known: Known | None, rules: Rules) -> Mark | None:
    """How good a stored record is; None where there is none, or it fits no rules any more."""
    if known is None or known.deleted:
        return None
    if known.mark is not None:
        return known.mark
    try:
        return _look_again(known.values, rules)[0]
    except ValidationProblem:
        return None


def _accepted(row: SourceRow, rules: Rules) -> Judged:
    """What is stored of a row, if the rules take it.

    Raises:
        ValidationProblem: they refuse it.
    """
    if faults := rules.absent.get(row.position):
        raise ValidationProblem(errors=list(faults))
    found = rules.judged.get(row.position) or judge(row, rules.entity, today=rules.today)
    if found.faults:
        raise ValidationProblem(errors=list(found.faults))
    if found.mark.score < rules.min_quality:
        poor = f"is {found.mark.score} of 100, and {rules.min_quality} is asked for"
        raise ValidationProblem(errors=[FieldError(field="quality", message=poor)])
    absent = [
        FieldError(field=name, message="there is none with this id")
        for name, ids in rules.present.items()
        if found.base[name] is not None and found.base[name] not in ids
    ]
    if absent:
        raise ValidationProblem(errors=absent)
    return found


def _meet(row: SourceRow, known: Known, rules: Rules, *, base: Mapping[str, Any], mark: Mark) -> Decision:
    """The source's record and the one that is known."""
    times = Times(source=row.updated_at, target=known.updated_at)
    if known.deleted and known.gone:
        return Decision(
            row=row,
            verdict=Verdict.RESTORE,
            record_id=known.record_id,
            values=base,
            base=base,
            score=mark.score,
            after=mark,
        )
    if known.deleted:
        conflict = _deleted_here(rules.by_field.get(DELETED, rules.policy), times)
        back = conflict.resolution is Resolution.SOURCE
        return Decision(
            row=row,
            verdict=Verdict.RESTORE if back else Verdict.UNCHANGED,
            record_id=known.record_id,
            values=base if back else None,
            base=base,
            conflicts=(conflict,),
            score=mark.score if back else None,
            after=mark if back else None,
        )
    merged = merge(
        base=without_own(known.base, base, known.intended.values()),
        source=base,
        target=known.values,
        policy=rules.policy,
        by_field=rules.by_field,
        times=times,
    )
    same = merged.values == known.values
    after, refused = (mark, ()) if merged.values == base else _look_again(merged.values, rules)
    if refused:
        # Each side alone was right: only together they are not. So nothing of the record changes.
        return _refused(row, refused, known, rules)
    return Decision(
        row=row,
        verdict=Verdict.UNCHANGED if same else Verdict.UPDATE,
        record_id=known.record_id,
        values=None if same else merged.values,
        base=base,
        conflicts=merged.conflicts,
        score=after.score,
        before=after if same else _mark_of(known, rules),
        after=after,
    )


def _look_again(values: Mapping[str, Any], rules: Rules) -> tuple[Mark, tuple[FieldError, ...]]:
    draft = read(dict(values), rules.entity.draft)
    found = assess(draft, today=rules.today, rules=rules.entity.rules)
    return mark_of(found), errors_of(found, "after merging: ")


def _deleted_here(policy: Policy, times: Times) -> FieldConflict:
    def settled(resolution: Resolution, reason: str) -> FieldConflict:
        return FieldConflict(
            field=DELETED, base=False, source=False, target=True, resolution=resolution, reason=reason
        )

    if policy is Policy.SOURCE:
        return settled(Resolution.SOURCE, "the policy is source: the record was brought back")
    if policy is Policy.TARGET:
        return settled(Resolution.TARGET, "the policy is target: the record stays deleted")
    if policy is Policy.MANUAL or times.source is None:
        return settled(Resolution.OPEN, "it was deleted here and changed at the source: a person decides")
    if times.source > times.target:
        return settled(Resolution.SOURCE, "the source's change is later than the deletion here")
    return settled(Resolution.TARGET, "the deletion here is later than the source's change")
