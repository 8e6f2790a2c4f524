"""Companies, and how they are found."""

from __future__ import annotations

from looma_core.api.company import Company, CompanyDraft
from looma_engines.talent_sync.kinds import COMPANY
from looma_engines.talent_sync.models import CompanyRow
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.ties.deletions import CompanyTies

COMPANIES: Entity[CompanyDraft, Company] = Entity(
    name=COMPANY.name,
    draft=COMPANY.draft,
    table=COMPANY.table,
    record=Company,
    row=CompanyRow,
    sorts={
        "created_at": CompanyRow.created_at,
        "updated_at": CompanyRow.updated_at,
        "name": CompanyRow.name,
    },
    rules=COMPANY.rules,
    tidy=COMPANY.tidy,
    references={},
    ties=CompanyTies(),
)
