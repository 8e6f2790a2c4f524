"""Error pages: a sentence that says what to do, never a stack trace."""

from __future__ import annotations

import logging

from flask import Flask, Response, g, request
from flask_babel import gettext
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from looma_console.api_forward.problems import answer
from looma_console.web.csrf import notice
from looma_core.problems import InternalError, NotReady
from looma_core.problems import MethodNotAllowed as MethodProblem
from looma_core.problems import NotFound as NotFoundProblem

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SQLAlchemyError, _database)
    app.register_error_handler(Exception, _bug)


def _is_api() -> bool:
    return request.path.startswith("/api/")


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if _is_api():
        match error:
            case MethodNotAllowed():
                return answer(MethodProblem(), request_id=g.request_id)
            case NotFound():
                return answer(NotFoundProblem(), request_id=g.request_id)
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # werkzeug's base class; flask made it
    messages = {
        400: gettext("The request could not be read."),
        403: gettext("Your roles do not allow this. An administrator can give you another role."),
        404: gettext("There is nothing at this address."),
        405: gettext("This address does not take that kind of request."),
        413: gettext("That is more than one upload may hold. Upload fewer or smaller files."),
    }
    response = notice(messages.get(status, gettext("That did not work.")), status)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    return response


def _database(error: SQLAlchemyError) -> Response:
    # The driver's message may hold values of a row, so only the kind of the fault is logged.
    log.error("database: %s", type(error).__name__)
    if _is_api():
        return answer(NotReady(), request_id=g.request_id)
    return notice(gettext("The database does not answer right now. Try again in a moment."), 503)


def _bug(error: Exception) -> Response:
    log.error("unhandled", exc_info=error)
    if _is_api():
        return answer(InternalError(), request_id=g.request_id)
    return notice(
        gettext("Something went wrong on our side. The log has it under %(id)s.", id=g.request_id), 500
    )
