"""Handing files of records to the engine and back, each with its audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from looma_console.db.store import Database, record
from looma_console.engines import Caller, EngineClient, EngineError, FileDownload
from looma_console.exchange.kinds import Files
from looma_console.resumes.operations import key_of
from looma_core.api.exchange import ImportReport, RowCounts


def import_file(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    files: Files,
    *,
    file_name: str,
    file: IO[bytes],
    dry_run: bool,
    form_key: str,
) -> ImportReport:
    """Have a file imported, or only tried. Raises EngineError.

    The same file of one form is imported once, however often it is sent. The audit has the numbers of rows, of what was
    tried nothing, since nothing was kept.
    """
    key = "" if dry_run else key_of(form_key, file_name, file)
    try:
        report = engines.import_records(
            caller, files.api, file_name=file_name, file=file, dry_run=dry_run, key=key
        )
    except EngineError as error:
        if not dry_run:
            _note(db, caller, "import", files, outcome="refused", detail={"problem": error.name})
        raise
    if not dry_run:
        counts = {name: getattr(report.counts, name) for name in RowCounts.__struct_fields__}
        _note(db, caller, "import", files, detail=counts)
    return report


def export_file(
    db: Database, engines: EngineClient, caller: Caller, files: Files, query: Mapping[str, str]
) -> FileDownload:
    """All records that fit as a file, as a stream; the caller closes it. Raises EngineError."""
    found = engines.export_records(caller, files.api, query)
    # What was looked for may be a name.
    detail = {"format": query["format"], "narrowed": sorted(set(query) - {"format"})}
    _note(db, caller, "export", files, detail=detail)
    return found


def _note(
    db: Database,
    caller: Caller,
    verb: str,
    files: Files,
    *,
    detail: dict[str, Any],
    outcome: str = "done",
) -> None:
    with db.transaction() as session:
        record(
            session,
            tenant=db.tenant,
            who=caller.login,
            action=f"{verb}-records",
            object=f"{files.name}/",
            outcome=outcome,
            detail=detail,
            request_id=caller.request_id,
        )
