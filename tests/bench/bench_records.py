"""Time that the rules take for one talent, and how often they are right for each kind of record, in this process.

The records are made up here, each with a label (`support.labelled_talents`, `labelled_records`). Beside the time
of all rules for a talent there is that of reading the same talent from JSON, which every request does first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec

from bench.report import Row
from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality import companies, jobs, relations
from looma_engines.talent_sync.quality.assessing import assess, refusals
from looma_engines.talent_sync.quality.talents import RULES
from support import labelled_records
from support.labelled_talents import labelled

SEED = 20261127
TODAY = date(2026, 11, 27)
ROUNDS = 5
Item = TypeVar("Item")
OTHERS: dict[str, tuple[str, Any]] = {
    "company": ("companies", companies.RULES),
    "job": ("jobs", jobs.RULES),
    "relation": ("relations", relations.RULES),
}
"""Kinds of records beside talents: what they are called, and their rules."""


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
    rows.append(_verdicts("talents", records, RULES))
    for entity, (called, rules) in OTHERS.items():
        rows.append(_verdicts(called, labelled_records.labelled(entity, SEED), rules))
    return rows


def _verdicts(called: str, records: Sequence[Any], rules: Any) -> Row:
    wrong = [one for one in records if not _is_right(one, rules)]
    kinds = sorted({one.kind for one in wrong})
    return Row(
        what=f"verdicts that are right, of {len(records)} {called} with a label",
        value=100 * (len(records) - len(wrong)) / len(records),
        unit="%",
        limit="98 %",
        note=f"half of them with one defect; seed {SEED}; wrong: {', '.join(kinds) or 'none'}",
    )


def _is_right(one: Any, rules: Any) -> bool:
    fields = [finding.field for finding in assess(one.draft, today=TODAY, rules=rules).findings]
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
