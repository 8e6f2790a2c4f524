"""Talents: what their drafts become, and how they are found."""

from __future__ import annotations

import msgspec

from looma_core.api.talent import Talent, TalentDraft
from looma_engines.talent_sync.models import TalentRow
from looma_engines.talent_sync.quality.talents import RULES
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.tidying import (
    in_one_line,
    trimmed,
    without_identity_numbers,
    without_repeats,
)
from looma_engines.talent_sync.rights.usable import usable_for
from looma_engines.talent_sync.skills.having import HasSkill
from looma_engines.talent_sync.ties.deletions import TalentTies


def tidy(draft: TalentDraft) -> TalentDraft:
    """Trim texts, make empty ones null, lower the host of the address, drop repeated skills, mask identity numbers."""
    email = trimmed(draft.email)
    if email and "@" in email:
        local, host = email.rsplit("@", 1)
        email = f"{local}@{host.lower()}"
    neat = msgspec.structs.replace(
        draft,
        full_name=in_one_line(draft.full_name),
        email=email,
        phone=trimmed(draft.phone),
        location=trimmed(draft.location),
        headline=trimmed(draft.headline),
        summary=trimmed(draft.summary),
        skills=without_repeats(draft.skills),
    )
    return without_identity_numbers(neat)


TALENTS: Entity[TalentDraft, Talent] = Entity(
    name="talent",
    draft=TalentDraft,
    record=Talent,
    row=TalentRow,
    sorts={
        "created_at": TalentRow.created_at,
        "updated_at": TalentRow.updated_at,
        "full_name": TalentRow.full_name,
    },
    rules=RULES,
    tidy=tidy,
    references={},
    conditions={"usable_for": usable_for},
    lookups={"skill": HasSkill("talent")},
    ties=TalentTies(),
)
