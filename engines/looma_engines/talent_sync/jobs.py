"""Jobs: what their drafts become, and how they are found."""

from __future__ import annotations

import msgspec

from looma_core.api.job import Job, JobDraft
from looma_engines.talent_sync.models import CompanyRow, JobRow
from looma_engines.talent_sync.quality.jobs import RULES
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.tidying import (
    in_one_line,
    trimmed,
    without_identity_numbers,
    without_repeats,
)
from looma_engines.talent_sync.skills.having import HasSkill
from looma_engines.talent_sync.ties.deletions import JobTies


def tidy(draft: JobDraft) -> JobDraft:
    """Trim texts, turn empty ones into null, drop repeated skills, mask identity numbers."""
    neat = msgspec.structs.replace(
        draft,
        title=in_one_line(draft.title),
        company_name=trimmed(draft.company_name),
        location=trimmed(draft.location),
        description=trimmed(draft.description),
        skills=without_repeats(draft.skills),
    )
    return without_identity_numbers(neat)


JOBS: Entity[JobDraft, Job] = Entity(
    name="job",
    draft=JobDraft,
    record=Job,
    row=JobRow,
    sorts={"created_at": JobRow.created_at, "updated_at": JobRow.updated_at, "title": JobRow.title},
    rules=RULES,
    tidy=tidy,
    references={"company_id": CompanyRow},
    lookups={"skill": HasSkill("job")},
    ties=JobTies(),
)
