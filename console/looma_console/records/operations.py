"""The work behind the pages about jobs and companies: asking the engine, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError
from looma_console.records.forms import Document, field_names, new_document, patch_of, with_times
from looma_console.records.kinds import COMPANIES, JOBS, Kind
from looma_core.api.quality import Assessment

SOME_JOBS = 20


@dataclass(frozen=True, kw_only=True)
class RecordView:
    """A record, its quality, and what belongs to it: a job's company, a company's jobs."""

    document: Document
    quality: Assessment | None
    company: Document | None
    jobs: list[Document]


def view_record(engines: EngineClient, caller: Caller, kind: Kind, record_id: UUID) -> RecordView:
    """A record with all that its page shows.

    What belongs to it may be away, or gone. Raises EngineError if the record itself is not there.
    """
    document = with_times(engines.record(caller, kind.name, record_id))
    quality: Assessment | None = None
    company: Document | None = None
    jobs: list[Document] = []
    with suppress(EngineError):
        quality = engines.quality(caller, record_id, kind=kind.name)
    with suppress(EngineError):
        if kind is JOBS and document.get("company_id"):
            company = engines.record(caller, COMPANIES.name, UUID(str(document["company_id"])))
    with suppress(EngineError):
        if kind is COMPANIES:
            query = {"company_id": str(record_id), "limit": str(SOME_JOBS)}
            jobs = engines.records(caller, JOBS.name, query).items
    return RecordView(document=document, quality=quality, company=company, jobs=jobs)


def create_record(
    db: Database, engines: EngineClient, caller: Caller, kind: Kind, *, form: Mapping[str, str], key: str
) -> Document:
    """Make the record that a form means; the same form with the same `key` makes one. Raises EngineError."""
    made = engines.create_record(caller, kind.name, new_document(kind, form), key=key)
    _note(db, caller, "create", kind, record_id=made["id"], detail={"version": made["version"]})
    return made


def change_record(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    kind: Kind,
    *,
    record_id: UUID,
    version: int,
    form: Mapping[str, str],
) -> Document:
    """Change what the form says, if the record is still at `version`.

    The audit names the fields, not their values. Raises EngineError; with 412 if it was changed in the meantime.
    """
    before = engines.record(caller, kind.name, record_id)
    patch = patch_of(kind, before, form)
    if not patch:
        return before
    after = engines.change_record(caller, kind.name, record_id, version=version, patch=patch)
    detail = {"fields": field_names(patch), "version": after["version"]}
    _note(db, caller, "change", kind, record_id=record_id, detail=detail)
    return after


def delete_record(
    db: Database, engines: EngineClient, caller: Caller, kind: Kind, *, record_id: UUID, version: int
) -> None:
    """Delete a record, if it is still at `version`. Raises EngineError."""
    engines.delete_record(caller, kind.name, record_id, version=version)
    _note(db, caller, "delete", kind, record_id=record_id, detail={"version": version})


def _note(
    db: Database, caller: Caller, verb: str, kind: Kind, *, record_id: UUID | str, detail: dict[str, Any]
) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=f"{verb}-{kind.record}",
            object=f"{kind.record}/{record_id}",
            detail=detail,
            request_id=caller.request_id,
        )
