"""Talents, and how they are found."""

from __future__ import annotations

from looma_core.api.talent import Talent, TalentDraft
from looma_engines.talent_sync.kinds import TALENT
from looma_engines.talent_sync.models import TalentRow
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.rights.usable import usable_for
from looma_engines.talent_sync.skills.having import HasSkill
from looma_engines.talent_sync.ties.deletions import TalentTies

TALENTS: Entity[TalentDraft, Talent] = Entity(
    name=TALENT.name,
    draft=TALENT.draft,
    table=TALENT.table,
    record=Talent,
    row=TalentRow,
    sorts={
        "created_at": TalentRow.created_at,
        "updated_at": TalentRow.updated_at,
        "full_name": TalentRow.full_name,
    },
    rules=TALENT.rules,
    tidy=TALENT.tidy,
    references={},
    conditions={"usable_for": usable_for},
    lookups={"skill": HasSkill("talent")},
    ties=TalentTies(),
)
