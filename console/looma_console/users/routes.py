"""Accounts and the audit, for admins."""

from __future__ import annotations

from uuid import UUID

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.users import messages, operations
from looma_console.users.forms import ChangeUserForm, NewUserForm
from looma_console.web.fragments import render
from looma_console.web.guard import person
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, Role, requires

blueprint = Blueprint("users", __name__, template_folder="templates")


@blueprint.get("/users")
@requires(Permission.USERS_MANAGE)
def index() -> Response:
    """All accounts, and the form for a new one."""
    return _page(NewUserForm(formdata=None))


@blueprint.post("/users")
@requires(Permission.USERS_MANAGE)
def add() -> BaseResponse:
    """Create an account."""
    form = NewUserForm()
    if not form.validate():
        return _page(form, status=422)
    try:
        operations.add_user(
            parts().db,
            parts().passwords,
            login=form.login.data,
            display_name=form.display_name.data.strip(),
            password=form.password.data,
            roles=[Role(role) for role in form.roles.data],
            who=person().login,
            request_id=g.request_id,
        )
    except operations.LoginTaken:
        form.login.errors = [gettext("Somebody has this login already.")]
        return _page(form, status=422)
    flash(gettext("The account %(login)s was created.", login=form.login.data))
    return redirect(url_for("users.index"), code=303)


@blueprint.post("/users/<uuid:user_id>")
@requires(Permission.USERS_MANAGE)
def change(user_id: UUID) -> BaseResponse:
    """Set roles and whether the account is open."""
    form = ChangeUserForm()
    if not form.validate():
        flash(gettext("Choose one role or more."), "problem")
        return redirect(url_for("users.index"), code=303)
    try:
        user = operations.change_user(
            parts().db,
            user_id=user_id,
            roles=[Role(role) for role in form.roles.data],
            active=form.active.data,
            who=person().login,
            request_id=g.request_id,
        )
    except operations.LastAdmin:
        flash(gettext("Nobody could manage accounts then, so nothing was changed."), "problem")
        return redirect(url_for("users.index"), code=303)
    if user is None:
        abort(404)
    flash(gettext("The account %(login)s was changed; its sessions have ended.", login=user.login))
    return redirect(url_for("users.index"), code=303)


@blueprint.get("/audit")
@requires(Permission.AUDIT_READ)
def audit() -> Response:
    """Who did what, newest first."""
    entries = operations.list_audit(parts().db, before=request.args.get("before", type=int))
    more = entries[operations.AUDIT_PAGE - 1].id if len(entries) > operations.AUDIT_PAGE else None
    return render(
        "users/audit.html",
        "more" if request.args.get("before") else "main",
        entries=entries[: operations.AUDIT_PAGE],
        more=more,
        actions=messages.ACTIONS,
        outcomes=messages.OUTCOMES,
    )


def _page(form: NewUserForm, *, status: int = 200) -> Response:
    return make_response(
        render_template(
            "users/index.html",
            form=form,
            users=operations.list_users(parts().db),
            roles=messages.ROLES,
            role_hints=messages.ROLE_HINTS,
        ),
        status,
    )
