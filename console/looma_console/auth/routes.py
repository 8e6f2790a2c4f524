"""Signing in and out, and the own account."""

from __future__ import annotations

import datetime as dt

from flask import (
    Blueprint,
    Response,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as BaseResponse

from looma_console.auth import operations
from looma_console.auth.forms import LoginForm, PasswordForm
from looma_console.users.messages import ROLES
from looma_console.web.guard import SESSION_COOKIE, person, safe_next
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, public, requires

blueprint = Blueprint("auth", __name__, template_folder="templates")


@blueprint.get("/")
@requires(Permission.SIGNED_IN)
def home() -> BaseResponse:
    """To the first page that the person may see."""
    granted = person().permissions
    if Permission.PEOPLE_READ in granted:
        return redirect(url_for("people.index"))
    if Permission.SERVICES_READ in granted:
        return redirect(url_for("services.index"))
    return redirect(url_for("auth.account"))


@blueprint.route("/login", methods=["GET", "POST"])
@public("one cannot be signed in before signing in", knows_person=True)
def login() -> BaseResponse:
    """The login page; after it, the page that was asked for first."""
    form = LoginForm(next=request.args.get("next", ""))
    where = safe_next(form.next.data)
    if g.person is not None:
        return redirect(where)
    if not form.validate_on_submit():
        return _login_page(form, "", 422 if request.method == "POST" else 200)
    found = operations.sign_in(
        parts().db,
        parts().passwords,
        login=form.login.data,
        password=form.password.data,
        address=request.remote_addr or "",
        now=dt.datetime.now(dt.UTC),
        request_id=g.request_id,
    )
    if isinstance(found, operations.Refused):
        return _refused(form, found.wait)
    # A new session gets new form tokens: one that somebody planted before is worth nothing now.
    session.clear()
    answer = redirect(where, code=303)
    answer.set_cookie(
        SESSION_COOKIE,
        found.token,
        max_age=int(parts().lifetime.absolute.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return answer


@blueprint.post("/logout")
@requires(Permission.SIGNED_IN)
def logout() -> BaseResponse:
    """End this session."""
    operations.sign_out(parts().db, person(), request_id=g.request_id)
    session.clear()
    answer = redirect(url_for("auth.login"), code=303)
    answer.delete_cookie(SESSION_COOKIE, samesite="Lax", httponly=True, secure=request.is_secure)
    return answer


@blueprint.route("/account", methods=["GET", "POST"])
@requires(Permission.SIGNED_IN)
def account() -> BaseResponse:
    """The own account: name, roles, password."""
    form = PasswordForm()
    if form.validate_on_submit():
        right = operations.change_password(
            parts().db,
            parts().passwords,
            person(),
            old=form.old.data,
            new=form.new.data,
            request_id=g.request_id,
        )
        if right:
            flash(gettext("The password was changed. All other sessions of yours have ended."))
            return redirect(url_for("auth.account"), code=303)
        form.old.errors = [gettext("This is not your current password.")]
    status = 422 if request.method == "POST" else 200
    return make_response(render_template("auth/account.html", form=form, role_names=ROLES), status)


def _refused(form: LoginForm, wait: dt.timedelta) -> Response:
    if not wait:
        return _login_page(form, gettext("Login or password is wrong."), 403)
    seconds = max(1, round(wait.total_seconds()))
    answer = _login_page(
        form,
        ngettext(
            "Too many tries. Wait %(num)d second, then try again.",
            "Too many tries. Wait %(num)d seconds, then try again.",
            seconds,
        ),
        429,
    )
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _login_page(form: LoginForm, problem: str, status: int) -> Response:
    return make_response(render_template("auth/login.html", form=form, problem=problem), status)
