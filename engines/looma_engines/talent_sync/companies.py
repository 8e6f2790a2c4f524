"""Companies: what their drafts become, and how they are found."""

from __future__ import annotations

import msgspec

from looma_core.api.company import Company, CompanyDraft
from looma_engines.talent_sync.models import CompanyRow
from looma_engines.talent_sync.quality.companies import RULES
from looma_engines.talent_sync.quality.registration import looks_like_credit_code
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.tidying import (
    in_one_line,
    trimmed,
    without_identity_numbers,
    without_repeats,
)
from looma_engines.talent_sync.ties.deletions import CompanyTies


def tidy(draft: CompanyDraft) -> CompanyDraft:
    """Trim texts, turn empty ones into null, drop repeated names, write a social credit code in capitals."""
    number = trimmed(draft.registration_number)
    if number is not None and looks_like_credit_code(number):
        number = number.upper()
    neat = msgspec.structs.replace(
        draft,
        name=in_one_line(draft.name),
        aliases=without_repeats(draft.aliases),
        registration_number=number,
        website=trimmed(draft.website),
        industry=trimmed(draft.industry),
        location=trimmed(draft.location),
        description=trimmed(draft.description),
    )
    return without_identity_numbers(neat)


COMPANIES: Entity[CompanyDraft, Company] = Entity(
    name="company",
    draft=CompanyDraft,
    record=Company,
    row=CompanyRow,
    sorts={
        "created_at": CompanyRow.created_at,
        "updated_at": CompanyRow.updated_at,
        "name": CompanyRow.name,
    },
    rules=RULES,
    tidy=tidy,
    references={},
    ties=CompanyTies(),
)
