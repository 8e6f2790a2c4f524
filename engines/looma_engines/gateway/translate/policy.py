"""What holds for the requests of a route beyond HTTPRoute: the AIService's `spec.route`, and timeouts."""

from __future__ import annotations

import re

from looma_engines.gateway.model import Auth, Budget, CircuitBreaker, Policy, RateLimit, RateLimitPer, Shadow
from looma_engines.gateway.objects import ServiceRoute, Timeouts

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d{1,5})(ms|h|m|s)")
LONGEST_SECONDS = 24 * 3600
"""What a timeout of 0, none, comes to: the data plane always has one."""

STRICT = Policy(auth=Auth(required=True))
"""For a route whose AIService is not known, perhaps not yet: its requests need a token until more is known."""


def seconds(duration: str | None) -> int | None:
    """A duration of Gateway API in whole seconds, at least 1; 0 is none, and None what is no duration.

    | duration | seconds |
    | -------- | ------- |
    | 60s      | 60      |
    | 1m30s    | 90      |
    | 500ms    | 1       |
    | 1500ms   | 2       |
    | 0s       | 86400   |
    | soon     | None    |
    """
    if not duration or not re.fullmatch(r"((\d{1,5})(ms|h|m|s)){1,4}", duration):
        return None
    total = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
    if total == 0:
        return LONGEST_SECONDS
    # Thousandths that cannot be written exactly in binary must not make one second more of it.
    return min(max(1, -int(-round(total, 3) // 1)), LONGEST_SECONDS)


def timeout(timeouts: Timeouts | None, otherwise: int) -> int:
    """How long a request may take: what the rule says, the shorter one where it says two."""
    if timeouts is None:
        return otherwise
    said = [value for value in (seconds(timeouts.request), seconds(timeouts.backend_request)) if value]
    return min(said, default=otherwise)


def policy(
    route: ServiceRoute, *, timeouts: Timeouts | None, fallback: str, shadow: Shadow | None = None
) -> Policy:
    """The policy of an AIService's route; `fallback` is the backend that its fallback has, or empty."""
    limit, budget, breaker = route.rate_limit, route.budget, route.circuit_breaker
    return Policy(
        timeout_seconds=timeout(timeouts, route.timeout_seconds),
        max_request_bytes=route.max_request_bytes,
        max_response_bytes=route.max_response_bytes,
        retries=route.retries,
        auth=Auth(required=route.auth.required, roles=tuple(sorted(set(route.auth.roles or ())))),
        rate_limit=None
        if limit is None
        else RateLimit(
            requests_per_second=limit.requests_per_second,
            burst=limit.requests_per_second if limit.burst is None else limit.burst,
            per=_per(limit.per),
        ),
        budget=None
        if budget is None
        else Budget(
            units=budget.units,
            window_seconds=budget.window_seconds,
            per=_per(budget.per),
            cost_header=budget.cost_header,
        ),
        circuit_breaker=None
        if breaker is None
        else CircuitBreaker(
            window_seconds=breaker.window_seconds,
            min_requests=breaker.min_requests,
            error_percent=breaker.error_percent,
            open_seconds=breaker.open_seconds,
            trial_requests=breaker.trial_requests,
        ),
        fallback=fallback,
        shadow=shadow,
    )


def _per(said: str) -> RateLimitPer:
    try:
        return RateLimitPer(said)
    except ValueError:
        return RateLimitPer.SERVICE
