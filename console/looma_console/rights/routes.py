"""Pages about people's rights: parse, ask the operations, render."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.resumes.operations import new_form_key
from looma_console.rights import messages, operations
from looma_console.web.caller import caller
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.headers import DATA_POLICY
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("rights", __name__, template_folder="templates")
PAGE = "20"


@blueprint.get("/people/<uuid:talent_id>/consents")
@requires(Permission.PEOPLE_READ)
def consents(talent_id: UUID) -> Response:
    """All bases of a person, and a form for another one."""
    return _consents(talent_id)


@blueprint.post("/people/<uuid:talent_id>/consents")
@requires(Permission.PEOPLE_WRITE)
def give(talent_id: UUID) -> BaseResponse:
    """Keep a basis."""
    try:
        operations.give(parts().db, parts().engines, caller(), talent_id, request.form)
    except EngineError as error:
        return _consents(talent_id, error, sent=request.form)
    flash(gettext("Saved."))
    return _to(url_for("rights.consents", talent_id=talent_id))


@blueprint.post("/people/<uuid:talent_id>/consents/<uuid:consent_id>/withdraw")
@requires(Permission.PEOPLE_WRITE)
def withdraw(talent_id: UUID, consent_id: UUID) -> BaseResponse:
    """End a basis."""
    try:
        operations.withdraw(parts().db, parts().engines, caller(), talent_id, consent_id)
    except EngineError as error:
        return _consents(talent_id, error)
    flash(gettext("The consent is withdrawn."))
    return _to(url_for("rights.consents", talent_id=talent_id))


@blueprint.get("/people/<uuid:talent_id>/rights")
@requires(Permission.PEOPLE_RIGHTS)
def person(talent_id: UUID) -> Response:
    """What an officer can do for one person: export all that is held, or erase it."""
    return _person(talent_id)


@blueprint.get("/people/<uuid:talent_id>/rights/export")
@requires(Permission.PEOPLE_RIGHTS)
def export(talent_id: UUID) -> Response:
    """All that is held, as a file."""
    form = request.args.get("format", "")
    form = form if form in ("html", "zip") else "json"
    try:
        download = parts().engines.export_person(caller(), talent_id, form)
    except EngineError as error:
        return _person(talent_id, error)
    headers = Headers(
        {
            "Content-Type": download.media_type,
            "Content-Disposition": f'attachment; filename="person-{talent_id}.{form}"',
            "Content-Security-Policy": DATA_POLICY,
            "Cache-Control": "no-store",
        }
    )
    answer = Response(download.chunks, headers=headers)
    answer.call_on_close(download.close)
    return answer


@blueprint.post("/people/<uuid:talent_id>/rights/erase")
@requires(Permission.PEOPLE_RIGHTS)
def erase(talent_id: UUID) -> BaseResponse:
    """Erase a person, if whoever asks wrote who it is."""
    name = operations.name_of(parts().engines, caller(), talent_id)
    if not operations.is_confirmed(request.form.get("confirmed", ""), talent_id=talent_id, name=name):
        return _person(talent_id, unconfirmed=True)
    try:
        done = operations.erase(parts().db, parts().engines, caller(), talent_id, request.form)
    except EngineError as error:
        return _person(talent_id, error)
    flash(gettext("The person is erased. This is the proof."))
    return _to(url_for("rights.erasure", erasure_id=done.id))


@blueprint.get("/privacy")
@requires(Permission.PEOPLE_RIGHTS)
def erasures() -> Response:
    """The ledger, the latest first."""
    cursor = request.args.get("cursor", "")
    page, problem = None, None
    try:
        page = parts().engines.erasures(caller(), {"cursor": cursor, "limit": PAGE})
    except EngineError as error:
        problem = explain(error)
    block = "more" if cursor and page else "results"
    return render("rights/erasures.html", block, page=page, problem=problem, **_words())


@blueprint.get("/privacy/person")
@requires(Permission.PEOPLE_RIGHTS)
def find() -> BaseResponse:
    """The page of the person with this id; whoever administers needs no list of people for that."""
    try:
        talent_id = UUID(request.args.get("id", "").strip())
    except ValueError:
        flash(gettext("That is no id. It is at the end of the address of the person's page."), "problem")
        return _to(url_for("rights.erasures"))
    return _to(url_for("rights.person", talent_id=talent_id))


@blueprint.get("/privacy/erasures/<uuid:erasure_id>")
@requires(Permission.PEOPLE_RIGHTS)
def erasure(erasure_id: UUID) -> Response:
    """One erasure with its proof, and how it is lifted."""
    return _erasure(erasure_id)


@blueprint.post("/privacy/erasures/<uuid:erasure_id>/lift")
@requires(Permission.PEOPLE_RIGHTS)
def lift(erasure_id: UUID) -> BaseResponse:
    """Let syncs bring the person in again, if whoever asks said that there is a new basis."""
    if request.form.get("confirmed") != "yes":
        return _erasure(erasure_id, unconfirmed=True)
    try:
        operations.lift(
            parts().db,
            parts().engines,
            caller(),
            erasure_id,
            form=request.form,
            purposes=request.form.getlist("purposes"),
        )
    except EngineError as error:
        return _erasure(erasure_id, error)
    flash(gettext("The erasure is lifted: syncs may bring the person in again."))
    return _to(url_for("rights.erasure", erasure_id=erasure_id))


@blueprint.get("/privacy/audit")
@requires(Permission.PEOPLE_RIGHTS)
def audit() -> Response:
    """What was done with people's data, the latest first."""
    cursor, action = request.args.get("cursor", ""), request.args.get("action", "")
    action = action if action in messages.ACTIONS else ""
    page, problem = None, None
    try:
        page = parts().engines.audit_events(caller(), {"cursor": cursor, "action": action, "limit": PAGE})
    except EngineError as error:
        problem = explain(error)
    block = "more" if cursor and page else "results"
    return render("rights/audit.html", block, page=page, problem=problem, action=action, **_words())


