"""Handing files to the resume engine and back, each with its audit entry."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import CHUNK, Caller, EngineClient, EngineError, FileDownload
from looma_core.api.resume import ResumeRecord
from looma_core.idempotency import RETRY_AFTER_SECONDS, KeyUnderWay

UNDER_WAY_TRIES = 20
"""With the engine's own wait about a minute: longer than the longest document takes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file: a record, or a problem."""

    file_name: str
    record: ResumeRecord | None = None
    new: bool = False
    error: EngineError | None = None


def upload(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    *,
    file_name: str,
    media_type: str,
    file: IO[bytes],
    form_key: str,
) -> Outcome:
    """Have one file parsed and kept. Never raises EngineError: one bad file must not stop the others.

    The audit names the file's digest, not its name, which often is a person's.
    """
    key = key_of(form_key, file_name, file)
    try:
        found, new = _uploaded(
            lambda: engines.upload(caller, file_name=file_name, media_type=media_type, file=file, key=key)
        )
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


def _uploaded(upload_once: Callable[[], tuple[ResumeRecord, bool]]) -> tuple[ResumeRecord, bool]:
    """The answer to an upload; where a first click's request is under way, the one that it gets."""
    for _ in range(UNDER_WAY_TRIES):
        try:
            return upload_once()
        except EngineError as error:
            if error.name != KeyUnderWay.name:
                raise
            time.sleep(RETRY_AFTER_SECONDS)
    return upload_once()


def key_of(form_key: str, file_name: str, file: IO[bytes]) -> str:
    """The `Idempotency-Key` of one file of one rendered form: a double click, or a form sent again, is one upload.

    A form carries several files and the script sends each alone, so name and content are part of it. Reads the file
    and goes back to its beginning.
    """
    digest = hashlib.sha256(f"{form_key}\n{file_name}\n".encode())
    while part := file.read(CHUNK):
        digest.update(part)
    file.seek(0)
    return digest.hexdigest()


def new_form_key() -> str:
    """What tells one rendered form from the next."""
    return secrets.token_hex(16)


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
