"""The section about relations: parse, ask the operations, render.

htmx gets the section alone and puts it where it was; everybody else gets a page with it, and goes back to the record.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.relations import operations
from looma_console.relations.forms import at_fields
from looma_console.relations.operations import Choices, RelationsView
from looma_console.relations.words import ENDS, PEOPLE, End
from looma_console.web.caller import caller
from looma_console.web.csrf import notice
from looma_console.web.fragments import fragment, render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("relations", __name__, template_folder="templates")
HERE = "/<any(people, companies, jobs):page>/<uuid:record_id>/relations"
PAGE_HTML = "relations/page.html"
SECTION = "#relations"


@blueprint.get("/relations/<uuid:relation_id>")
@requires(Permission.PEOPLE_READ)
def relation(relation_id: UUID) -> BaseResponse:
    """Lead to where a relation stands: it has no page of its own, and is on that of the person it is about."""
    try:
        found = parts().engines.record(caller(), operations.RELATIONS, relation_id)
    except EngineError as error:
        return notice(explain(error), error.problem.status)
    return redirect(_record(PEOPLE, found["talent_id"]) + SECTION)


@blueprint.get(HERE)
@requires(Permission.PEOPLE_READ)
def index(page: str, record_id: UUID) -> Response:
    """The section; the address may fill the form in, and look for the other end."""
    end = ENDS[page]
    return _section(end, record_id, sent=request.args, choices=_choices(end, record_id, request.args))


@blueprint.get(f"{HERE}/choices")
@requires(Permission.PEOPLE_WRITE)
def choices(page: str, record_id: UUID) -> Response:
    """What can be chosen as the other end."""
    found = _choices(ENDS[page], record_id, request.args)
    return fragment(PAGE_HTML, "choices", choices=found, errors={})


@blueprint.post(HERE)
@requires(Permission.PEOPLE_WRITE)
def create(page: str, record_id: UUID) -> BaseResponse:
    """Store one."""
    end = ENDS[page]
    try:
        operations.create_relation(parts().db, parts().engines, caller(), end, record_id, form=request.form)
    except EngineError as error:
        found = _choices(end, record_id, request.form)
        return _section(end, record_id, error=error, sent=request.form, choices=found)
    return _done(end, record_id, gettext("Saved."))


@blueprint.post(f"{HERE}/<uuid:relation_id>")
@requires(Permission.PEOPLE_WRITE)
def change(page: str, record_id: UUID, relation_id: UUID) -> BaseResponse:
    """Change the last day of one."""
    try:
        operations.change_end(
            parts().db,
            parts().engines,
            caller(),
            relation_id,
            version=request.form.get("version", 0, type=int),
            ends_on=request.form.get("ends_on", ""),
        )
    except EngineError as error:
        return _section(ENDS[page], record_id, error=error, sent=request.form, of=relation_id)
    return _done(ENDS[page], record_id, gettext("Saved."))


@blueprint.post(f"{HERE}/<uuid:relation_id>/delete")
@requires(Permission.PEOPLE_WRITE)
def delete(page: str, record_id: UUID, relation_id: UUID) -> BaseResponse:
    """Delete one, if nobody changed it since it was shown."""
    try:
        operations.delete_relation(
            parts().db,
            parts().engines,
            caller(),
            relation_id,
            version=request.form.get("version", 0, type=int),
        )
    except EngineError as error:
        return _section(ENDS[page], record_id, error=error, of=relation_id)
    return _done(ENDS[page], record_id, gettext("Deleted."))


def section_of(page: str, record_id: UUID) -> dict[str, Any]:
    """What the template of the section needs, for the page of a record; without a section, nothing is shown."""
    view = operations.view_relations(parts().engines, caller(), ENDS[page], record_id)
    return {"relations": _told(view)}


def _choices(end: End, record_id: UUID, given: Mapping[str, str]) -> Choices:
    return operations.find_choices(
        parts().engines,
        caller(),
        end,
        record_id,
        kind=given.get("kind", ""),
        q=given.get("q", "").strip()[:200],
        chosen=operations.chosen_in(given),
    )


def _done(end: End, record_id: UUID, said: str) -> BaseResponse:
    if wants_fragment():
        return _section(end, record_id, done=said)
    flash(said)
    return redirect(_record(end, record_id) + SECTION, code=303)


def _record(end: End, record_id: UUID) -> str:
    if end is PEOPLE:
        return url_for("people.person", talent_id=record_id)
    return url_for("records.record", name=end.page, record_id=record_id)


def _section(
    end: End,
    record_id: UUID,
    *,
    error: EngineError | None = None,
    sent: Mapping[str, str] | None = None,
    choices: Choices | None = None,
    of: UUID | None = None,
    done: str = "",
) -> Response:
    """The section; `error` is what came of the form that was `sent`: to add one, or to change that `of` an id."""
    view = operations.view_relations(parts().engines, caller(), end, record_id, choices=choices)
    if view is None:
        view = RelationsView(end=end, record_id=record_id)
    return render(
        PAGE_HTML,
        "section",
        status=error.problem.status if error else 200,
        back=_record(end, record_id),
        relations=_told(view, error=error, sent=sent, of=of, done=done),
    )


def _told(
    view: RelationsView | None,
    *,
    error: EngineError | None = None,
    sent: Mapping[str, str] | None = None,
    of: UUID | None = None,
    done: str = "",
) -> dict[str, Any] | None:
    if view is None:
        return None
    values = dict(sent or {})
    errors = at_fields(view.end, values.get("kind", ""), error.problem.errors) if error else {}
    return {
        "view": view,
        "problem": explain(view.problem) if view.problem else None,
        "refused": explain(error) if error else None,
        "errors": errors,
        "sent": values if of is None else {},
        "of": str(of) if of else None,
        "sent_end": values.get("ends_on", "") if of else "",
        "done": done,
        # The same for each try to send this form: what was sent twice is stored once.
        "key": values.get("key") or secrets.token_hex(16),
    }
