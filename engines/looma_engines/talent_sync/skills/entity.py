"""Skills: what their drafts become, and how they are found."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, exists

from looma_core.api.skill import Skill, SkillAlias, SkillDraft
from looma_engines.talent_sync.quality.skills import RULES
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.tidying import in_one_line, trimmed
from looma_engines.talent_sync.skills.models import SkillLinkRow, SkillRow
from looma_engines.talent_sync.skills.ties import SkillTies

LONGEST_KEY = 100
_BETWEEN = re.compile(r"[^a-z0-9]+")
_SPOKEN = {"+": " plus ", "#": " sharp ", "&": " and "}


def key_of(name: str) -> str | None:
    """The key that a name gives; None where it has no letter or digit of ASCII.

    | name             | answer           |
    | ---------------- | ---------------- |
    | Machine Learning | machine-learning |
    | C++              | c-plus-plus      |
    | C#               | c-sharp          |
    | Node.js          | node-js          |
    | 项目管理         | None             |
    """
    text = "".join(_SPOKEN.get(sign, sign) for sign in name.lower())
    return _BETWEEN.sub("-", text).strip("-")[:LONGEST_KEY].strip("-") or None


def tidy(draft: SkillDraft) -> SkillDraft:
    """Trim names, drop those that are there twice, make the key of the English name where none is given."""
    name_en, name_zh = (_line(name) for name in (draft.name_en, draft.name_zh))
    seen = {("en", name_en), ("zh", name_zh)}
    aliases = []
    for alias in draft.aliases:
        name = in_one_line(alias.name)
        if name and (alias.language, name) not in seen:
            seen.add((alias.language, name))
            aliases.append(SkillAlias(language=alias.language, name=name))
    return msgspec.structs.replace(
        draft,
        key=draft.key or (key_of(name_en) if name_en else None),
        name_en=name_en,
        name_zh=name_zh,
        aliases=aliases,
        parents=list(dict.fromkeys(draft.parents)),
        esco_uri=trimmed(draft.esco_uri),
    )


def _line(name: str | None) -> str | None:
    return in_one_line(name or "") or None


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
