"""The engines' calls about a person's files."""

from __future__ import annotations

from typing import IO
from uuid import UUID

import msgspec

from looma_console.engines import Caller, EngineClient, FileDownload
from looma_core.api.page import Page
from looma_core.api.resume import ParsedResume
from looma_core.api.resume_file import NoteReading, ResumeFile
from looma_core.idempotency import HEADER

PATH = "/api/v1/resume-files"
MOST = "200"
"""Of one person: more than anybody ever sent."""


def files_of(engines: EngineClient, caller: Caller, talent_id: UUID) -> list[ResumeFile]:
    """A person's files, the newest first. Raises EngineError."""
    query = {"talent_id": str(talent_id), "limit": MOST}
    return engines.ask(caller, "GET", PATH, Page[ResumeFile], params=query).items


def file_of(engines: EngineClient, caller: Caller, file_id: UUID) -> ResumeFile:
    """One file without its content. Raises EngineError."""
    return engines.ask(caller, "GET", f"{PATH}/{file_id}", ResumeFile)


def keep(
    engines: EngineClient, caller: Caller, talent_id: UUID, *, file_name: str, file: IO[bytes], key: str
) -> ResumeFile:
    """Keep a file of a person; the same `key` keeps one. Raises EngineError."""
    return engines.ask(
        caller,
        "POST",
        f"/api/v1/talents/{talent_id}/resume-files",
        ResumeFile,
        files={"file": (file_name, file, "application/octet-stream")},
        headers={HEADER: key},
    )


def content(engines: EngineClient, caller: Caller, file_id: UUID) -> FileDownload:
    """A file's bytes, as a stream; the caller closes it. Raises EngineError."""
    return engines.download(caller, f"{PATH}/{file_id}/content")


def parse(engines: EngineClient, caller: Caller, file: IO[bytes]) -> ParsedResume:
    """What the résumé engine finds in a file; it keeps nothing. Raises EngineError."""
    # A name would be one more thing that says who it is, and the engine asks for none.
    files = {"file": ("resume", file, "application/octet-stream")}
    return engines.ask(caller, "POST", "/api/v1/resumes/parse", ParsedResume, files=files)


def note(engines: EngineClient, caller: Caller, file: ResumeFile, reading: NoteReading) -> ResumeFile:
    """Keep what a reader said of a version of a file. Raises EngineError."""
    headers = {"If-Match": f'"{file.version}"', "Content-Type": "application/json"}
    body = msgspec.json.encode(reading)
    return engines.ask(caller, "POST", f"{PATH}/{file.id}/reading", ResumeFile, headers=headers, content=body)


def delete(engines: EngineClient, caller: Caller, file_id: UUID, *, version: int) -> None:
    """Delete a version of a file. Raises EngineError."""
    engines.tell(caller, "DELETE", f"{PATH}/{file_id}", headers={"If-Match": f'"{version}"'})
