"""The job in the CRM: what clients send (`JobDraft`) and what talent-sync answers (`Job`)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.person import Language, Line, Paragraphs
from looma_core.api.source import Source

JobStatus = Literal["draft", "open", "paused", "closed"]
Employment = Literal["full-time", "part-time", "contract", "internship"]
Workplace = Literal["on-site", "hybrid", "remote"]
Degree = Literal["associate", "bachelor", "master", "doctor"]
Money = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Salary(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is paid, from and to, in whole units of the currency."""

    min: Money | None = None
    max: Money | None = None
    currency: Annotated[
        str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["CNY", "GBP"])
    ] = "CNY"
    per: Literal["hour", "day", "month", "year"] = "month"


class JobFields(msgspec.Struct, kw_only=True):
    """The fields that a client may set."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    company_id: Annotated[UUID | None, Meta(description="Id of a company that is known.")] = None
    company_name: Annotated[Line | None, Meta(description="Its name, where it is not known.")] = None
    status: JobStatus = "open"
    location: Line | None = None
    workplace: Workplace | None = None
    employment: Employment | None = None
    description: Paragraphs | None = None
    skills: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=100)]],
        Meta(max_length=100, description="What is asked for."),
    ] = msgspec.field(default_factory=list)
    experience_years: Annotated[
        Annotated[int, Meta(ge=0, le=60)] | None, Meta(description="The least that is asked for.")
    ] = None
    degree: Annotated[Degree | None, Meta(description="The least that is asked for.")] = None
    salary: Salary | None = None
    openings: Annotated[int, Meta(ge=1, le=10_000, description="How many people are looked for.")] = 1
    opens_on: date | None = None
    closes_on: date | None = None
    language: Language = "en"


class JobDraft(JobFields, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/jobs`; also the shape that a merge patch must still fit."""

    source: Source = msgspec.field(default_factory=Source)


class Job(JobFields, kw_only=True):
    """A job as stored. `version` counts changes from 1 and is the ETag."""

    id: UUID
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime
