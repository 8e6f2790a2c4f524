"""Problems that only the gateway tells. HAProxy writes them, so nothing raises these: they are the register's entry."""

from __future__ import annotations

from looma_core.problems import ProblemError


class RequestTimedOut(ProblemError):
    """The rest of a body that is waited for did not come."""

    name, status, title = "request-timeout", 408, "The request did not come in time"


class LengthRequired(ProblemError):
    """A body that is limited, too long to be counted beforehand, and declares no length."""

    name, status, title = "length-required", 411, "The body's length is needed"


class BudgetSpent(ProblemError):
    """What the route's answers may cost in a while was spent."""

    name, status, title = "budget-spent", 429, "The budget is spent"


class ResponseTooLarge(ProblemError):
    """The engine's answer declares more bytes than the route lets through."""

    name, status, title = "response-too-large", 502, "The service's answer is too large"


class CircuitOpen(ProblemError):
    """The service failed too often, and gets no requests for a while."""

    name, status, title = "circuit-open", 503, "The service fails too often"
