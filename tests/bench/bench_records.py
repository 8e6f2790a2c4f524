"""Time that the rules take for one talent, and how often they are right, in this process.

The talents are made up here, each with a label (`support.labelled_talents`). Beside the time of all rules there is that
of reading the same talent from JSON, which every request does first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

import msgspec

from bench.report import Row
from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality.assessing import assess, refusals
from looma_engines.talent_sync.quality.talents import RULES
from support.labelled_talents import Labelled, labelled

SEED = 20261127
TODAY = date(2026, 11, 27)
ROUNDS = 5
Item = TypeVar("Item")


def run() -> list[Row]:
    """Processor time of one record by all rules and by those that refuse, and the share of right verdicts."""
    records = labelled(SEED)
    bodies = [msgspec.json.encode(one.draft) for one in records]
    drafts = [one.draft for one in records]
    reading = _milliseconds(lambda body: msgspec.json.decode(body, type=TalentDraft), bodies)
    note = f"mean of {len(records)} talents, median of {ROUNDS} rounds, processor time of one process"
    rows = [
        Row(
            what=what,
            value=_milliseconds(check, drafts),
            unit="ms",
            baseline=reading,
            baseline_name="the same talent read from JSON",
            limit="0.3 ms",
            note=note,
        )
        for what, check in (
            ("all rules of a talent and its score", lambda draft: assess(draft, today=TODAY, rules=RULES)),
            ("the rules that can refuse it", lambda draft: refusals(draft, today=TODAY, rules=RULES)),
        )
    ]
    right = [one for one in records if _is_right(one)]
    kinds = sorted({one.kind for one in records if not _is_right(one)})
    rows.append(
        Row(
            what="verdicts that are right, of 500 talents with a label",
            value=100 * len(right) / len(records),
            unit="%",
            limit="98 %",
            note=f"half of them with one defect; seed {SEED}; wrong: {', '.join(kinds) or 'none'}",
        )
    )
    return rows


def _is_right(one: Labelled) -> bool:
    fields = [finding.field for finding in assess(one.draft, today=TODAY, rules=RULES).findings]
    return one.field in fields if one.field else not fields


def _milliseconds(check: Callable[[Item], object], items: Sequence[Item]) -> float:
    rounds = []
    for _ in range(ROUNDS + 1):
        begun = time.process_time()
        for item in items:
            check(item)
        rounds.append((time.process_time() - begun) / len(items) * 1000)
    # The first warms up what is built once.
    return statistics.median(rounds[1:])
