"""`/api/v1/...`: parse, hand to the relay, hand back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, g, jsonify, request

from looma_console.api_forward import openapi
from looma_console.api_forward.headers import to_engine
from looma_console.api_forward.problems import NoRoute, answer
from looma_console.api_forward.relay import CHUNK
from looma_console.web.headers import DATA_POLICY
from looma_console.web.parts import parts
from looma_console.web.permissions import public
from looma_core.problems import ProblemError

blueprint = Blueprint("api_forward", __name__, url_prefix="/api/v1")

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_BODILESS = {204, 304}
# A path that a proxy and an engine could read differently is refused rather than guessed at.
_AMBIGUOUS = re.compile(r"(^|/)\.{1,2}(/|$)|//|\\|[\x00-\x1f]")


@blueprint.route("/openapi.json", methods=["GET"])
@public("the API's description holds no data")
def document() -> Response:
    """One OpenAPI document, merged from those of the engines that answer."""
    services = [service.name for service in parts().services() if service.prefixes]
    merged = openapi.collect(parts().relay, services, request_id=g.request_id)
    response = jsonify(merged)
    response.headers["X-Looma-Source"] = "console"
    response.headers["X-Request-Id"] = g.request_id
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.route("/", defaults={"rest": ""}, methods=METHODS)
@blueprint.route("/<path:rest>", methods=METHODS)
@public("the engine checks the bearer token itself")
def forward(rest: str) -> Response:
    """Forward to the engine that the path belongs to."""
    try:
        if _AMBIGUOUS.search(rest):
            raise NoRoute("The path holds dot segments, empty segments or control characters.")
        # As it was sent: `/%61pi/v1/talents` is nobody's path, here as at the gateway.
        return _forward(_raw_target().partition("?")[0])
    except ProblemError as error:
        return answer(error, request_id=g.request_id)


def _forward(path: str) -> Response:
    headers = to_engine(
        request.headers.items(),
        request_id=g.request_id,
        traceparent=g.traceparent,
        address=request.remote_addr or "",
        scheme=request.scheme,
        host=request.host,
    )
    relayed = parts().relay.send(request.method, path, _raw_target(), headers, _body())
    if request.method == "HEAD" or relayed.status in _BODILESS:
        # Werkzeug never iterates nor closes such an answer's body, so it is closed here.
        relayed.close()
        response = Response(status=relayed.status)
    else:
        response = Response(relayed.body, status=relayed.status)
        response.call_on_close(relayed.close)
    response.headers.clear()
    for name, value in relayed.headers:
        response.headers.add(name, value)
    response.headers.setdefault("X-Request-Id", g.request_id)
    # The engine's data comes under the console's origin: it may be read there, never run.
    response.headers["Content-Security-Policy"] = DATA_POLICY
    return response


def _body() -> Iterable[bytes] | None:
    # The relay's own limit is the engine's: a page's limit on uploads has nothing to say here.
    request.max_content_length = None
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        return None
    if request.content_length == 0 or (request.content_length is None and request.method in {"GET", "HEAD"}):
        return None
    return _read_in_chunks()


def _read_in_chunks() -> Iterator[bytes]:
    while chunk := request.stream.read(CHUNK):
        yield chunk


def _raw_target() -> str:
    # RAW_URI is gunicorn's, REQUEST_URI werkzeug's own server's and test client's.
    raw: str = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.full_path
    if not raw.startswith("/"):
        # The absolute form (RFC 9112 §3.2.2); only path and query go on.
        raw = "/" + raw.split("://", 1)[-1].partition("/")[2]
    return raw.partition("#")[0]
