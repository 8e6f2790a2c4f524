"""The parsed résumé and its record, as the resume engine answers them.

Every span (`start`, `end` of skills and entities) counts Unicode code points of `ParsedResume.text`, `end`
exclusive, so that `text[start:end]` in Python is the span itself.

Demonstration data is marked by the multipart field `source=demo` of `POST /api/v1/resumes`: the record keeps it,
and the talent gets `source: {type: "demo", ref: "<resume id>"}`. `DELETE /api/v1/resumes/{id}` takes a record and
its file away for good (204; 404 if it is gone), so that the same file can come again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.person import Education, Experience, Language

__all__ = [
    "DEMO_SOURCE",
    "Contact",
    "Education",
    "Entity",
    "EntityLabel",
    "Experience",
    "ParsedResume",
    "ResumeRecord",
    "ResumeSource",
    "ResumeSummary",
    "SkillMention",
    "TextInput",
]

EntityLabel = Literal[
    "NAME",
    "ORG",
    "TITLE",
    "EDU",
    "PRO",
    "LOC",
    "CONT",
    "RACE",
    "SCHOOL",
    "DATE",
    "EMAIL",
    "PHONE",
    "SKILL",
]
"""EDU is a degree, PRO a major, CONT a nationality, RACE an ethnicity (found so that it can be masked)."""

ResumeSource = Literal["resume", "demo"]
"""Value of the multipart field `source` of `POST /api/v1/resumes`; becomes the talent's `source.type`."""

DEMO_SOURCE: ResumeSource = "demo"
"""Marks demonstration data, so that one command can take all of it away again."""

Start = Annotated[int, Meta(ge=0, description="First code point of the span in `text`.")]
End = Annotated[int, Meta(ge=0, description="Code point after the span in `text`.")]


class Contact(msgspec.Struct, kw_only=True):
    """How to reach the person, as far as the text says it."""

    full_name: str | None = None
    email: str | None = None
    phone: Annotated[str | None, Meta(description="E.164 where complete, else as written.")] = None
    location: str | None = None
    links: list[str] = msgspec.field(default_factory=list)


class SkillMention(msgspec.Struct, kw_only=True):
    """One skill at one place in the text."""

    name: Annotated[str, Meta(description="Canonical name, the same for every spelling.")]
    id: Annotated[str, Meta(description="Stable id of the skill in Looma's own list.")]
    category: str
    start: Start
    end: End


class Entity(msgspec.Struct, kw_only=True):
    """One named span of the text."""

    start: Start
    end: End
    label: EntityLabel
    text: str
    score: Annotated[float, Meta(ge=0, le=1, description="How sure the engine is, 0 to 1.")] = 1.0


class ParsedResume(msgspec.Struct, kw_only=True):
    """What was found in one document; answered by `POST /api/v1/resumes/parse`."""

    language: Language
    text: Annotated[str, Meta(description="The document's text in reading order; all spans point into it.")]
    contact: Contact = msgspec.field(default_factory=Contact)
    headline: str | None = None
    summary: str | None = None
    experience: list[Experience] = msgspec.field(default_factory=list)
    education: list[Education] = msgspec.field(default_factory=list)
    skills: list[SkillMention] = msgspec.field(default_factory=list)
    languages: list[str] = msgspec.field(default_factory=list)
    certifications: list[str] = msgspec.field(default_factory=list)
    projects: list[str] = msgspec.field(default_factory=list)
    entities: list[Entity] = msgspec.field(default_factory=list)
    pages: Annotated[int, Meta(ge=0, description="Pages of the document; 1 where the format has none.")] = 1
    warnings: Annotated[
        list[str], Meta(description="What the reader should know, such as pages without text.")
    ] = msgspec.field(default_factory=list)


class TextInput(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """JSON body of the endpoints that take plain text."""

    text: Annotated[str, Meta(min_length=1, max_length=500_000)]


class ResumeSummary(msgspec.Struct, kw_only=True):
    """A stored résumé without its parsed text: an item of `GET /api/v1/resumes`."""

    id: UUID
    talent_id: UUID | None
    file_name: str
    media_type: str
    size: Annotated[int, Meta(ge=0, description="Bytes of the file.")]
    sha256: Annotated[str, Meta(description="Lower-case hexadecimal digest of the file's bytes.")]
    source: ResumeSource
    created_at: datetime


class ResumeRecord(ResumeSummary, kw_only=True):
    """A stored résumé with what was found in it: `POST /api/v1/resumes` and `GET /api/v1/resumes/{id}`."""

    parsed: ParsedResume
