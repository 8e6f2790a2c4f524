"""All rules of talents, in one table."""

from __future__ import annotations

from looma_core.api.quality import RuleInfo, Severity
from looma_engines.talent_sync.quality import talent_fields, talent_texts, talent_times
from looma_engines.talent_sync.quality.rule import Rule

RULES: tuple[Rule, ...] = (*talent_texts.RULES, *talent_times.RULES, *talent_fields.RULES)
REFUSING: tuple[Rule, ...] = tuple(rule for rule in RULES if rule.severity is Severity.ERROR)


def infos() -> list[RuleInfo]:
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
        for rule in sorted(RULES, key=lambda rule: order.index(rule.severity))
    ]
