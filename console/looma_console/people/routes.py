"""Pages about people: parse, ask the operations, render."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people import messages, operations
from looma_console.relations.routes import section_of
from looma_console.web.caller import caller
from looma_console.web.counts import told
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("people", __name__, template_folder="templates")
PAGE = 20


@blueprint.get("/people")
@requires(Permission.PEOPLE_READ)
def index() -> Response:
    """The list, searched and paged; htmx gets the results alone, or the next rows alone."""
    q = request.args.get("q", "").strip()[:200]
    source = request.args.get("source", "")
    cursor = request.args.get("cursor", "")
    if source not in messages.SOURCES:
        source = ""
    page, problem = None, None
    try:
        page = parts().engines.talents(caller(), q=q, source=source, cursor=cursor, limit=PAGE)
    except EngineError as error:
        problem = messages.explain(error)
    return render(
        "people/index.html",
        "more" if cursor and page else "results",
        page=page,
        problem=problem,
        q=q,
        source=source,
        sources=messages.SOURCES,
        language_names=messages.LANGUAGES,
    )


@blueprint.get("/people/count")
@requires(Permission.PEOPLE_READ)
def count() -> Response:
    """How many the list has, for below its head."""
    source = request.args.get("source", "")
    query = {
        "q": request.args.get("q", "").strip()[:200],
        "source": source if source in messages.SOURCES else "",
    }
    return told(lambda: parts().engines.count(caller(), "talents", query))


@blueprint.get("/people/<uuid:talent_id>")
@requires(Permission.PEOPLE_READ)
def person(talent_id: UUID) -> Response:
    """One person beside the original text."""
    return _person(talent_id)


@blueprint.post("/people/<uuid:talent_id>")
@requires(Permission.PEOPLE_WRITE)
def change(talent_id: UUID) -> BaseResponse:
    """Change the basic fields."""
    try:
        operations.change_person(
            parts().db,
            parts().engines,
            caller(),
            talent_id=talent_id,
            version=request.form.get("version", 0, type=int),
            form=request.form,
        )
    except EngineError as error:
        return _person(talent_id, problem=error)
    flash(gettext("Saved."))
    where = url_for("people.person", talent_id=talent_id)
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _person(talent_id: UUID, problem: EngineError | None = None) -> Response:
    try:
        view = operations.view_person(
            parts().engines, caller(), talent_id, resume_id=request.args.get("resume", type=UUID)
        )
    except EngineError as error:
        return render(
            "people/missing.html",
            "main",
            status=error.problem.status,
            problem=messages.explain(error),
            record_id=talent_id if error.problem.status == 404 else None,
        )
    return render(
        "people/person.html",
        "main",
        status=problem.problem.status if problem else 200,
        view=view,
        form=request.form if problem else None,
        problem=messages.explain(problem) if problem else None,
        errors={item.field: item.message for item in problem.problem.errors} if problem else {},
        resume_problem=messages.explain(view.resume_error) if view.resume_error else None,
        rule_names=messages.QUALITY,
        kind_names=messages.KINDS,
        label_names=messages.LABELS,
        source_names=messages.SOURCES,
        language_names=messages.LANGUAGES,
        **section_of("people", talent_id),
    )
