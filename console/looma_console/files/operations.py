"""The work behind the section about a person's files: keeping, reading, handing back, deleting."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError, FileDownload
from looma_console.files import calls
from looma_console.people.operations import EDITABLE
from looma_console.resumes.messages import PROBLEMS as REFUSALS
from looma_console.resumes.operations import key_of
from looma_core.api.resume import ParsedResume
from looma_core.api.resume_file import NoteReading, ResumeFile
from looma_core.api.talent import Talent

IN_MEMORY = 2**20
"""Of a file that is fetched to be read; a larger one is on disk meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What came of reading a file: what it says, or why nothing was read."""

    file: ResumeFile
    found: ParsedResume | None = None
    problem: EngineError | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field of which a file says another value than is stored."""

    name: str
    stored: str | None
    found: str


def keep_and_read(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    talent_id: UUID,
    *,
    file_name: str,
    file: IO[bytes],
    form_key: str,
) -> Read:
    """Keep a file of a person and have it read. One that cannot be read is kept all the same.

    The audit names the file by its id: its name often is a person's. Raises EngineError if it is not kept.
    """
    key = key_of(form_key, file_name, file)
    kept = calls.keep(engines, caller, talent_id, file_name=file_name, file=file, key=key)
    _note(db, caller, "upload-file", kept.id, {"talent": str(talent_id)})
    file.seek(0)
    return _read(engines, caller, kept, file)


def read_again(engines: EngineClient, caller: Caller, file_id: UUID) -> Read:
    """Have a file read that is kept already. Raises EngineError if it is not there."""
    kept = calls.file_of(engines, caller, file_id)
    stored = calls.content(engines, caller, file_id)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        try:
            for chunk in stored.chunks:
                file.write(chunk)
        finally:
            stored.close()
        file.seek(0)
        return _read(engines, caller, kept, file)


def _read(engines: EngineClient, caller: Caller, kept: ResumeFile, file: IO[bytes]) -> Read:
    try:
        found = calls.parse(engines, caller, file)
    except EngineError as error:
        # What the reader says of the file is kept; that it is away says nothing of the file.
        if error.name in REFUSALS:
            kept = _noted(engines, caller, kept, NoteReading(state="refused", reason=error.name))
        return Read(file=kept, problem=error)
    kept = _noted(engines, caller, kept, NoteReading(state="parsed", language=found.language))
    return Read(file=kept, found=found)


def _noted(engines: EngineClient, caller: Caller, kept: ResumeFile, reading: NoteReading) -> ResumeFile:
    if (kept.state, kept.reason) == (reading.state, reading.reason):
        return kept
    # Somebody else noted it at this moment, or took the file away: their word stands.
    with suppress(EngineError):
        return calls.note(engines, caller, kept, reading)
    return kept


def differences(talent: Talent, found: ParsedResume) -> list[Difference]:
    """Fields of a person of which a file says something else."""
    said = {
        "full_name": found.contact.full_name,
        "headline": found.headline,
        "email": found.contact.email,
        "phone": found.contact.phone,
        "location": found.contact.location,
    }
    return [
        Difference(name=name, stored=getattr(talent, name), found=value)
        for name in EDITABLE
        if (value := said[name]) and value != getattr(talent, name)
    ]


def download(
    db: Database, engines: EngineClient, caller: Caller, file_id: UUID
) -> tuple[ResumeFile, FileDownload]:
    """A file and its bytes. Raises EngineError."""
    kept = calls.file_of(engines, caller, file_id)
    stored = calls.content(engines, caller, file_id)
    _note(db, caller, "download-file", file_id, {})
    return kept, stored


def delete(db: Database, engines: EngineClient, caller: Caller, file_id: UUID, *, version: int) -> None:
    """Delete a file, if nobody changed it since it was shown. Raises EngineError."""
    calls.delete(engines, caller, file_id, version=version)
    _note(db, caller, "delete-file", file_id, {})


def _note(db: Database, caller: Caller, action: str, file_id: UUID, detail: Mapping[str, Any]) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=action,
            object=f"resume-file/{file_id}",
            detail=dict(detail),
            request_id=caller.request_id,
        )
