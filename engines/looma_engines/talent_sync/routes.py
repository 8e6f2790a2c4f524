"""`/api/v1/talents`, `/companies`, `/jobs` and `/relations`: their lists; all else is `records.routes`.

A filter is added in one place, the kind's `..._filters`: its list, its count and its export have it then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import get
from litestar.di import Provide
from litestar.params import Dependency, Parameter

from looma_core.api.company import Company, CompanyDraft, CompanySize
from looma_core.api.job import Employment, Job, JobDraft, JobStatus, Workplace
from looma_core.api.page import Count, Page
from looma_core.api.relation import Relation, RelationDraft, RelationKind
from looma_core.api.rights import Purpose
from looma_core.api.source import SourceType
from looma_core.api.talent import Talent, TalentDraft
from looma_core.auth import Principal
from looma_engines.talent_sync.records.routes import DEFAULT_LIMIT, Cursor, Limit, RecordController
from looma_engines.talent_sync.records.service import RecordService
from looma_engines.talent_sync.records.sparse import Fields, SparseT, narrowed_page

TalentSort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "full_name", "-full_name"]
CompanySort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"]
JobSort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "title", "-title"]
RelationSort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "starts_on", "-starts_on"]


def _words(fields: str) -> str:
    return f"Words that must all occur in {fields}, in any case."


TalentWords = Annotated[
    str | None,
    Parameter(
        max_length=200,
        description=_words("name, headline, location or skills") + " A whole address finds whose it is.",
    ),
]
Address = Annotated[
    str | None, Parameter(max_length=320, description="The whole address, in any case; no part of one.")
]
Number = Annotated[
    str | None,
    Parameter(
        max_length=50, description="The whole telephone number, however it is written; no part of one."
    ),
]
CompanyWords = Annotated[
    str | None,
    Parameter(
        max_length=200, description=_words("name, other names, register's number, industry or location")
    ),
]
JobWords = Annotated[
    str | None, Parameter(max_length=200, description=_words("title, company, location or skills"))
]
RelationWords = Annotated[str | None, Parameter(max_length=200, description=_words("title or note"))]
Day = Annotated[
    date | None, Parameter(description="A day on which they hold; an end that is not known is open.")
]
UsableFor = Annotated[
    Purpose | None,
    Parameter(description="Leave out people who had a basis for this purpose and have none in force."),
]
Having = Annotated[
    UUID | None,
    Parameter(description="Id of a skill: those that name it, by any of its names, or a skill below it."),
]
Place = Annotated[str | None, Parameter(max_length=300, description="The location as it is written.")]


Filters = Annotated[Mapping[str, Any], Dependency(skip_validation=True)]
"""Asked for by one function of each kind, which the list, the count and the export have as a dependency."""


def talent_filters(
    *,
    source: SourceType | None = None,
    email: Address = None,
    phone: Number = None,
    usable_for: UsableFor = None,
    skill: Having = None,
) -> dict[str, object]:
    """What a list of people, its count and its export may be narrowed to, by field."""
    return {
        "source_type": source,
        "email": email,
        "phone": phone,
        "usable_for": usable_for,
        "skill": skill,
    }


def company_filters(
    *,
    source: SourceType | None = None,
    size: CompanySize | None = None,
    location: Place = None,
) -> dict[str, object]:
    """What a list of companies, its count and its export may be narrowed to, by field."""
    return {
        "source_type": source,
        "size": size,
        "location": location,
    }


def job_filters(
    *,
    source: SourceType | None = None,
    status: JobStatus | None = None,
    company_id: UUID | None = None,
    workplace: Workplace | None = None,
    employment: Employment | None = None,
    location: Place = None,
    skill: Having = None,
) -> dict[str, object]:
    """What a list of jobs, its count and its export may be narrowed to, by field."""
    return {
        "source_type": source,
        "status": status,
        "company_id": company_id,
        "workplace": workplace,
        "employment": employment,
        "location": location,
        "skill": skill,
    }


def relation_filters(
    *,
    source: SourceType | None = None,
    kind: RelationKind | None = None,
    talent_id: UUID | None = None,
    company_id: UUID | None = None,
    job_id: UUID | None = None,
    other_talent_id: UUID | None = None,
    on: Day = None,
) -> dict[str, object]:
    """What a list of relations, its count and its export may be narrowed to, by field."""
    return {
        "source_type": source,
        "kind": kind,
        "talent_id": talent_id,
        "company_id": company_id,
        "job_id": job_id,
        "other_talent_id": other_talent_id,
        "on": on,
    }


def narrowed_by(filters: Callable[..., dict[str, object]]) -> dict[str, Provide]:
    """Dependencies of a controller whose handlers ask for `filters`."""
    return {"filters": Provide(filters, sync_to_thread=False)}


class TalentController(RecordController[TalentDraft, Talent]):
    """The people of the caller's tenant."""

    path = "/api/v1/talents"
    tags = ("talents",)
    dependencies = narrowed_by(talent_filters)

    @get(summary="List talents")
    async def page(
        self,
        *,
        principal: Principal,
        records: RecordService[TalentDraft, Talent],
        q: TalentWords = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        filters: Filters,
        sort: TalentSort = "-created_at",
        fields: Fields = None,
    ) -> Page[Talent] | Page[SparseT]:
        """One page of talents, newest first unless `sort` says otherwise."""
        found = await records.page(principal, sort=sort, limit=limit, cursor=cursor, q=q, filters=filters)
        return narrowed_page(found, fields, Talent)

    @get("/count", summary="Count talents")
    async def count(
        self,
        *,
        principal: Principal,
        records: RecordService[TalentDraft, Talent],
        q: TalentWords = None,
        filters: Filters,
    ) -> Count:
        """How many talents the list has with these filters: exact up to 1,000, an estimate beyond."""
        return await records.count(principal, q=q, filters=filters)


