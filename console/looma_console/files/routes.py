"""The section about a person's files: parse, ask the operations, render.

htmx gets the section alone and puts it where it was; everybody else gets a page with it.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext
from werkzeug.datastructures import Headers

from looma_console.engines import EngineError
from looma_console.files import calls, messages, operations
from looma_console.files.operations import Read
from looma_console.people.messages import explain
from looma_console.resumes.operations import new_form_key
from looma_console.web.caller import caller
from looma_console.web.csrf import notice
from looma_console.web.fragments import render
from looma_console.web.headers import DATA_POLICY
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("files", __name__, template_folder="templates")
HERE = "/people/<uuid:talent_id>/files"


@blueprint.get(HERE)
@requires(Permission.PEOPLE_READ)
def index(talent_id: UUID) -> Response:
    """The section."""
    return _section(talent_id)


@blueprint.post(HERE)
@requires(Permission.PEOPLE_WRITE)
def upload(talent_id: UUID) -> Response:
    """Keep a file, and show what it says."""
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        return _section(talent_id, refused=gettext("No file was chosen."), status=422)
    try:
        read = operations.keep_and_read(
            parts().db,
            parts().engines,
            caller(),
            talent_id,
            file_name=sent.filename,
            file=sent.stream,
            form_key=request.form.get("form_key") or new_form_key(),
        )
    except EngineError as error:
        return _section(talent_id, refused=messages.why_not_kept(error), status=error.problem.status)
    return _section(talent_id, read=read, done=gettext("The file is kept."))


@blueprint.post(f"{HERE}/<uuid:file_id>/read")
@requires(Permission.PEOPLE_WRITE)
def read(talent_id: UUID, file_id: UUID) -> Response:
    """Show what a file says that is kept already."""
    try:
        found = operations.read_again(parts().engines, caller(), file_id)
    except EngineError as error:
        return _section(talent_id, problem=explain(error), status=error.problem.status)
    return _section(talent_id, read=found)


@blueprint.post(f"{HERE}/<uuid:file_id>/delete")
@requires(Permission.PEOPLE_WRITE)
def delete(talent_id: UUID, file_id: UUID) -> Response:
    """Delete one, if nobody changed it since it was shown."""
    version = request.form.get("version", 0, type=int)
    try:
        operations.delete(parts().db, parts().engines, caller(), file_id, version=version)
    except EngineError as error:
        return _section(talent_id, problem=explain(error), status=error.problem.status)
    return _section(talent_id, done=gettext("Deleted."))


@blueprint.get(f"{HERE}/<uuid:file_id>")
@requires(Permission.PEOPLE_READ)
def file(talent_id: UUID, file_id: UUID) -> Response:
    """The file as it came, always as a download: an HTML résumé must not open as a page of ours."""
    del talent_id
    try:
        kept, stored = operations.download(parts().db, parts().engines, caller(), file_id)
    except EngineError as error:
        return notice(explain(error), error.problem.status)
    headers = Headers()
    headers.add("Content-Disposition", "attachment", filename=kept.file_name)
    if stored.size:
        headers["Content-Length"] = stored.size
    headers["Content-Security-Policy"] = DATA_POLICY
    response = Response(stored.chunks, content_type=stored.media_type, headers=headers)
    response.call_on_close(stored.close)
    return response


def _section(
    talent_id: UUID,
    *,
    read: Read | None = None,
    done: str = "",
    problem: str = "",
    refused: str = "",
    status: int = 200,
) -> Response:
    """The section; `read` is what came of reading a file, `refused` why one is not kept."""
    talent, files, differs = None, [], []
    try:
        talent = parts().engines.talent(caller(), talent_id)
        files = calls.files_of(parts().engines, caller(), talent_id)
        if read and read.found:
            differs = operations.differences(talent, read.found)
    except EngineError as error:
        problem = problem or explain(error)
        status = error.problem.status if status == 200 else status
    return render(
        "files/page.html",
        "section",
        status=status,
        talent_id=talent_id,
        talent=talent,
        files=files,
        read=read,
        differs=differs,
        unread=messages.why_not_read(read.problem) if read and read.problem else None,
        done=done,
        problem=problem,
        refused=refused,
        form_key=new_form_key(),
        states=messages.STATES,
        tones=messages.TONES,
        fields=messages.FIELDS,
        reason=messages.reason,
    )
