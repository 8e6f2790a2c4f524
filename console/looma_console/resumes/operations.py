"""Handing files to the resume engine and back, each with its audit entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError, FileDownload
from looma_core.api.resume import ResumeRecord


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file: a record, or a problem."""

    file_name: str
    record: ResumeRecord | None = None
    new: bool = False
    error: EngineError | None = None


def upload(
    db: Database, engines: EngineClient, caller: Caller, *, file_name: str, media_type: str, file: IO[bytes]
) -> Outcome:
    """Have one file parsed and kept. Never raises EngineError: one bad file must not stop the others.

    The audit names the file's digest, not its name, which often is a person's.
    """
    try:
        found, new = engines.upload(caller, file_name=file_name, media_type=media_type, file=file)
    except EngineError as error:
        with db.transaction() as session:
            record(
                session,
                tenant=db.tenant,
                who=caller.login,
                action="upload-resume",
                object="resume/",
                outcome="refused",
                detail={"problem": error.name},
                request_id=caller.request_id,
            )
        return Outcome(file_name=file_name, error=error)
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action="upload-resume",
            object=f"resume/{found.id}",
            detail={"sha256": found.sha256, "new": new, "talent": str(found.talent_id)},
            request_id=caller.request_id,
        )
    return Outcome(file_name=file_name, record=found, new=new)


def download(
    db: Database, engines: EngineClient, caller: Caller, *, resume_id: UUID
) -> tuple[str, FileDownload]:
    """A résumé's file name and its bytes. Raises EngineError."""
    name = engines.resume(caller, resume_id).file_name
    stored = engines.resume_file(caller, resume_id)
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action="download-resume",
            object=f"resume/{resume_id}",
            request_id=caller.request_id,
        )
    return name, stored
