"""Looma's own object: what the gateway reads of an AIService."""

from __future__ import annotations

from looma_core.api.gateway import COST_HEADER
from looma_engines.gateway.objects.parts import Json, Metadata, Part


class AuthSpec(Part, frozen=True, kw_only=True):
    """Whether a token is needed, and which roles."""

    required: bool = True
    roles: list[str] | None = None


class RateLimitSpec(Part, frozen=True, kw_only=True):
    """How many requests are taken."""

    requests_per_second: int
    burst: int | None = None
    per: str = "service"


class BudgetSpec(Part, frozen=True, kw_only=True):
    """What callers may spend."""

    units: int
    window_seconds: int = 60
    per: str = "service"
    cost_header: str = COST_HEADER


class CircuitBreakerSpec(Part, frozen=True, kw_only=True):
    """When a service is left alone for a while."""

    window_seconds: int = 10
    min_requests: int = 20
    error_percent: int = 50
    open_seconds: int = 5
    trial_requests: int = 3


class FallbackSpec(Part, frozen=True, kw_only=True):
    """Who answers while the circuit is open."""

    service: str = ""


class ShadowSpec(Part, frozen=True, kw_only=True):
    """Who gets copies of requests: another service, or this one's canary."""

    service: str = ""
    canary: bool = False
    percent: int = 0
    methods: list[str] | None = None
    ignore: list[str] | None = None


class ServiceRoute(Part, frozen=True, kw_only=True):
    """`spec.route` of an AIService; defaults as its definition states them."""

    timeout_seconds: int = 60
    max_request_bytes: int | None = None
    max_response_bytes: int | None = None
    retries: int = 1
    auth: AuthSpec = AuthSpec()
    rate_limit: RateLimitSpec | None = None
    budget: BudgetSpec | None = None
    circuit_breaker: CircuitBreakerSpec | None = None
    fallback: FallbackSpec | None = None
    shadow: ShadowSpec | None = None


class AIServiceSpec(Part, frozen=True, kw_only=True):
    """What the gateway reads of an AIService's spec."""

    route: ServiceRoute = ServiceRoute()


class AIService(Part, frozen=True, kw_only=True):
    """looma.dev/v1alpha1, AIService."""

    metadata: Metadata
    spec: AIServiceSpec = AIServiceSpec()
    status: Json | None = None
