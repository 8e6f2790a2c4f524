"""Switching the language; kept in a cookie, so that it also holds on the login page."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from looma_console.web.guard import safe_next
from looma_console.web.language import CATALOGUES, COOKIE
from looma_console.web.permissions import public

blueprint = Blueprint("language", __name__)
YEAR_SECONDS = 365 * 24 * 3600


@blueprint.post("/language")
@public("the login page has the switch, too")
def switch() -> Response:
    """Remember the language and go back."""
    answer = redirect(safe_next(request.form.get("next")), code=303)
    chosen = request.form.get("language", "")
    if chosen in CATALOGUES:
        answer.set_cookie(
            COOKIE, chosen, max_age=YEAR_SECONDS, samesite="Lax", httponly=True, secure=request.is_secure
        )
    return answer
