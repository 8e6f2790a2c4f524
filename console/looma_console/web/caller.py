"""Who is asking, as the engines and the cluster are told."""

from __future__ import annotations

from flask import g

from looma_console.cluster.api import Person
from looma_console.engines import Caller
from looma_console.web.guard import person
from looma_console.web.parts import parts


def caller() -> Caller:
    """The signed-in person for a call to an engine."""
    who = person()
    return Caller(
        login=who.login,
        roles=who.roles,
        tenant=parts().settings.tenant,
        request_id=g.request_id,
        traceparent=g.traceparent,
    )


def cluster_person() -> Person:
    """The signed-in person for a request to the Kubernetes API."""
    who = person()
    return Person(login=who.login, roles=who.roles)
