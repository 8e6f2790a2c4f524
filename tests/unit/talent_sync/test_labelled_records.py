"""Rules of companies, jobs and relations before records whose label knows nothing of the rules."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.talent_sync.quality import companies, jobs, relations
from looma_engines.talent_sync.quality.assessing import assess
from support.labelled_records import KINDS, TODAY, Labelled, labelled

RULES: dict[str, Any] = {"company": companies.RULES, "job": jobs.RULES, "relation": relations.RULES}
SEED = 20261127


def is_right(entity: str, one: Labelled) -> bool:
    """Whether a defect is found where it was put, and in a good record nothing."""
    found = [finding.field for finding in assess(one.draft, today=TODAY, rules=RULES[entity]).findings]
    return one.field in found if one.field else not found


@pytest.mark.parametrize("entity", KINDS)
def test_of_a_hundred_with_a_label_98_are_judged_rightly(entity: str) -> None:
    records = labelled(entity, SEED)
    assert len(records) == 100
    wrong = [one for one in records if not is_right(entity, one)]
    assert len(wrong) <= 2, [(one.kind, one.draft) for one in wrong]


@pytest.mark.parametrize("entity", KINDS)
def test_every_kind_of_defect_is_found(entity: str) -> None:
    records = labelled(entity, SEED, good=0, bad=len(KINDS[entity].defects))
    assert {one.kind for one in records} == set(KINDS[entity].defects)
    assert [one.kind for one in records if not is_right(entity, one)] == []
