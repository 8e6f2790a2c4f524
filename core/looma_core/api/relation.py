"""How a person is related to a company, a job or another person: what clients send, and what talent-sync answers.

`talent_id` is whom the relation is about; its other end is exactly one of the three that its kind asks for.

    works_at, worked_at                        company_id
    applied_to, interviewed_for, hired_for     job_id
    referred_by, reports_to, knows             other_talent_id
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.person import Line, Paragraphs
from looma_core.api.source import Source

RelationKind = Literal[
    "works_at",
    "worked_at",
    "applied_to",
    "interviewed_for",
    "hired_for",
    "referred_by",
    "reports_to",
    "knows",
]
OBJECTS: dict[str, str] = {
    "works_at": "company_id",
    "worked_at": "company_id",
    "applied_to": "job_id",
    "interviewed_for": "job_id",
    "hired_for": "job_id",
    "referred_by": "other_talent_id",
    "reports_to": "other_talent_id",
    "knows": "other_talent_id",
}
"""The field that holds the other end, by the kind."""


class RelationFields(msgspec.Struct, kw_only=True):
    """The fields that a client may set."""

    kind: RelationKind
    talent_id: Annotated[UUID, Meta(description="Id of the person whom it is about.")]
    company_id: Annotated[UUID | None, Meta(description="Where the person works or worked.")] = None
    job_id: Annotated[
        UUID | None, Meta(description="What the person applied to, was interviewed or hired for.")
    ] = None
    other_talent_id: Annotated[
        UUID | None, Meta(description="Who referred the person, leads the person, or knows the person.")
    ] = None
    title: Annotated[Line | None, Meta(description="Of work: what the person is there.")] = None
    starts_on: Annotated[date | None, Meta(description="First day; null where it is not known.")] = None
    ends_on: Annotated[date | None, Meta(description="Last day; null while it goes on.")] = None
    note: Paragraphs | None = None


class RelationDraft(RelationFields, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/relations`; also the shape that a merge patch must still fit."""

    source: Source = msgspec.field(default_factory=Source)


class Relation(RelationFields, kw_only=True):
    """A relation as stored. `version` counts changes from 1 and is the ETag.

    The names of its ends are those of today: they change without the version.
    """

    id: UUID
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime
    talent_name: str | None = None
    company_name: str | None = None
    job_title: str | None = None
    other_talent_name: str | None = None
