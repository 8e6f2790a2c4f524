"""The page of a tenant's stages: parse, ask the operations, render."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.pipeline import messages, stage_operations
from looma_console.pipeline.operations import stages_of
from looma_console.web.caller import caller
from looma_console.web.fragments import render
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("stages", __name__, template_folder="templates")
HERE = "/pipeline/stages"


@blueprint.get(HERE)
@requires(Permission.PEOPLE_READ)
def index() -> Response:
    """All stages in their order."""
    return _page()


@blueprint.post(HERE)
@requires(Permission.PEOPLE_WRITE)
def create() -> BaseResponse:
    """Add one."""
    try:
        stage_operations.add(parts().db, parts().engines, caller(), request.form)
    except EngineError as error:
        return _page(error, sent=request.form)
    return _done()


@blueprint.post(f"{HERE}/order")
@requires(Permission.PEOPLE_WRITE)
def order() -> BaseResponse:
    """Move one a place up or down."""
    try:
        stage_operations.order(parts().db, parts().engines, caller(), request.form)
    except EngineError as error:
        return _page(error)
    return _done()


@blueprint.post(f"{HERE}/<uuid:stage_id>/<any(rename, retire):action>")
@requires(Permission.PEOPLE_WRITE)
def change(stage_id: UUID, action: str) -> BaseResponse:
    """Rename one, or use it no more."""
    try:
        stage_operations.change(
            parts().db, parts().engines, caller(), stage_id, action=action, form=request.form
        )
    except EngineError as error:
        return _page(error, sent=request.form, of=f"{action}-{stage_id}")
    return _done()


def _done() -> BaseResponse:
    flash(gettext("Saved."))
    return redirect(url_for("stages.index"), code=303)


def _page(
    error: EngineError | None = None, *, sent: Mapping[str, str] | None = None, of: str = ""
) -> Response:
    """The page; `error` is what came of the form that was `sent`: to add one, or `of` one that is there."""
    try:
        stages = stages_of(parts().engines, caller())
    except EngineError as broken:
        return render("pipeline/missing.html", "main", status=broken.problem.status, problem=explain(broken))
    return render(
        "pipeline/stages.html",
        "main",
        status=error.problem.status if error else 200,
        stages=stages,
        refused=explain(error) if error else None,
        errors={item.field: item.message for item in error.problem.errors} if error else {},
        sent=sent or {},
        of=of,
        kinds=messages.KINDS,
        tones=messages.TONES,
        # The same for each try to send this form: what was sent twice is stored once.
        key_once=(sent or {}).get("key_once") or secrets.token_hex(16),
    )
