"""What a gateway pod tells of the requests that pass it: `/traffic` of its controller, which the console reads.

Each pod speaks of itself alone: whoever wants the whole adds up all pods, and takes shares from those that know.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

CONTROLLER_PORT = 8081
FRESH_SECONDS = 5.0
"""What was seen longer ago is unknown: it may have been another thing for as long."""

COST_HEADER = "X-Looma-Cost"
"""Where an engine's answer says what it cost, for `route.budget`, unless the route names another header."""

Circuit = Literal["closed", "open", "half-open"]
"""State of a circuit breaker; half-open lets a few requests try."""

PerSecond = Annotated[float, Meta(ge=0, description="Mean of the last `window_seconds`.")]


class RevisionTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a service, at one gateway pod."""

    revision: str
    asked: Annotated[float | None, Meta(description="Percent of the requests that the route asks for.")] = (
        None
    )
    given: Annotated[
        float | None, Meta(description="Percent that HAProxy gives, as read back; null if that is unknown.")
    ] = None
    answered: PerSecond = 0.0
    """Requests that came to their end, whatever the end was."""
    failed: Annotated[
        float, Meta(ge=0, description="Of these, a second: 5xx, no answer, or no pod that could be asked.")
    ] = 0.0
    retried: Annotated[
        float, Meta(ge=0, description="Attempts a second that the gateway made again after them.")
    ] = 0.0
    circuit: Annotated[Circuit | None, Meta(description="Null if there is no circuit breaker.")] = None
    openings: Annotated[
        int, Meta(ge=0, description="How often the circuit opened since the controller runs.")
    ] = 0
    seconds: Annotated[
        tuple[int, ...],
        Meta(
            description="Sampled requests of the last minute by the time to the answer's first byte: one count for "
            "each of `bounds`, and one for those above."
        ),
    ] = ()


class ServiceTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """One AIService with a route, at one gateway pod."""

    namespace: str
    service: str
    revisions: tuple[RevisionTraffic, ...] = ()
    limited: Annotated[float, Meta(ge=0, description="Requests a second that a limit refused.")] = 0.0
    over_budget: Annotated[float, Meta(ge=0, description="Requests a second that a budget refused.")] = 0.0
    interrupted: Annotated[
        float, Meta(ge=0, description="Requests a second that found the circuit open.")
    ] = 0.0
    callers_over: Annotated[
        int,
        Meta(
            ge=0,
            description="How many addresses or subjects (or the service as a whole) a limit refused in the last "
            "ten seconds.",
        ),
    ] = 0
    callers_over_budget: Annotated[
        int, Meta(ge=0, description="How many of these a budget refused in the last ten seconds.")
    ] = 0


class GatewayTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """All of one gateway pod."""

    gateway: str
    age_seconds: Annotated[
        float | None,
        Meta(description="How long ago HAProxy was read, by the pod's own clock; null if it never was."),
    ]
    window_seconds: Annotated[
        float, Meta(ge=0, description="Over which time rates are means; 0 until it was read twice.")
    ] = 0.0
    bounds: Annotated[
        tuple[float, ...], Meta(description="Upper bounds, in seconds, of the counts in `seconds`.")
    ] = ()
    services: tuple[ServiceTraffic, ...] = ()
