"""Runs before every view: ids for the logs, who is asking, and whether they may.

A view without a declared permission is refused to everybody; that is a mistake of ours, so it is logged as one.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from looma_console.api_forward.headers import request_id_of, traceparent_of
from looma_console.auth.operations import SignedIn, current
from looma_console.web.parts import parts
from looma_console.web.permissions import Public, required_of

SESSION_COOKIE = "looma_session"
# In the query of what a page asks for by itself, so that an open page alone keeps no session alive.
QUIET_QUERY = "quiet"
# Asked every few seconds, or once a page each: they would drown the rest.
_QUIET = {"static.file", "wellknown.healthz", "wellknown.readyz", "wellknown.metrics"}
log = logging.getLogger(__name__)
access = structlog.stdlib.get_logger("looma_console.access")


def init_app(app: Flask) -> None:
    """Register the guard; it must come before anything that asks who is signed in."""
    app.before_request(_begin)
    app.before_request(_check)
    app.after_request(_end)


def person() -> SignedIn:
    """Who is asking; for views that need a permission, so somebody always is."""
    who = g.get("person")
    if not isinstance(who, SignedIn):
        raise TypeError("a public view asked who is signed in")
    return who


def safe_next(target: str | None) -> str:
    r"""Where to go after signing in: a path of ours, never another site's address.

    | target                  | answer     |
    | ----------------------- | ---------- |
    | /people?q=x             | the same   |
    | https://evil.example/   | /          |
    | //evil.example          | /          |
    | /\evil.example          | /          |
    | None                    | /          |
    """
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or "\n" in target:
        return "/"
    split = urlsplit(target)
    return target if not split.scheme and not split.netloc else "/"


def _begin() -> None:
    g.started = time.perf_counter()
    g.request_id = request_id_of(request.headers.get("X-Request-Id"))
    g.traceparent = traceparent_of(request.headers.get("traceparent"))
    g.person = None
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id, trace_id=g.traceparent.split("-")[1])


def _check() -> BaseResponse | None:
    if request.endpoint is None:
        return None
    view = current_app.view_functions.get(request.endpoint)
    required = required_of(view) if view else None
    if isinstance(required, Public) and not required.knows_person:
        return None
    if token := request.cookies.get(SESSION_COOKIE):
        g.person = current(
            parts().db,
            token,
            now=dt.datetime.now(dt.UTC),
            lifetime=parts().lifetime,
            is_request=QUIET_QUERY not in request.args,
        )
    if isinstance(required, Public):
        return None
    if required is None:
        log.error("view %s declares no permission", request.endpoint)
        abort(403)
    if g.person is None:
        return _to_login()
    if required not in g.person.permissions:
        abort(403)
    return None


def _to_login() -> BaseResponse:
    where = request.full_path.rstrip("?") if request.method == "GET" else "/"
    if request.headers.get("HX-Request") == "true":
        # A fragment cannot hold the login page: the browser goes there as a whole, and comes back to its page.
        here = request.headers.get("HX-Current-URL", "/")
        split = urlsplit(here)
        back = safe_next(split.path + ("?" + split.query if split.query else ""))
        return Response(status=401, headers={"HX-Redirect": url_for("auth.login", next=back)})
    if request.accept_mimetypes.best == "text/event-stream":
        return Response(status=401)
    return redirect(url_for("auth.login", next=safe_next(where)))


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    route = request.url_rule.rule if request.url_rule else "(none)"
    if request.endpoint not in _QUIET:
        parts().metrics.observe_request(route=route, code=response.status_code, seconds=seconds)
        access.info(
            "request",
            method=request.method,
            route=route,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
            who=g.person.login if g.person else None,
        )
    response.headers.setdefault("X-Request-Id", g.request_id)
    return response
