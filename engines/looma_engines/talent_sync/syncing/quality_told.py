"""The numbers of a run's quality as a report tells them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from looma_core.api.sync import Band, QualityAt, QualityChange, RuleChange

from .marks import Marks


def mean_of(total: int, bands: Mapping[str, int]) -> float | None:
    """The mean of scores that come to `total`, of as many records as the bands have; None without a record."""
    records = sum(bands.values())
    return round(total / records, 1) if records else None


def change_of(marks: Marks) -> QualityChange | None:
    """What a report tells of the records that a run met; None where it met none that has a score."""
    if not marks.before and not marks.after:
        return None
    rules = [
        RuleChange(
            rule=rule,
            before=marks.failed.get(rule, 0),
            after=marks.fails.get(rule, 0),
            broken=marks.broken.get(rule, 0),
            mended=marks.mended.get(rule, 0),
        )
        for rule in {**marks.failed, **marks.fails}
    ]
    rules.sort(key=lambda rule: (-(rule.broken + rule.mended), -rule.after, rule.rule))
    return QualityChange(
        before=_standing(marks.before_sum, marks.before),
        after=_standing(marks.after_sum, marks.after),
        rules=rules,
    )


def _standing(total: int, bands: Mapping[str, int]) -> QualityAt:
    return QualityAt(
        records=sum(bands.values()),
        mean=mean_of(total, bands),
        bands=[
            Band(least=least, records=bands[str(least)]) for least in sorted(map(int, bands), reverse=True)
        ],
    )
