"""Pages about files of records: parse, ask the operations, render."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from werkzeug.datastructures import FileStorage, Headers

from looma_console.engines import EngineError
from looma_console.exchange import operations
from looma_console.exchange.kinds import FILES, STATUSES, TONES, Files
from looma_console.people.messages import explain
from looma_console.resumes.operations import new_form_key
from looma_console.web.caller import caller
from looma_console.web.csrf import notice
from looma_console.web.fragments import render
from looma_console.web.headers import DATA_POLICY
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires
from looma_core.api.exchange import ImportReport, RowResult

blueprint = Blueprint("exchange", __name__, template_folder="templates")
HERE = "/<any(people, jobs, companies):name>"
FORMATS = {"csv": "csv", "jsonl": "jsonl"}
SHOWN = 500
"""Rows of a file that a page lists; more than a person reads."""


@blueprint.get(f"{HERE}/import")
@requires(Permission.PEOPLE_WRITE)
def form(name: str) -> Response:
    """The page with the drop zone."""
    return _page(FILES[name])


@blueprint.post(f"{HERE}/import")
@requires(Permission.PEOPLE_WRITE)
def import_file(name: str) -> Response:
    """Try a file, or import it; htmx gets what became of its rows alone."""
    files = FILES[name]
    file = request.files.get("file")
    if file is None or not file.filename:
        return _page(files, nothing=True)
    try:
        return _page(files, report=_imported(files, file), file_name=file.filename)
    except EngineError as error:
        return _page(files, error=error, file_name=file.filename)


@blueprint.get(f"{HERE}/export")
@requires(Permission.PEOPLE_READ)
def export(name: str) -> Response:
    """A file of all that the list has with the same search and filters."""
    files = FILES[name]
    query = {field: request.args[field] for field in ("q", *files.filters) if request.args.get(field)}
    query["format"] = FORMATS.get(request.args.get("format", ""), "csv")
    try:
        found = operations.export_file(parts().db, parts().engines, caller(), files, query)
    except EngineError as error:
        return notice(explain(error), error.problem.status)
    headers = Headers()
    called = f"{name}-{datetime.now(UTC).date().isoformat()}.{query['format']}"
    headers.add("Content-Disposition", "attachment", filename=called)
    headers["Content-Security-Policy"] = DATA_POLICY
    response = Response(found.chunks, content_type=found.media_type, headers=headers)
    response.call_on_close(found.close)
    return response


def _imported(files: Files, file: FileStorage) -> ImportReport:
    return operations.import_file(
        parts().db,
        parts().engines,
        caller(),
        files,
        file_name=file.filename or "",
        file=file.stream,
        # Kept is only what a person said to keep: a script that goes wrong changes nothing.
        dry_run=request.form.get("keep") != "yes",
        # A form without a key is no form of ours; each time that it is sent it is another import.
        form_key=request.form.get("form_key") or new_form_key(),
    )


def _page(
    files: Files,
    *,
    report: ImportReport | None = None,
    error: EngineError | None = None,
    file_name: str = "",
    nothing: bool = False,
) -> Response:
    return render(
        "exchange/import.html",
        "outcome",
        files=files,
        back=url_for("people.index") if files.name == "people" else url_for("records.index", name=files.name),
        report=report,
        counts=_counts(report),
        shown=_shown(report),
        link=partial(_link, files),
        file_name=file_name,
        nothing=nothing,
        problem=explain(error) if error else None,
        errors=error.problem.errors if error else [],
        statuses=STATUSES,
        tones=TONES,
        form_key=new_form_key(),
    )


def _link(files: Files, record_id: UUID) -> str:
    if files.name == "people":
        return url_for("people.person", talent_id=record_id)
    return url_for("records.record", name=files.name, record_id=record_id)


def _shown(report: ImportReport | None) -> list[RowResult]:
    """The rows that the page lists: what was refused before the rest, each in the order of the file."""
    rows = report.rows if report else []
    return sorted(rows, key=lambda row: row.status != "refused")[:SHOWN]


def _counts(report: ImportReport | None) -> dict[str, int]:
    """How many rows ended in each way, where any did."""
    if report is None:
        return {}
    found = {status: getattr(report.counts, status) for status in STATUSES}
    return {status: count for status, count in found.items() if count}
