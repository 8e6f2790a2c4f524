"""What all rules say of one record, and its score. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from looma_core.api.quality import Assessment, Finding, Loss, Severity
from looma_core.problems import FieldError
from looma_engines.talent_sync.quality.rule import Case, DraftT, Rule

FULL = 100


def assess(record: DraftT, *, today: date, rules: Sequence[Rule[DraftT]]) -> Assessment:
    """Everything that is wrong with a record, and how good it is.

    A rule costs its points times the sum of its faults' shares, at most all of them. What is refused is worth nothing:
    its score is 0, and the losses say what it would be otherwise.

    Args:
        record: types and lengths already fit.
        today: the day on which it is looked at.
        rules: those that are asked.
    """
    case = Case(record=record, today=today)
    findings: list[Finding] = []
    losses: list[Loss] = []
    for rule in rules:
        faults = list(rule.faults(case))
        if not faults:
            continue
        findings += [
            Finding(rule=rule.id, field=fault.field, severity=rule.severity, message=fault.message)
            for fault in faults
        ]
        lost = round(rule.points * min(1.0, sum(fault.share for fault in faults)), 2)
        if lost:
            losses.append(Loss(rule=rule.id, points=lost, of=rule.points))
    accepted = all(finding.severity is not Severity.ERROR for finding in findings)
    score = max(0, round(FULL - sum(loss.points for loss in losses))) if accepted else 0
    losses.sort(key=lambda loss: -loss.points)
    return Assessment(score=score, accepted=accepted, findings=findings, losses=losses)


def refusals(
    record: DraftT, *, today: date, rules: Sequence[Rule[DraftT]], beside: object = None
) -> list[FieldError]:
    """What a record is refused for, `beside` what was looked up of others; empty if it is taken."""
    case = Case(record=record, today=today, beside=beside)
    return [
        FieldError(field=fault.field, message=fault.message)
        for rule in rules
        if rule.severity is Severity.ERROR
        for fault in rule.faults(case)
    ]
