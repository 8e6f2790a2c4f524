"""Uploading résumés: with a script one request a file, so that each has its progress; without it one form."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, render_template, request
from werkzeug.datastructures import FileStorage, Headers

from looma_console.engines import EngineError
from looma_console.resumes import messages, operations
from looma_console.resumes.operations import Outcome
from looma_console.web.caller import caller
from looma_console.web.csrf import notice
from looma_console.web.fragments import render
from looma_console.web.headers import DATA_POLICY
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("resumes", __name__, template_folder="templates")


@blueprint.get("/resumes/upload")
@requires(Permission.PEOPLE_WRITE)
def form() -> str:
    """The page with the drop zone."""
    return render_template("resumes/upload.html", outcomes=[], form_key=operations.new_form_key())


@blueprint.post("/resumes/upload")
@requires(Permission.PEOPLE_WRITE)
def upload() -> Response:
    """Take one or several files; the script gets each file's outcome alone."""
    files = [item for item in request.files.getlist("file") if item.filename]
    # A form without a key is no form of ours; its files then are uploads of their own.
    form_key = request.form.get("form_key") or operations.new_form_key()
    outcomes = [_shown(_upload(item, form_key)) for item in files]
    return render(
        "resumes/upload.html",
        "outcomes",
        outcomes=outcomes,
        nothing=not files,
        form_key=operations.new_form_key(),
    )


@blueprint.get("/resumes/<uuid:resume_id>/file")
@requires(Permission.PEOPLE_READ)
def file(resume_id: UUID) -> Response:
    """The file as it was uploaded, always as a download: an HTML résumé must not open as a page of ours."""
    try:
        name, stored = operations.download(parts().db, parts().engines, caller(), resume_id=resume_id)
    except EngineError as error:
        return notice(messages.explain(error), error.problem.status)
    headers = Headers()
    headers.add("Content-Disposition", "attachment", filename=name)
    if stored.size:
        headers["Content-Length"] = stored.size
    headers["Content-Security-Policy"] = DATA_POLICY
    response = Response(stored.chunks, content_type=stored.media_type, headers=headers)
    response.call_on_close(stored.close)
    return response


def _upload(item: FileStorage, form_key: str) -> Outcome:
    return operations.upload(
        parts().db,
        parts().engines,
        caller(),
        file_name=item.filename or "",
        media_type=item.mimetype or "application/octet-stream",
        file=item.stream,
        form_key=form_key,
    )


def _shown(outcome: Outcome) -> dict[str, object]:
    return {
        "file_name": outcome.file_name,
        "record": outcome.record,
        "new": outcome.new,
        "problem": messages.explain(outcome.error) if outcome.error else None,
    }
