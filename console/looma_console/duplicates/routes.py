"""Pages about people who may be there twice: parse, ask, render."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.duplicates import messages, operations
from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.web.caller import caller
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("duplicates", __name__, template_folder="templates")
PAGE = "20"


@blueprint.get("/people/duplicates")
@requires(Permission.PEOPLE_READ)
def index() -> Response:
    """Pairs, those that wait unless another status is asked for; htmx gets the next rows alone."""
    status = request.args.get("status", "open")
    status = status if status in messages.STATUSES or status == "all" else "open"
    verdict, cursor = request.args.get("verdict", ""), request.args.get("cursor", "")
    verdict = verdict if verdict in messages.VERDICTS else ""
    page, problem = None, None
    try:
        query = {
            "status": "" if status == "all" else status,
            "verdict": verdict,
            "cursor": cursor,
            "limit": PAGE,
        }
        page = parts().engines.duplicates(caller(), query)
    except EngineError as error:
        problem = explain(error)
    return render(
        "duplicates/list.html",
        "more" if cursor and page else "results",
        page=page,
        problem=problem,
        chosen=status,
        verdict=verdict,
        **_words(),
    )


@blueprint.post("/people/<uuid:talent_id>/duplicates")
@requires(Permission.PEOPLE_WRITE)
def look(talent_id: UUID) -> BaseResponse:
    """Look for one person's at once, and go to what was found."""
    try:
        found = parts().engines.look_for_duplicates(caller(), talent_id).items
    except EngineError as error:
        return _missing(error)
    waiting = [item for item in found if item.status == "open" and item.verdict != "unlikely"]
    if not waiting:
        flash(gettext("Nobody else looks like this person."))
        return _to(url_for("people.person", talent_id=talent_id))
    if len(waiting) == 1:
        return _to(url_for("duplicates.pair", pair_id=waiting[0].id))
    return _to(url_for("duplicates.index"))


@blueprint.get("/people/duplicates/<uuid:pair_id>")
@requires(Permission.PEOPLE_READ)
def pair(pair_id: UUID) -> Response:
    """Both side by side, with the reasons, and a choice for each field."""
    return _pair(pair_id)


@blueprint.post("/people/duplicates/<uuid:pair_id>/merge")
@requires(Permission.PEOPLE_WRITE)
def merge(pair_id: UUID) -> BaseResponse:
    """Make one of two."""
    try:
        operations.merge(parts().db, parts().engines, caller(), pair_id=pair_id, form=request.form)
    except EngineError as error:
        return _pair(pair_id, error)
    flash(gettext("They are one person now. It can be undone here."))
    return _to(url_for("duplicates.pair", pair_id=pair_id))


@blueprint.post("/people/duplicates/<uuid:pair_id>/dismiss")
@requires(Permission.PEOPLE_WRITE)
def dismiss(pair_id: UUID) -> BaseResponse:
    """Say that they are two."""
    try:
        operations.dismiss(parts().db, parts().engines, caller(), pair_id=pair_id)
    except EngineError as error:
        return _pair(pair_id, error)
    flash(gettext("They stay two people. It is asked again where one of them changes."))
    return _to(url_for("duplicates.index"))


@blueprint.post("/people/duplicates/<uuid:pair_id>/undo/<uuid:merge_id>")
@requires(Permission.PEOPLE_WRITE)
def undo(pair_id: UUID, merge_id: UUID) -> BaseResponse:
    """Make two of one again."""
    force = request.form.get("force") == "yes"
    try:
        operations.undo(parts().db, parts().engines, caller(), merge_id=merge_id, force=force)
    except EngineError as error:
        return _pair(pair_id, error)
    flash(gettext("They are two people again."))
    return _to(url_for("duplicates.pair", pair_id=pair_id))


def _words() -> dict[str, Any]:
    return {
        "verdicts": messages.VERDICTS,
        "statuses": messages.STATUSES,
        "tones": messages.TONES,
        "reason_names": messages.REASONS,
        "field_names": messages.FIELDS,
        "lists": messages.LISTS,
        "fates": messages.FATES,
    }


def _to(where: str) -> BaseResponse:
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _missing(error: EngineError) -> Response:
    return render(
        "duplicates/missing.html", "main", status=error.problem.status, problem=explain(error), **_words()
    )


def _pair(pair_id: UUID, error: EngineError | None = None) -> Response:
    try:
        found = parts().engines.duplicate(caller(), pair_id)
        merged = parts().engines.merge(caller(), found.merge_id) if found.merge_id else None
    except EngineError as gone:
        return _missing(gone)
    return render(
        "duplicates/pair.html",
        "main",
        status=error.problem.status if error else 200,
        pair=found,
        merged=merged,
        problem=explain(error) if error else None,
        wrong=[(item.field.removeprefix("fields."), item.message) for item in error.problem.errors]
        if error
        else [],
        **_words(),
    )
