"""Jobs, and how they are found."""

from __future__ import annotations

from looma_core.api.job import Job, JobDraft
from looma_engines.talent_sync.kinds import JOB
from looma_engines.talent_sync.models import CompanyRow, JobRow
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.skills.having import HasSkill
from looma_engines.talent_sync.ties.deletions import JobTies

JOBS: Entity[JobDraft, Job] = Entity(
    name=JOB.name,
    draft=JOB.draft,
    table=JOB.table,
    record=Job,
    row=JobRow,
    sorts={"created_at": JobRow.created_at, "updated_at": JobRow.updated_at, "title": JobRow.title},
    rules=JOB.rules,
    tidy=JOB.tidy,
    refers=JOB.refers,
    references={"company_id": CompanyRow},
    lookups={"skill": HasSkill("job")},
    ties=JobTies(),
)
