"""Every failure as problem details, with nothing of our inside in it.

`problem_of` decides what a client is told; the handlers only send it. What is not told is in the log, under the
request's id, which is the answer's `instance`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.response import Response

from looma_core import logging
from looma_core.api.reading import errors_of
from looma_core.problems import (
    MEDIA_TYPE,
    REGISTER,
    BadRequest,
    FieldError,
    InternalError,
    NotFound,
    NotReady,
    PayloadTooLarge,
    ProblemError,
    ValidationProblem,
    field_error,
)

if TYPE_CHECKING:
    from litestar.connection import Request
    from litestar.types import ExceptionHandlersMap

log = logging.get(__name__)
_encoder = msgspec.json.Encoder()


def exception_handlers() -> ExceptionHandlersMap:
    """Handlers for a Litestar application."""
    return {Exception: handle}


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Turn `error` into an answer, and log it where it is our fault."""
    told = _unreadable(request, error) or problem_of(
        error, all_errors=_body_errors(request) if isinstance(error, ValidationException) else []
    )
    request_id = request.scope.get("state", {}).get("request_id")
    if isinstance(told, NotReady):
        # Too much to do is when there is least time to write it down at length.
        cause = type(error.__cause__).__name__ if error.__cause__ else ""
        log.warning("request refused", problem=told.name, path=request.scope["path"], cause=cause)
    elif told.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", problem=told.name, path=request.scope["path"], exc_info=error)
    return Response(
        content=_encoder.encode(told.problem(instance=request_id)),
        status_code=told.status,
        media_type=MEDIA_TYPE,
        headers=told.headers,
    )


def problem_of(error: Exception, *, all_errors: list[FieldError] | None = None) -> ProblemError:
    """Decide what a client is told about `error`; `all_errors` are the body's, where they are known.

    | error                                       | problem                                        |
    | ------------------------------------------- | ---------------------------------------------- |
    | ProblemError                                | itself                                         |
    | Litestar's validation of body or parameters | validation, 422, with the fields               |
    | Litestar's 400 for a body that is not JSON  | bad-request, with what the decoder said        |
    | any other HTTPException                     | the type with that status, no detail           |
    | anything else                               | internal, 500, no detail                       |
    """
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, ValidationException):
        # Litestar tells the first wrong field of a body; a person wants all of them.
        errors = all_errors or _field_errors(error.extra)
        return ValidationProblem(errors=errors) if errors else BadRequest(_safe(error.detail))
    if isinstance(error, HTTPException):
        return _by_status(error)
    return InternalError()


def _unreadable(request: Request[Any, Any, Any], error: Exception) -> BadRequest | None:
    """What is wrong with a body that msgspec fails on by something else than its own error, or None.

    The body is read once more, so that the same error out of our own code stays a fault of ours.
    """
    body = _body(request)
    if body is None or not isinstance(error, UnicodeDecodeError | RecursionError):
        return None
    try:
        msgspec.json.decode(body)
    except UnicodeDecodeError:
        return BadRequest("The body is not UTF-8.")
    except RecursionError:
        return BadRequest("The body is nested too deeply.")
    except msgspec.DecodeError:
        return None
    return None


def _body(request: Request[Any, Any, Any]) -> bytes | None:
    """The body, where it was read already."""
    body = getattr(getattr(request, "_connection_state", None), "body", None)
    return body if isinstance(body, bytes) else None


def _body_errors(request: Request[Any, Any, Any]) -> list[FieldError]:
    """Everything that is wrong with a JSON body, or nothing if it cannot be looked at again."""
    handler = request.scope.get("route_handler")
    wanted = getattr(getattr(handler, "parsed_data_field", None), "annotation", None)
    body = _body(request)
    if not (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) and body is not None):
        return []
    try:
        return errors_of(msgspec.json.decode(body), wanted)
    except msgspec.DecodeError:
        return []


def _by_status(error: HTTPException) -> ProblemError:
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    if error.status_code == HTTPStatus.BAD_REQUEST:
        cause = error.__cause__
        return BadRequest(str(cause) if isinstance(cause, SerializationException) else _safe(error.detail))
    if error.status_code == PayloadTooLarge.status:
        return PayloadTooLarge("The body is larger than this endpoint takes.")
    if error.status_code == NotFound.status:
        return NotFound("There is nothing at this address.")
    for known in REGISTER.values():
        if known.status == error.status_code and known.__module__ == ProblemError.__module__:
            told = known.__new__(known)
            ProblemError.__init__(told, headers=headers)
            return told
    return InternalError() if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else BadRequest()


def _field_errors(extra: object) -> list[FieldError]:
    """Litestar's list of {message, key, source} as ours; a body's field has no prefix."""
    if not isinstance(extra, list):
        return []
    errors = []
    for item in extra:
        key = str(item.get("key", ""))
        prefix = "" if key == "data" else key
        message = str(item.get("message", ""))
        # Litestar reports a missing argument as the KeyError that it met: the name in quotes.
        missing = message == repr(key)
        # "Unsupported type: <class ...>" speaks of its own insides: an empty form where a file was wanted.
        missing = missing or "<class" in message
        errors.append(field_error("is required" if missing else message, prefix=prefix))
    return errors


_SAFE_DETAILS = ("multipart", "header", "content-length", "Missing required")


def _safe(detail: str | None) -> str | None:
    """Litestar's own sentences about the request are passed on; anything else stays inside."""
    return detail if detail and any(word in detail for word in _SAFE_DETAILS) else None
