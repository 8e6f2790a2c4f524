"""What the console itself answers under `/api/v1` when no engine did; each says `X-Looma-Source: console`."""

from __future__ import annotations

import msgspec
from flask import Response

from looma_core.problems import MEDIA_TYPE, ProblemError


class NoRoute(ProblemError):
    """No AIService names a prefix of this path."""

    name, status, title = "no-route", 404, "No service answers this path"


class EngineUnreachable(ProblemError):
    """The service has no pod that takes connections right now."""

    name, status, title = "engine-unreachable", 503, "The service has no ready pod"


class EngineBroke(ProblemError):
    """The connection broke before there was an answer."""

    name, status, title = "engine-broke", 502, "The service broke off"


class EngineTimeout(ProblemError):
    """No answer within `spec.route.timeoutSeconds`."""

    name, status, title = "engine-timeout", 504, "The service took too long"


class Busy(ProblemError):
    """The console forwards as many requests as it can."""

    name, status, title = "console-busy", 503, "Too many requests at once"


def answer(error: ProblemError, *, request_id: str) -> Response:
    """The problem as an answer of the console's own."""
    body = msgspec.json.encode(error.problem(instance=request_id))
    response = Response(body, status=error.status, content_type=MEDIA_TYPE)
    response.headers["X-Looma-Source"] = "console"
    response.headers["X-Request-Id"] = request_id
    for name, value in error.headers.items():
        response.headers[name] = value
    return response
