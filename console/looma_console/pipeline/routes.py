"""Pages about applications: parse, ask the operations, render.

htmx gets the board alone and puts it where it was; everybody else gets the page, and goes back to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.pipeline import boards, messages, operations
from looma_console.web.caller import caller
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.language import page_language
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("pipeline", __name__, template_folder="templates")
BOARD = "/jobs/<uuid:job_id>/pipeline"
ONE = "/applications/<uuid:application_id>"


@blueprint.get(BOARD)
@requires(Permission.PEOPLE_READ)
def board(job_id: UUID) -> Response:
    """The board of a job; the address may look for people to add."""
    return _board(job_id)


@blueprint.post(BOARD)
@requires(Permission.PEOPLE_WRITE)
def apply(job_id: UUID) -> BaseResponse:
    """Let somebody apply."""
    try:
        operations.apply(parts().db, parts().engines, caller(), job_id, request.form)
    except EngineError as error:
        return _board(job_id, error=error, sent=request.form)
    return _done(job_id, gettext("Added."))


@blueprint.post(f"{BOARD}/<uuid:application_id>")
@requires(Permission.PEOPLE_WRITE)
def move(job_id: UUID, application_id: UUID) -> BaseResponse:
    """Move one application on the board."""
    try:
        operations.move(parts().db, parts().engines, caller(), application_id, request.form)
    except EngineError as error:
        return _board(job_id, error=error, sent=request.form, of=application_id)
    return _done(job_id, gettext("Moved."))


@blueprint.get(ONE)
@requires(Permission.PEOPLE_READ)
def application(application_id: UUID) -> Response:
    """One application with its history, the newest first; htmx gets the next rows alone."""
    return _application(application_id)


@blueprint.post(ONE)
@requires(Permission.PEOPLE_WRITE)
def move_here(application_id: UUID) -> BaseResponse:
    """Move it, from its own page."""
    try:
        operations.move(parts().db, parts().engines, caller(), application_id, request.form)
    except EngineError as error:
        return _application(application_id, error=error, sent=request.form)
    flash(gettext("Moved."))
    where = url_for("pipeline.application", application_id=application_id)
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


@blueprint.get("/people/<uuid:talent_id>/applications")
@requires(Permission.PEOPLE_READ)
def of_person(talent_id: UUID) -> Response:
    """The applications of a person."""
    page, problem, name, status = None, None, None, 200
    try:
        page = operations.of_person(parts().engines, caller(), talent_id)
    except EngineError as error:
        problem, status = explain(error), error.problem.status
    with suppress(EngineError):
        name = parts().engines.talent(caller(), talent_id).full_name
    names: dict[str, str] = {}
    with suppress(EngineError):
        names = _stage_names()
    return render(
        "pipeline/person.html",
        "main",
        status=status,
        talent_id=talent_id,
        name=name,
        page=page,
        problem=problem,
        stage_names=names,
        **_words(),
    )


def _words() -> dict[str, Any]:
    return {"kinds": messages.KINDS, "tones": messages.TONES, "actions": messages.ACTIONS}


def _stage_names() -> dict[str, str]:
    language = page_language()
    return {
        stage.key: boards.called(stage, language) for stage in operations.stages_of(parts().engines, caller())
    }


def _done(job_id: UUID, said: str) -> BaseResponse:
    if wants_fragment():
        return _board(job_id, done=said)
    flash(said)
    return redirect(url_for("pipeline.board", job_id=job_id), code=303)


def _told(error: EngineError | None) -> dict[str, Any]:
    return {
        "refused": explain(error) if error else None,
        "errors": {item.field: item.message for item in error.problem.errors} if error else {},
    }


def _board(
    job_id: UUID,
    *,
    error: EngineError | None = None,
    sent: Mapping[str, str] | None = None,
    of: UUID | None = None,
    done: str = "",
) -> Response:
    """The board; `error` is what came of the form that was `sent`: to add somebody, or to move that `of` an id."""
    q = (request.args.get("q") or (sent or {}).get("q", "")).strip()[:200]
    try:
        found = operations.board_of(parts().engines, caller(), job_id, language=page_language(), q=q)
    except EngineError as broken:
        return render("pipeline/missing.html", "main", status=broken.problem.status, problem=explain(broken))
    return render(
        "pipeline/board.html",
        "board",
        status=error.problem.status if error else 200,
        view=found,
        goals=boards.goals,
        called=boards.called,
        language=page_language(),
        q=q,
        sent=sent or {},
        of=str(of) if of else None,
        done=done,
        # The same for each try to send this form: what was sent twice is stored once.
        key=(sent or {}).get("key") or secrets.token_hex(16),
        **_told(error),
        **_words(),
    )


def _application(
    application_id: UUID,
    *,
    error: EngineError | None = None,
    sent: Mapping[str, str] | None = None,
) -> Response:
    cursor = request.args.get("cursor", "")
    try:
        found = operations.application(parts().engines, caller(), application_id)
        stages = operations.stages_of(parts().engines, caller())
        moves = operations.moves_of(parts().engines, caller(), application_id, cursor=cursor)
    except EngineError as broken:
        return render("pipeline/missing.html", "main", status=broken.problem.status, problem=explain(broken))
    language = page_language()
    return render(
        "pipeline/application.html",
        "more" if cursor else "main",
        status=error.problem.status if error else 200,
        application=found,
        moves=moves.items,
        more=moves.next_cursor,
        stages=boards.goals(stages, found),
        called=boards.called,
        stage_names={stage.key: boards.called(stage, language) for stage in stages},
        language=language,
        sent=sent or {},
        **_told(error),
        **_words(),
    )
