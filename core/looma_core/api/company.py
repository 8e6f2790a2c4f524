"""The company in the CRM: what clients send (`CompanyDraft`) and what talent-sync answers (`Company`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.person import Language, Line, Paragraphs
from looma_core.api.source import Source

CompanySize = Literal["1-10", "11-50", "51-200", "201-1000", "1001-5000", "5001+"]


class CompanyFields(msgspec.Struct, kw_only=True):
    """The fields that a client may set."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    aliases: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=200)]],
        Meta(max_length=20, description="Other names, as the short one or that in another language."),
    ] = msgspec.field(default_factory=list)
    registration_number: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="As the register has it; of a Chinese company its unified social credit code.",
                examples=["91350100M000100Y43"],
            ),
        ]
        | None
    ) = None
    website: Annotated[str, Meta(max_length=500, examples=["https://www.example.org"])] | None = None
    industry: Line | None = None
    size: Annotated[CompanySize | None, Meta(description="How many people work there.")] = None
    location: Line | None = None
    description: Paragraphs | None = None
    language: Language = "en"


class CompanyDraft(CompanyFields, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/companies`; also the shape that a merge patch must still fit."""

    source: Source = msgspec.field(default_factory=Source)


class Company(CompanyFields, kw_only=True):
    """A company as stored. `version` counts changes from 1 and is the ETag."""

    id: UUID
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime
