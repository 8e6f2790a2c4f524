"""Problems that only the gateway tells. HAProxy writes them, so nothing raises these: they are the register's entry."""

from __future__ import annotations

from looma_core.problems import ProblemError


class RequestTimedOut(ProblemError):
    """The rest of a body that is waited for did not come."""

    name, status, title = "request-timeout", 408, "The request did not come in time"


class LengthRequired(ProblemError):
    """A body that is limited, too long to be counted beforehand, and declares no length."""

    name, status, title = "length-required", 411, "The body's length is needed"


class CircuitOpen(ProblemError):
    """The service failed too often, and gets no requests for a while."""

    name, status, title = "circuit-open", 503, "The service fails too often"