def _consents(
    talent_id: UUID, error: EngineError | None = None, *, sent: Mapping[str, str] | None = None
) -> Response:
    try:
        found = parts().engines.consents(caller(), talent_id)
    except EngineError as gone:
        return _missing(gone)
    return render(
        "rights/consents.html",
        "main",
        status=error.problem.status if error else 200,
        talent_id=talent_id,
        name=operations.name_of(parts().engines, caller(), talent_id),
        consents=found,
        sent=sent or {},
        key=new_form_key(),
        problem=explain(error) if error else None,
        wrong={item.field: item.message for item in error.problem.errors} if error else {},
        **_words(),
    )


def _person(talent_id: UUID, error: EngineError | None = None, *, unconfirmed: bool = False) -> Response:
    return render(
        "rights/person.html",
        "main",
        status=error.problem.status if error else 422 if unconfirmed else 200,
        talent_id=talent_id,
        name=operations.name_of(parts().engines, caller(), talent_id),
        key=new_form_key(),
        sent=request.form,
        unconfirmed=unconfirmed,
        problem=explain(error) if error else None,
        **_words(),
    )


def _erasure(erasure_id: UUID, error: EngineError | None = None, *, unconfirmed: bool = False) -> Response:
    try:
        found = parts().engines.erasure(caller(), erasure_id)
    except EngineError as gone:
        return _missing(gone)
    return render(
        "rights/erasure.html",
        "main",
        status=error.problem.status if error else 422 if unconfirmed else 200,
        erasure=found,
        key=new_form_key(),
        sent=request.form,
        unconfirmed=unconfirmed,
        problem=explain(error) if error else None,
        wrong={item.field: item.message for item in error.problem.errors} if error else {},
        **_words(),
    )


def _missing(error: EngineError) -> Response:
    return render("rights/missing.html", "main", status=error.problem.status, problem=explain(error))


def _to(where: str) -> BaseResponse:
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _words() -> dict[str, Any]:
    return {
        "purposes": messages.PURPOSES,
        "bases": messages.BASES,
        "consent_sources": messages.SOURCES,
        "standings": messages.STANDINGS,
        "tones": messages.TONES,
        "reasons": messages.REASONS,
        "asked": messages.ASKED,
        "kinds": messages.KINDS,
        "actions": messages.ACTIONS,
    }
