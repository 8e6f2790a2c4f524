"""Pages about what sync jobs brought: parse, ask, render."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.histories.told import ACTIONS
from looma_console.incoming import forms, messages, operations
from looma_console.incoming.links import page_of
from looma_console.people.messages import explain
from looma_console.web.caller import caller
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("incoming", __name__, template_folder="templates")
PAGE = "20"


@blueprint.get("/incoming/quarantine")
@requires(Permission.PEOPLE_READ)
def quarantine() -> Response:
    """Records that were refused, those that wait unless another state is asked for; htmx gets the next rows alone."""
    state = request.args.get("state", "open")
    state = state if state in messages.STATES or state == "all" else "open"
    entity, cursor = request.args.get("entity", ""), request.args.get("cursor", "")
    page, problem = None, None
    try:
        query = {"state": "" if state == "all" else state, "entity": entity, "cursor": cursor, "limit": PAGE}
        page = parts().engines.quarantine(caller(), query)
    except EngineError as error:
        problem = explain(error)
    return render(
        "incoming/quarantine.html",
        "more" if cursor and page else "results",
        page=page,
        problem=problem,
        state=state,
        entity=entity,
        **_words(),
    )


@blueprint.get("/incoming/quarantine/<uuid:entry_id>")
@requires(Permission.PEOPLE_READ)
def entry(entry_id: UUID) -> Response:
    """One of them, with a form to put it right."""
    return _entry(entry_id)


@blueprint.post("/incoming/quarantine/<uuid:entry_id>/replay")
@requires(Permission.PEOPLE_WRITE)
def replay(entry_id: UUID) -> BaseResponse:
    """Store the record as the form has it."""
    try:
        found = parts().engines.quarantine_entry(caller(), entry_id)
        operations.replay(
            parts().db,
            parts().engines,
            caller(),
            entry_id=entry_id,
            version=request.form.get("version", 0, type=int),
            draft=forms.draft_of(found.entity, request.form),
        )
    except EngineError as error:
        return _entry(entry_id, error, sent=request.form)
    flash(gettext("The record is stored."))
    return _to(url_for("incoming.quarantine"))


@blueprint.post("/incoming/quarantine/<uuid:entry_id>/discard")
@requires(Permission.PEOPLE_WRITE)
def discard(entry_id: UUID) -> BaseResponse:
    """Throw it away."""
    try:
        operations.discard(
            parts().db,
            parts().engines,
            caller(),
            entry_id=entry_id,
            version=request.form.get("version", 0, type=int),
        )
    except EngineError as error:
        return _entry(entry_id, error)
    flash(gettext("Thrown away. The same record, brought again, is not asked about again."))
    return _to(url_for("incoming.quarantine"))


@blueprint.get("/incoming/conflicts")
@requires(Permission.PEOPLE_READ)
def conflicts() -> Response:
    """Fields that the source and people here both changed."""
    resolution = request.args.get("resolution", "open")
    resolution = resolution if resolution in messages.RESOLUTIONS or resolution == "all" else "open"
    return _conflicts(resolution)


@blueprint.post("/incoming/conflicts/<uuid:conflict_id>")
@requires(Permission.PEOPLE_WRITE)
def settle(conflict_id: UUID) -> BaseResponse:
    """Say whose value stands."""
    take = "source" if request.form.get("take") == "source" else "target"
    try:
        operations.settle(parts().db, parts().engines, caller(), conflict_id=conflict_id, take=take)
    except EngineError as error:
        return _conflicts("open", error)
    flash(gettext("Settled."))
    return _to(url_for("incoming.conflicts"))


@blueprint.get("/incoming/writes")
@requires(Permission.PEOPLE_READ)
def writes() -> Response:
    """What was changed here and is written to sources; those that were refused unless another state is asked for."""
    state = request.args.get("state", "refused")
    return _writes(state if state in messages.WRITES or state == "all" else "refused")


@blueprint.post("/incoming/writes/<uuid:write_id>/again")
@requires(Permission.PEOPLE_WRITE)
def write_again(write_id: UUID) -> BaseResponse:
    """Have the next run try what a source refused."""
    try:
        operations.write_again(parts().db, parts().engines, caller(), write_id=write_id)
    except EngineError as error:
        return _writes("refused", error)
    flash(gettext("The next run tries it again."))
    return _to(url_for("incoming.writes"))


@blueprint.get("/incoming/runs")
@requires(Permission.PEOPLE_READ)
def runs() -> Response:
    """Runs, the latest first."""
    cursor = request.args.get("cursor", "")
    page, problem = None, None
    try:
        query = {"cursor": cursor, "limit": PAGE, "job": request.args.get("job", "")[:400]}
        page = parts().engines.sync_runs(caller(), query)
    except EngineError as error:
        problem = explain(error)
    return render(
        "incoming/runs.html",
        "more" if cursor and page else "results",
        page=page,
        problem=problem,
        **_words(),
    )


@blueprint.get("/incoming/runs/<int:number>")
@requires(Permission.PEOPLE_READ)
def run(number: int) -> Response:
    """The report of a run; htmx gets the next rows of what it put right alone."""
    cursor, repairs = request.args.get("cursor", ""), None
    try:
        report = parts().engines.sync_report(caller(), number)
        if report.counts.repaired:
            repairs = parts().engines.sync_repairs(caller(), number, {"cursor": cursor, "limit": PAGE})
    except EngineError as error:
        return render(
            "incoming/missing.html", "main", status=error.problem.status, problem=explain(error), **_words()
        )
    block = "more" if cursor and repairs else "main"
    return render("incoming/run.html", block, report=report, repairs=repairs, **_words())


@blueprint.get("/incoming/runs/<int:number>/report.html")
@requires(Permission.PEOPLE_READ)
def download(number: int) -> Response:
    """The report as a file of its own, which needs nothing else to be read."""
    try:
        report = parts().engines.sync_report(caller(), number)
    except EngineError as error:
        return render(
            "incoming/missing.html", "main", status=error.problem.status, problem=explain(error), **_words()
        )
    answer = make_response(render_template("incoming/report.html", report=report, **_words()))
    name = f"sync-run-{report.job.replace('/', '-')}-{report.epoch}.html"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _words() -> dict[str, Any]:
    return {
        "states": messages.STATES,
        "resolutions": messages.RESOLUTIONS,
        "tones": messages.TONES,
        "entities": messages.ENTITIES,
        "page_of": page_of,
        "count_names": messages.COUNTS,
        "rule_names": messages.RULES,
        "bands": messages.bands,
        "actions": ACTIONS,
        "write_states": messages.WRITES,
        "write_kinds": messages.WRITE_KINDS,
        "write_tones": messages.WRITE_TONES,
    }


def _to(where: str) -> BaseResponse:
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _conflicts(resolution: str, error: EngineError | None = None) -> Response:
    cursor = request.args.get("cursor", "")
    page, problem = None, explain(error) if error else None
    try:
        query = {"resolution": "" if resolution == "all" else resolution, "cursor": cursor, "limit": PAGE}
        page = parts().engines.sync_conflicts(caller(), query)
    except EngineError as broken:
        problem = explain(broken)
    return render(
        "incoming/conflicts.html",
        "more" if cursor and page else "results",
        status=error.problem.status if error else 200,
        page=page,
        problem=problem,
        resolution=resolution,
        **_words(),
    )


def _writes(state: str, error: EngineError | None = None) -> Response:
    entity, cursor = request.args.get("entity", ""), request.args.get("cursor", "")
    page, problem = None, explain(error) if error else None
    try:
        query = {"state": "" if state == "all" else state, "entity": entity, "cursor": cursor, "limit": PAGE}
        page = parts().engines.sync_writes(caller(), query)
    except EngineError as broken:
        problem = explain(broken)
    return render(
        "incoming/writes.html",
        "more" if cursor and page else "results",
        status=error.problem.status if error else 200,
        page=page,
        problem=problem,
        state=state,
        entity=entity,
        **_words(),
    )


def _entry(
    entry_id: UUID, error: EngineError | None = None, *, sent: Mapping[str, str] | None = None
) -> Response:
    """The page of an entry; with what was `sent` in the form instead of what the source had, where it was refused."""
    try:
        found = parts().engines.quarantine_entry(caller(), entry_id)
    except EngineError as gone:
        return render(
            "incoming/missing.html", "main", status=gone.problem.status, problem=explain(gone), **_words()
        )
    wrong = {
        item.field.removeprefix("draft.").split("[")[0].split(".")[0]: item.message
        for item in (error.problem.errors if error else found.errors)
    }
    return render(
        "incoming/entry.html",
        "main",
        status=error.problem.status if error else 200,
        entry=found,
        boxes=forms.boxes(found.entity, found.draft)
        if sent is None
        else forms.sent_boxes(found.entity, sent),
        left_out=forms.left_out(found.entity, found.draft),
        wrong=wrong,
        problem=explain(error) if error else None,
        **_words(),
    )
