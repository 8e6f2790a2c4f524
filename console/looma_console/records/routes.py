"""Pages about jobs and companies: parse, ask the operations, render."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import get_locale, gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.records import forms, operations
from looma_console.records.kinds import KINDS, QUALITY, STATUS_TONES, Kind
from looma_console.relations.routes import section_of
from looma_console.web.caller import caller
from looma_console.web.counts import told
from looma_console.web.fragments import render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires
from looma_core.api.page import Page

blueprint = Blueprint("records", __name__, template_folder="templates")
PAGE = 20
HERE = "/<any(jobs, companies):name>"


@blueprint.get(HERE)
@requires(Permission.PEOPLE_READ)
def index(name: str) -> Response:
    """The list, searched, filtered and paged; htmx gets the results alone, or the next rows alone."""
    kind = KINDS[name]
    q, cursor = request.args.get("q", "").strip()[:200], request.args.get("cursor", "")
    chosen = {field: request.args.get(field, "") for field in kind.filters}
    chosen = {field: value for field, value in chosen.items() if value in kind.field(field).choices}
    page, problem = None, None
    try:
        query = {"q": q, "cursor": cursor, "limit": str(PAGE), **chosen}
        found = parts().engines.records(caller(), name, query)
        page = Page(items=[forms.with_times(item) for item in found.items], next_cursor=found.next_cursor)
    except EngineError as error:
        problem = explain(error)
    return render(
        "records/index.html",
        "more" if cursor and page else "results",
        kind=kind,
        page=page,
        problem=problem,
        q=q,
        chosen=chosen,
        tones=STATUS_TONES,
    )


@blueprint.get(f"{HERE}/count")
@requires(Permission.PEOPLE_READ)
def count(name: str) -> Response:
    """How many the list has, for below its head."""
    kind = KINDS[name]
    chosen = {field: request.args.get(field, "") for field in kind.filters}
    chosen = {field: value for field, value in chosen.items() if value in kind.field(field).choices}
    query = {"q": request.args.get("q", "").strip()[:200], **chosen}
    return told(lambda: parts().engines.count(caller(), name, query))


@blueprint.get(f"{HERE}/new")
@requires(Permission.PEOPLE_WRITE)
def new(name: str) -> Response:
    """An empty form in the page's language; the address may fill fields in."""
    kind = KINDS[name]
    given = {field.name: request.args[field.name] for field in kind.fields if field.name in request.args}
    locale = get_locale()
    return _form(kind, {"language": "zh" if locale and locale.language == "zh" else "en"} | given)


@blueprint.post(HERE)
@requires(Permission.PEOPLE_WRITE)
def create(name: str) -> BaseResponse:
    """Make one."""
    kind = KINDS[name]
    try:
        made = operations.create_record(
            parts().db, parts().engines, caller(), kind, form=request.form, key=request.form.get("key", "")
        )
    except EngineError as error:
        return _form(kind, request.form, error)
    flash(gettext("Saved."))
    return _to(url_for("records.record", name=name, record_id=made["id"]))


@blueprint.get(f"{HERE}/<uuid:record_id>")
@requires(Permission.PEOPLE_READ)
def record(name: str, record_id: UUID) -> Response:
    """One of them."""
    return _record(KINDS[name], record_id)


@blueprint.post(f"{HERE}/<uuid:record_id>")
@requires(Permission.PEOPLE_WRITE)
def change(name: str, record_id: UUID) -> BaseResponse:
    """Change what the form says."""
    kind = KINDS[name]
    try:
        operations.change_record(
            parts().db,
            parts().engines,
            caller(),
            kind,
            record_id=record_id,
            version=request.form.get("version", 0, type=int),
            form=request.form,
        )
    except EngineError as error:
        return _record(kind, record_id, error, sent=request.form)
    flash(gettext("Saved."))
    return _to(url_for("records.record", name=name, record_id=record_id))


@blueprint.post(f"{HERE}/<uuid:record_id>/delete")
@requires(Permission.PEOPLE_WRITE)
def delete(name: str, record_id: UUID) -> BaseResponse:
    """Delete one, if nobody changed it since it was shown."""
    kind = KINDS[name]
    try:
        operations.delete_record(
            parts().db,
            parts().engines,
            caller(),
            kind,
            record_id=record_id,
            version=request.form.get("version", 0, type=int),
        )
    except EngineError as error:
        return _record(kind, record_id, error)
    flash(gettext("Deleted."))
    return _to(url_for("records.index", name=name))


def _to(where: str) -> BaseResponse:
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _form(kind: Kind, known: Mapping[str, str], error: EngineError | None = None) -> Response:
    return render(
        "records/new.html",
        "main",
        status=error.problem.status if error else 200,
        kind=kind,
        values=known,
        # The same for each try to send this form: what was sent twice is made once.
        key=known.get("key") or secrets.token_hex(16),
        **_said(error),
    )


def _record(
    kind: Kind,
    record_id: UUID,
    error: EngineError | None = None,
    *,
    sent: Mapping[str, str] | None = None,
) -> Response:
    """The page of one; with what was `sent` in the form instead of what is stored, where that was refused."""
    try:
        view = operations.view_record(parts().engines, caller(), kind, record_id)
    except EngineError as gone:
        return render(
            "records/missing.html",
            "main",
            status=gone.problem.status,
            kind=kind,
            problem=explain(gone),
            record_id=record_id if gone.problem.status == 404 else None,
        )
    stored = {field.name: forms.shown(view.document, field) for field in kind.fields}
    return render(
        "records/record.html",
        "main",
        status=error.problem.status if error else 200,
        kind=kind,
        view=view,
        stored=stored,
        values=stored if sent is None else sent,
        rule_names=QUALITY,
        tones=STATUS_TONES,
        **section_of(kind.name, record_id),
        **_said(error),
    )


def _said(error: EngineError | None) -> dict[str, object]:
    errors = {item.field: item.message for item in error.problem.errors} if error else {}
    return {"problem": explain(error) if error else None, "errors": errors}
