"""Pages about skills: parse, ask the operations, render."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import get_locale, gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.skills import forms, messages, operations
from looma_console.skills.calls import around, matches_of
from looma_console.web.caller import caller
from looma_console.web.fragments import fragment, render, wants_fragment
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("skills", __name__, template_folder="templates")
PAGE = "50"
SUGGESTED = 30
HERE = "/skills/<uuid:skill_id>"


@blueprint.get("/skills")
@requires(Permission.PEOPLE_READ)
def index() -> Response:
    """The tree from its top, or what fits a text as it is typed."""
    q, cursor = request.args.get("q", "").strip()[:200], request.args.get("cursor", "")
    page, matches, problem = None, None, None
    try:
        if q:
            matches = matches_of(parts().engines, caller(), q, limit=SUGGESTED)
        else:
            query = {"top": "true", "sort": "key", "cursor": cursor, "limit": PAGE}
            page = parts().engines.records(caller(), operations.SKILLS, query)
    except EngineError as error:
        problem = explain(error)
    return render(
        "skills/index.html",
        "more" if cursor and page else "results",
        page=page,
        matches=matches,
        problem=problem,
        q=q,
        **_words(),
    )


@blueprint.get(f"{HERE}/below")
@requires(Permission.PEOPLE_READ)
def below(skill_id: UUID) -> Response:
    """The skills right below one, for the tree."""
    try:
        children = around(parts().engines, caller(), skill_id, "children")
    except EngineError as error:
        return fragment("skills/branch.html", "branch", children=[], problem=explain(error), **_words())
    return fragment("skills/branch.html", "branch", children=children, problem=None, **_words())


@blueprint.get("/skills/new")
@requires(Permission.PEOPLE_WRITE)
def new() -> Response:
    """An empty form; the address may fill fields in."""
    return _form({name: request.args[name] for name in messages.FIELDS if name in request.args})


@blueprint.post("/skills")
@requires(Permission.PEOPLE_WRITE)
def create() -> BaseResponse:
    """Make one."""
    try:
        made = operations.create_skill(
            parts().db, parts().engines, caller(), form=request.form, key=request.form.get("idempotency", "")
        )
    except EngineError as error:
        return _form(request.form, error)
    flash(gettext("Saved."))
    return _to(url_for("skills.skill", skill_id=made["id"]))


@blueprint.post("/skills/starter")
@requires(Permission.PEOPLE_WRITE)
def starter() -> BaseResponse:
    """Load the starting taxonomy."""
    try:
        loaded = operations.load_starter(parts().db, parts().engines, caller())
    except EngineError as error:
        flash(explain(error))
    else:
        flash(
            gettext(
                "%(created)s skills are new, %(updated)s changed.",
                created=loaded.created,
                updated=loaded.updated,
            )
        )
    return _to(url_for("skills.index"))


@blueprint.get(HERE)
@requires(Permission.PEOPLE_READ)
def skill(skill_id: UUID) -> Response:
    """One of them."""
    return _skill(skill_id)


@blueprint.post(HERE)
@requires(Permission.PEOPLE_WRITE)
def change(skill_id: UUID) -> BaseResponse:
    """Change what the form says."""
    try:
        operations.change_skill(
            parts().db,
            parts().engines,
            caller(),
            skill_id=skill_id,
            version=request.form.get("version", 0, type=int),
            form=request.form,
            language=_language(),
        )
    except EngineError as error:
        return _skill(skill_id, error, sent=request.form)
    flash(gettext("Saved."))
    return _to(url_for("skills.skill", skill_id=skill_id))


@blueprint.post(f"{HERE}/delete")
@requires(Permission.PEOPLE_WRITE)
def delete(skill_id: UUID) -> BaseResponse:
    """Delete one, if nobody changed it since it was shown."""
    try:
        operations.delete_skill(
            parts().db,
            parts().engines,
            caller(),
            skill_id=skill_id,
            version=request.form.get("version", 0, type=int),
        )
    except EngineError as error:
        return _skill(skill_id, error)
    flash(gettext("Deleted."))
    return _to(url_for("skills.index"))


@blueprint.get(f"{HERE}/<any(people, jobs):having>")
@requires(Permission.PEOPLE_READ)
def who(skill_id: UUID, having: str) -> Response:
    """The people or the jobs that have a skill; htmx gets the next rows alone."""
    cursor = request.args.get("cursor", "")
    try:
        found = parts().engines.record(caller(), operations.SKILLS, skill_id)
        query = {"skill": str(skill_id), "cursor": cursor, "limit": "20"}
        page = parts().engines.records(caller(), operations.HAVING[having], query)
    except EngineError as error:
        return _missing(error)
    return render(
        "skills/who.html", "more" if cursor else "main", item=found, page=page, having=having, **_words()
    )


def _words() -> dict[str, Any]:
    return {
        "kinds": messages.KINDS,
        "statuses": messages.STATUSES,
        "match_names": messages.MATCHES,
        "fields": messages.FIELDS,
        "field_choices": messages.CHOICES,
        "lists": messages.LISTS,
        "title": lambda item: (
            forms.title(item, _language()) if isinstance(item, Mapping) else forms.title_of(item, _language())
        ),
    }


def _language() -> str:
    return str(get_locale() or "en")


def _to(where: str) -> BaseResponse:
    if wants_fragment():
        return Response(status=204, headers={"HX-Redirect": where})
    return redirect(where, code=303)


def _missing(error: EngineError) -> Response:
    return render(
        "skills/missing.html", "main", status=error.problem.status, problem=explain(error), **_words()
    )


def _form(known: Mapping[str, str], error: EngineError | None = None) -> Response:
    return render(
        "skills/new.html",
        "main",
        status=error.problem.status if error else 200,
        values=known,
        left_out=messages.LATER,
        # The same for each try to send this form: what was sent twice is made once.
        idempotency=known.get("idempotency") or secrets.token_hex(16),
        **_said(error, known, None),
        **_words(),
    )


def _skill(
    skill_id: UUID, error: EngineError | None = None, *, sent: Mapping[str, str] | None = None
) -> Response:
    """The page of one; with what was `sent` in the form instead of what is stored, where that was refused."""
    try:
        view = operations.view_skill(parts().engines, caller(), skill_id, language=_language())
    except EngineError as gone:
        return _missing(gone)
    stored = forms.shown(view.document, view.titles)
    return render(
        "skills/skill.html",
        "main",
        status=error.problem.status if error else 200,
        view=view,
        stored=stored,
        values=stored if sent is None else sent,
        left_out=messages.FIXED,
        **_said(error, sent or {}, view.document),
        **_words(),
    )


def _said(
    error: EngineError | None, sent: Mapping[str, str], before: Mapping[str, Any] | None
) -> dict[str, object]:
    if error is None:
        return {"problem": None, "errors": {}}
    given = forms.wanted(sent, {}, before)
    # Of a conflict the engine says which skills it is about; the page's own words would not.
    told = error.problem.detail if error.name == "conflict" and error.problem.detail else explain(error)
    return {"problem": told, "errors": forms.by_field(error.problem.errors, given)}
