"""Résumé files of people, as talent-sync keeps them: what clients send and what it answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.person import Language

FileState = Literal["stored", "parsed", "refused"]
Reading = Literal["parsed", "refused"]
Reason = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z-]{1,62}[a-z]$",
        description="Name of the problem with which the reader refused it; nothing of a person.",
        examples=["no-text-in-document"],
    ),
]


class ResumeFile(msgspec.Struct, kw_only=True):
    """A file as it is kept, without its content."""

    id: UUID
    version: int
    talent_id: Annotated[UUID | None, Meta(description="Whose it is; null until it is linked.")]
    number: Annotated[
        int | None, Meta(description="Which of the person's files it is, from 1; null until it is linked.")
    ]
    file_name: str
    media_type: Annotated[str, Meta(description="Told by its bytes, never by its name.")]
    size: Annotated[int, Meta(description="Bytes of the file as it came.")]
    sha256: Annotated[str, Meta(description="Of the file as it came, in hexadecimal digits.")]
    language: Language | None
    state: Annotated[
        FileState, Meta(description="`parsed` or `refused` is what a reader said of it; `stored`: none did.")
    ]
    reason: Annotated[str | None, Meta(description="Why a reader refused it.")]
    uploaded_by: Annotated[str, Meta(description="`sub` of the token.")]
    created_at: datetime
    updated_at: datetime


class LinkFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose file it is."""

    talent_id: UUID


class NoteReading(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a reader said of a file."""

    state: Reading
    reason: Annotated[
        Reason | None, Meta(description="Needed where it refused the file, and only there.")
    ] = None
    language: Language | None = None


class HeldFile(msgspec.Struct, kw_only=True):
    """A file of a person as the export of all that is held names it."""

    file: ResumeFile
    deleted_at: datetime | None
    content: Annotated[str, Meta(description="Path of the content; there while file and person are.")]
