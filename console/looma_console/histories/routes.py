"""The page of a record's history: parse, ask the engine, render."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from looma_console.engines import EngineError
from looma_console.histories.told import ACTIONS, ORIGINS, TOLD, TONES, lines
from looma_console.people.messages import explain
from looma_console.web.caller import caller
from looma_console.web.fragments import render
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("histories", __name__, template_folder="templates")
PAGE = 20


@blueprint.get("/<any(people, jobs, companies):name>/<uuid:record_id>/history")
@requires(Permission.PEOPLE_READ)
def history(name: str, record_id: UUID) -> Response:
    """What was done to a record, the newest first, also to a deleted one; htmx gets the next rows alone."""
    told, cursor = TOLD[name], request.args.get("cursor", "")
    page, problem, title, status = None, None, None, 200
    try:
        page = parts().engines.history(caller(), told.api, record_id, cursor=cursor, limit=PAGE)
    except EngineError as error:
        problem, status = explain(error), error.problem.status
    if page is not None:
        # One that was deleted has a history and no name.
        with suppress(EngineError):
            title = parts().engines.record(caller(), told.api, record_id)[told.title]
    where = {"talent_id": record_id} if name == "people" else {"name": name, "record_id": record_id}
    return render(
        "histories/history.html",
        "more" if cursor and page else "main",
        status=status,
        name=name,
        told=told,
        record_id=record_id,
        title=title,
        back=url_for("people.person" if name == "people" else "records.record", **where),
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
