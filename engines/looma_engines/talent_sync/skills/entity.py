"""Skills: what their drafts become, and how they are found."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists

from looma_core.api.skill import Skill, SkillDraft
from looma_engines.talent_sync.quality.skills import RULES
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.skills.drafts import tidy
from looma_engines.talent_sync.skills.models import SkillLinkRow, SkillRow
from looma_engines.talent_sync.skills.ties import SkillTies


def directly_below(parent: UUID) -> ColumnElement[bool]:
    """Skills that have this parent."""
    link = SkillLinkRow
    return exists().where(link.skill_id == SkillRow.id, link.above_id == parent, link.how == "parent")


def at_the_top(wanted: bool) -> ColumnElement[bool]:
    """Skills that have no parent, or those that have one."""
    above = exists().where(SkillLinkRow.skill_id == SkillRow.id, SkillLinkRow.how == "parent")
    return ~above if wanted else above


def updated_since(moment: datetime) -> ColumnElement[bool]:
    """Skills that were changed at this moment or later."""
    return SkillRow.updated_at >= moment


SKILLS: Entity[SkillDraft, Skill] = Entity(
    name="skill",
    draft=SkillDraft,
    table="skills",
    record=Skill,
    row=SkillRow,
    sorts={
        "created_at": SkillRow.created_at,
        "updated_at": SkillRow.updated_at,
        "key": SkillRow.key,
    },
    rules=RULES,
    tidy=tidy,
    references={"replaced_by": SkillRow},
    conditions={"parent": directly_below, "top": at_the_top, "updated_since": updated_since},
    ties=SkillTies(),
)
