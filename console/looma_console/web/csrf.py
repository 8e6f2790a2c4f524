"""CSRF protection by Flask-WTF, and an answer to its failure that htmx can show."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, make_response, render_template, request
from flask_babel import gettext
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf


def init_app(app: Flask, *, exempt: tuple[Blueprint, ...]) -> None:
    """Protect every unsafe method but those of `exempt`, which know no cookies."""
    # A session lives for hours; so may a form that was left open.
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    protect = CSRFProtect(app)
    # Flask-WTF gives it to templates alone; our macros see only globals.
    app.jinja_env.globals["csrf_token"] = generate_csrf
    for blueprint in exempt:
        protect.exempt(blueprint)
    app.register_error_handler(CSRFError, _refused)


def notice(message: str, status: int) -> Response:
    """A message as a fragment into the page's notice area, or as a page."""
    if request.headers.get("HX-Request") == "true":
        answer = make_response(render_template("notice.html", message=message), status)
        answer.headers["HX-Retarget"] = "#notice"
        answer.headers["HX-Reswap"] = "innerHTML"
        return answer
    return make_response(render_template("error.html", title=gettext("Not done"), message=message), status)


def _refused(_error: CSRFError) -> Response:
    return notice(
        gettext("This page is too old, so nothing was changed. Load it again and repeat what you did."), 400
    )
