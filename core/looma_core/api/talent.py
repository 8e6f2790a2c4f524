"""The person in the CRM: what clients send (`TalentDraft`) and what talent-sync answers (`Talent`).

Formats that one field alone cannot show (a phone number's digits, the order of dates) are checked by
`talent_sync.quality`; lengths and shapes are here, so that OpenAPI says them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.person import Education, Experience, Language, Line, Paragraphs
from looma_core.api.source import Source, SourceType

__all__ = ["Education", "Experience", "Source", "SourceType", "Talent", "TalentDraft", "TalentFields"]


class TalentFields(msgspec.Struct, kw_only=True):
    """The fields that a client may set."""

    full_name: Annotated[str, Meta(min_length=1, max_length=200)]
    email: Annotated[str, Meta(max_length=254)] | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None
    location: Line | None = None
    headline: Line | None = None
    summary: Paragraphs | None = None
    language: Language = "en"
    skills: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=300)] = (
        msgspec.field(default_factory=list)
    )
    experience: Annotated[list[Experience], Meta(max_length=100)] = msgspec.field(default_factory=list)
    education: Annotated[list[Education], Meta(max_length=50)] = msgspec.field(default_factory=list)


class TalentDraft(TalentFields, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/talents`; also the shape that a merge patch must still fit."""

    source: Source = msgspec.field(default_factory=Source)


class Talent(TalentFields, kw_only=True):
    """A talent as stored. `version` counts changes from 1 and is the ETag."""

    id: UUID
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime
