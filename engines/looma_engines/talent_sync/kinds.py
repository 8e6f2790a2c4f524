"""The kinds of records that sync jobs bring: what their drafts become, and the rules that hold for them."""

from __future__ import annotations

import msgspec

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft
from looma_core.api.relation import RelationDraft
from looma_core.api.talent import TalentDraft
from looma_engines.talent_sync.quality import companies, jobs, relations, talents
from looma_engines.talent_sync.quality.registration import looks_like_credit_code
from looma_engines.talent_sync.records.kind import Kind
from looma_engines.talent_sync.records.tidying import (
    in_one_line,
    trimmed,
    without_identity_numbers,
    without_repeats,
)


def tidy_talent(draft: TalentDraft) -> TalentDraft:
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


def tidy_company(draft: CompanyDraft) -> CompanyDraft:
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


def tidy_job(draft: JobDraft) -> JobDraft:
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


def tidy_relation(draft: RelationDraft) -> RelationDraft:
    """Trim texts, turn empty ones into null, mask identity numbers."""
    neat = msgspec.structs.replace(draft, title=trimmed(draft.title), note=trimmed(draft.note))
    return without_identity_numbers(neat)


TALENT: Kind[TalentDraft] = Kind(
    name="talent",
    draft=TalentDraft,
    table="talents",
    rules=talents.RULES,
    tidy=tidy_talent,
)
COMPANY: Kind[CompanyDraft] = Kind(
    name="company",
    draft=CompanyDraft,
    table="companies",
    rules=companies.RULES,
    tidy=tidy_company,
)
JOB: Kind[JobDraft] = Kind(
    name="job",
    draft=JobDraft,
    table="jobs",
    rules=jobs.RULES,
    tidy=tidy_job,
    refers={"company_id": "companies"},
)

RELATION: Kind[RelationDraft] = Kind(
    name="relation",
    draft=RelationDraft,
    table="relations",
    rules=relations.RULES,
    tidy=tidy_relation,
    refers={
        "talent_id": "talents",
        "company_id": "companies",
        "job_id": "jobs",
        "other_talent_id": "talents",
    },
)

KINDS = {kind.name: kind for kind in (TALENT, COMPANY, JOB, RELATION)}
