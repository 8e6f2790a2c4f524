"""The page of a record's history, where a deleted one is restored: parse, ask the engine, render."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.histories import operations
from looma_console.histories.told import ACTIONS, ORIGINS, TOLD, TONES, deleted_at, lines
from looma_console.people.messages import explain
from looma_console.resumes.operations import new_form_key
from looma_console.web.caller import caller
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("histories", __name__, template_folder="templates")
PAGE = 20


HERE = "/<any(people, jobs, companies):name>/<uuid:record_id>"


@blueprint.get(f"{HERE}/history")
@requires(Permission.PEOPLE_READ)
def history(name: str, record_id: UUID) -> Response:
    """What was done to a record, the newest first, also to a deleted one; htmx gets the next rows alone."""
    return _history(name, record_id)


@blueprint.post(f"{HERE}/restore")
@requires(Permission.PEOPLE_WRITE)
def restore(name: str, record_id: UUID) -> BaseResponse:
    """Bring a deleted record back, if whoever asks confirmed it."""
    told = TOLD[name]
    if request.form.get("confirmed") != "yes":
        return _history(name, record_id, unconfirmed=True)
    try:
        operations.restore(
            parts().db,
            parts().engines,
            caller(),
            told,
            record_id,
            version=request.form.get("version", 0, type=int),
            key=request.form.get("key", ""),
        )
    except EngineError as error:
        return _history(name, record_id, error)
    flash(gettext("Restored."))
    where = _page_of(name, record_id)
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _page_of(name: str, record_id: UUID) -> str:
    where = {"talent_id": record_id} if name == "people" else {"name": name, "record_id": record_id}
    return url_for("people.person" if name == "people" else "records.record", **where)


def _history(
    name: str, record_id: UUID, refused: EngineError | None = None, *, unconfirmed: bool = False
) -> Response:
    told, cursor = TOLD[name], request.args.get("cursor", "")
    page, problem, title = None, None, None
    status = refused.problem.status if refused else 422 if unconfirmed else 200
    try:
        page = parts().engines.history(caller(), told.api, record_id, cursor=cursor, limit=PAGE)
    except EngineError as error:
        problem, status = explain(error), error.problem.status
    if page is not None:
        # One that was deleted has a history and no name.
        with suppress(EngineError):
            title = parts().engines.record(caller(), told.api, record_id)[told.title]
    return render(
        "histories/history.html",
        "more" if cursor and page else "main",
        status=status,
        name=name,
        told=told,
        record_id=record_id,
        title=title,
        back=_page_of(name, record_id),
        # Only the first page begins with what was done last.
        deleted=deleted_at(page.items) if page and not cursor and title is None else None,
        refused=explain(refused) if refused else None,
        unconfirmed=unconfirmed,
        key=new_form_key(),
        entries=[
            (entry, [line for change in entry.changes for line in lines(told, change)])
            for entry in page.items
        ]
        if page
        else [],
        more=page.next_cursor if page else None,
        problem=problem,
        actions=ACTIONS,
        tones=TONES,
        origins=ORIGINS,
    )