class CompanyController(RecordController[CompanyDraft, Company]):
    """The companies of the caller's tenant."""

    path = "/api/v1/companies"
    tags = ("companies",)
    dependencies = narrowed_by(company_filters)

    @get(summary="List companies")
    async def page(
        self,
        *,
        principal: Principal,
        records: RecordService[CompanyDraft, Company],
        q: CompanyWords = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        filters: Filters,
        sort: CompanySort = "-created_at",
        fields: Fields = None,
    ) -> Page[Company] | Page[SparseT]:
        """One page of companies, newest first unless `sort` says otherwise."""
        found = await records.page(principal, sort=sort, limit=limit, cursor=cursor, q=q, filters=filters)
        return narrowed_page(found, fields, Company)

    @get("/count", summary="Count companies")
    async def count(
        self,
        *,
        principal: Principal,
        records: RecordService[CompanyDraft, Company],
        q: CompanyWords = None,
        filters: Filters,
    ) -> Count:
        """How many companies the list has with these filters: exact up to 1,000, an estimate beyond."""
        return await records.count(principal, q=q, filters=filters)


class JobController(RecordController[JobDraft, Job]):
    """The jobs of the caller's tenant."""

    path = "/api/v1/jobs"
    tags = ("jobs",)
    dependencies = narrowed_by(job_filters)

    @get(summary="List jobs")
    async def page(
        self,
        *,
        principal: Principal,
        records: RecordService[JobDraft, Job],
        q: JobWords = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        filters: Filters,
        sort: JobSort = "-created_at",
        fields: Fields = None,
    ) -> Page[Job] | Page[SparseT]:
        """One page of jobs, newest first unless `sort` says otherwise."""
        found = await records.page(principal, sort=sort, limit=limit, cursor=cursor, q=q, filters=filters)
        return narrowed_page(found, fields, Job)

    @get("/count", summary="Count jobs")
    async def count(
        self,
        *,
        principal: Principal,
        records: RecordService[JobDraft, Job],
        q: JobWords = None,
        filters: Filters,
    ) -> Count:
        """How many jobs the list has with these filters: exact up to 1,000, an estimate beyond."""
        return await records.count(principal, q=q, filters=filters)


class RelationController(RecordController[RelationDraft, Relation]):
    """How the people of the caller's tenant are related to companies, jobs and each other."""

    path = "/api/v1/relations"
    tags = ("relations",)
    dependencies = narrowed_by(relation_filters)

    @get(summary="List relations")
    async def page(
        self,
        *,
        principal: Principal,
        records: RecordService[RelationDraft, Relation],
        q: RelationWords = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        filters: Filters,
        fields: Fields = None,
        sort: RelationSort = "-created_at",
    ) -> Page[Relation] | Page[SparseT]:
        """One page of relations, newest first unless `sort` says otherwise."""
        found = await records.page(principal, sort=sort, limit=limit, cursor=cursor, q=q, filters=filters)
        return narrowed_page(found, fields, Relation)

    @get("/count", summary="Count relations")
    async def count(
        self,
        *,
        principal: Principal,
        records: RecordService[RelationDraft, Relation],
        q: RelationWords = None,
        filters: Filters,
    ) -> Count:
        """How many relations the list has with these filters: exact up to 1,000, an estimate beyond."""
        return await records.count(principal, q=q, filters=filters)
