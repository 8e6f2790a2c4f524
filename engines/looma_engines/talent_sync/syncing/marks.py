"""How good the records of a run were before it and are after it, as numbers that can be added up. Pure.

Each record that a run meets counts once: by what it was, if it was there, and by what it is, if it still is. What it
was is known from the run that wrote it last, so that a record which did not change costs nothing.

| the run        | before      | after       |
| -------------- | ----------- | ----------- |
| creates it     |             | as written  |
| changes it     | as it was   | as written  |
| leaves it      | as it was   | as it was   |
| refuses a row  | as it was   | as it was   |
| deletes it     | as it was   |             |
| brings it back |             | as written  |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from looma_core.api.quality import Assessment

BAND = 10
"""Scores are counted by tens; the best one, 100, is a band of its own."""


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record's score, and the rules that found something, by their ids in order."""

    score: int
    broken: tuple[str, ...] = ()


class KeptMark(Mark, frozen=True, kw_only=True, omit_defaults=True):
    """A mark as it is kept: of this version of the record, and of no other."""

    version: int


def kept(mark: Mark, version: int) -> KeptMark:
    """What is kept of a record that is at this version."""
    return KeptMark(score=mark.score, broken=mark.broken, version=version)


def known_mark(stored: object, version: int) -> Mark | None:
    """The mark of a record that is at this version; None where none is kept, or that of another version."""
    if stored is None:
        return None
    # Of this one type: what a union may be is found out anew each time, and this is asked for every record.
    found = msgspec.convert(stored, KeptMark)
    return Mark(score=found.score, broken=found.broken) if found.version == version else None


def mark_of(found: Assessment) -> Mark:
    """What an assessment comes to."""
    return Mark(score=found.score, broken=tuple(sorted({finding.rule for finding in found.findings})))


class Marks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Marks of many records.

    `before` and `after` count records by band, the two sums are of their scores. The other four count records by rule:
    who failed it before, who does now, and of those who newly does or no longer does.
    """

    before: dict[str, int] = {}
    after: dict[str, int] = {}
    before_sum: int = 0
    after_sum: int = 0
    failed: dict[str, int] = {}
    fails: dict[str, int] = {}
    broken: dict[str, int] = {}
    mended: dict[str, int] = {}

    def __add__(self, other: Marks) -> Marks:
        return self._with(other, 1)

    def __sub__(self, other: Marks) -> Marks:
        return self._with(other, -1)

    def _with(self, other: Marks, times: int) -> Marks:
        return Marks(
            before=_joined(self.before, other.before, times),
            after=_joined(self.after, other.after, times),
            before_sum=self.before_sum + times * other.before_sum,
            after_sum=self.after_sum + times * other.after_sum,
            failed=_joined(self.failed, other.failed, times),
            fails=_joined(self.fails, other.fails, times),
            broken=_joined(self.broken, other.broken, times),
            mended=_joined(self.mended, other.mended, times),
        )

    @classmethod
    def of(cls, records: Iterable[tuple[Mark | None, Mark | None]]) -> Marks:
        """The numbers of records, each with what it was and what it is."""
        before, after, failed, fails, broken, mended = (Counter[str]() for _ in range(6))
        before_sum = after_sum = 0
        # Most records of a batch are alike in this: they are counted first, and looked at once.
        for (was, now), times in Counter(records).items():
            then: tuple[str, ...] = ()
            if was is not None:
                before[_band(was.score)] += times
                before_sum += was.score * times
                then = was.broken
                for rule in then:
                    failed[rule] += times
            if now is None:
                continue
            after[_band(now.score)] += times
            after_sum += now.score * times
            for rule in now.broken:
                fails[rule] += times
                if rule not in then:
                    broken[rule] += times
            for rule in then:
                if rule not in now.broken:
                    mended[rule] += times
        return cls(
            before=dict(before),
            after=dict(after),
            before_sum=before_sum,
            after_sum=after_sum,
            failed=dict(failed),
            fails=dict(fails),
            broken=dict(broken),
            mended=dict(mended),
        )


def _band(score: int) -> str:
    return str(score // BAND * BAND)


def _joined(one: dict[str, int], another: dict[str, int], times: int) -> dict[str, int]:
    found = {name: one.get(name, 0) + times * another.get(name, 0) for name in {**one, **another}}
    return {name: number for name, number in found.items() if number}
