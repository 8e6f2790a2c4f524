"""What became of a shard's records, as numbers. Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from .deciding import Decision, Verdict
from .marks import Marks
from .three_way import Resolution


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts since a run began. `score_sum` over `scored` is the mean quality of what was written.

    `quality` is of all records that the run met, before it and after it.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    conflicts: int = 0
    resolved: int = 0
    quarantined: int = 0
    failed: int = 0
    erased: int = 0
    repaired: int = 0
    written_back: int = 0
    created_back: int = 0
    deleted_back: int = 0
    write_refused: int = 0
    write_moved: int = 0
    scored: int = 0
    score_sum: int = 0
    quality: Marks = Marks()

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def __sub__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) - getattr(other, name) for name in self.__struct_fields__})

    @classmethod
    def of(
        cls,
        decisions: Collection[Decision],
        *,
        keeps_refused: bool,
        again: bool = False,
        repairs: bool = False,
    ) -> Tally:
        """The counts of a batch; what is refused and not kept has failed.

        Of records that are looked at `again` only what had to be written counts: all else was counted before. With
        `repairs` that is counted as such besides.
        """
        counts = dict.fromkeys(Verdict, 0)
        read = conflicts = resolved = scored = score_sum = 0
        for decision in decisions:
            read += 1
            counts[decision.verdict] += 1
            conflicts += len(decision.conflicts)
            resolved += sum(conflict.resolution is not Resolution.OPEN for conflict in decision.conflicts)
            if decision.score is not None:
                scored += 1
                score_sum += decision.score
        if again:
            created, updated = counts[Verdict.CREATE], counts[Verdict.UPDATE] + counts[Verdict.RESTORE]
            return cls(created=created, updated=updated, repaired=created + updated if repairs else 0)
        refused = counts[Verdict.REFUSED]
        return cls(
            read=read,
            created=counts[Verdict.CREATE],
            updated=counts[Verdict.UPDATE] + counts[Verdict.RESTORE],
            unchanged=counts[Verdict.UNCHANGED],
            conflicts=conflicts,
            resolved=resolved,
            quarantined=refused if keeps_refused else 0,
            failed=0 if keeps_refused else refused,
            erased=counts[Verdict.ERASED],
            scored=scored,
            score_sum=score_sum,
            quality=Marks.of(
                (decision.before, decision.after)
                for decision in decisions
                if decision.before is not None or decision.after is not None
            ),
        )


def reported(tally: Tally) -> dict[str, int]:
    """The counts that the shard's entry has names for; of repairs and of writing back only what there was."""
    names = (
        "read",
        "created",
        "updated",
        "unchanged",
        "deleted",
        "conflicts",
        "resolved",
        "quarantined",
        "failed",
    )
    seldom = ("repaired", "written_back", "write_refused", "write_moved")
    found = {name: getattr(tally, name) for name in names}
    return found | {name: number for name in seldom if (number := getattr(tally, name))}


def told(tally: Tally, *, looked: int, held: int) -> str:
    """What was done, in a sentence; of what seldom happens only what did."""
    became = [
        f"{tally.created} created, {tally.updated} updated, {tally.unchanged} unchanged, {tally.deleted} deleted",
        f"{tally.quarantined} in quarantine",
    ]
    parts = [
        ", ".join(became),
        f"of {tally.conflicts} conflicts {tally.resolved} settled",
        f"{held} of {looked} found again",
    ]
    if tally.repaired:
        parts.append(f"{tally.repaired} were not as they had been written and were put right")
    if tally.erased:
        parts.append(f"{tally.erased} were erased here and are not kept")
    if tally.written_back or tally.write_refused or tally.write_moved:
        kinds = [
            f"{number} {word}"
            for number, word in ((tally.created_back, "made"), (tally.deleted_back, "deleted"))
            if number
        ]
        of_them = f" ({', '.join(kinds)} there)" if kinds else ""
        parts.append(
            f"{tally.written_back} written back{of_them}, {tally.write_refused} refused there, "
            f"{tally.write_moved} changed there meanwhile"
        )
    return "; ".join(parts)
