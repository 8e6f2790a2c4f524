"""What an AIService's route says beyond HTTPRoute, and timeouts."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.model import Auth, Budget, CircuitBreaker, Policy, RateLimit, RateLimitPer
from looma_engines.gateway.translate.policy import seconds
from support.gateway_translation import made, the_rule
from support.gateway_world import Object, ai_service, gateway, listener, route, rule, service, small_world, to


def policy_of(**of_route: Any) -> Policy:
    return the_rule(made(*small_world(**of_route), service("other-stable"))).policy


def test_without_a_word_an_ai_service_needs_a_token() -> None:
    assert policy_of() == Policy(timeout_seconds=60, retries=1, auth=Auth(required=True))


def test_all_of_an_ai_services_route_is_taken_over() -> None:
    found = policy_of(
        timeoutSeconds=5,
        maxRequestBytes=1000,
        maxResponseBytes=2000,
        retries=2,
        auth={"required": True, "roles": ["b", "a", "b"]},
        rateLimit={"requestsPerSecond": 10, "per": "subject"},
        budget={"units": 100, "costHeader": "X-Tokens"},
        circuitBreaker={"windowSeconds": 20, "errorPercent": 25},
        fallback={"service": "other"},
    )
    assert found == Policy(
        timeout_seconds=5,
        max_request_bytes=1000,
        max_response_bytes=2000,
        retries=2,
        auth=Auth(required=True, roles=("a", "b")),
        rate_limit=RateLimit(requests_per_second=10, burst=10, per=RateLimitPer.SUBJECT),
        budget=Budget(units=100, window_seconds=60, per=RateLimitPer.SERVICE, cost_header="X-Tokens"),
        circuit_breaker=CircuitBreaker(
            window_seconds=20, min_requests=20, error_percent=25, open_seconds=5, trial_requests=3
        ),
        fallback="looma_other-stable_80",
    )


def test_the_fallbacks_backend_is_there_and_a_missing_one_is_none() -> None:
    translation = made(*small_world(fallback={"service": "other"}), service("other-stable", of="other"))
    assert [item.name for item in translation.plane.backends] == [
        "looma_other-stable_80",
        "looma_resume-stable_80",
    ]
    assert policy_of(fallback={"service": "nobody"}).fallback == ""


def test_a_route_whose_ai_service_is_not_known_needs_a_token() -> None:
    world = [item for item in small_world(auth={"required": False}) if item["kind"] != "AIService"]
    assert the_rule(made(*world)).policy.auth == Auth(required=True)
    # Nor does one count that was made anew under the same name.
    another = ai_service(auth={"required": False})
    another["metadata"]["uid"] = "uid-of-another"
    assert the_rule(made(*world, another)).policy.auth == Auth(required=True)


def test_a_route_of_nobody_needs_none() -> None:
    assert the_rule(made(gateway(), service(), route())).policy == Policy()


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("60s", 60),
        ("1m30s", 90),
        ("1h", 3600),
        ("500ms", 1),
        ("1500ms", 2),
        ("1s100ms", 2),
        ("2s1ms", 3),
        ("0s", 86400),
        ("0ms", 86400),
        ("99999h", 86400),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_durations(duration: str | None, expected: int | None) -> None:
    assert seconds(duration) == expected


@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        (None, 7),
        ({"request": "3s"}, 3),
        ({"request": "9s", "backendRequest": "4s"}, 4),
        ({"request": "0s", "backendRequest": "4s"}, 4),
        ({"request": "0s"}, 86400),
    ],
)
def test_the_routes_own_timeout_goes_first(timeouts: Object | None, expected: int) -> None:
    world = [item for item in small_world(timeoutSeconds=7) if item["kind"] != "HTTPRoute"]
    more = {} if timeouts is None else {"timeouts": timeouts}
    translation = made(*world, route(rule(to("resume-stable"), **more), of="resume"))
    assert the_rule(translation).policy.timeout_seconds == expected


def test_a_service_of_another_namespace_has_a_label_of_its_own() -> None:
    far = route(of="resume", namespace="far")
    translation = made(
        gateway(listener(allowedRoutes={"namespaces": {"from": "All"}})),
        ai_service(namespace="far"),
        service(namespace="far", of="resume"),
        far,
    )
    assert the_rule(translation).service == "far_resume"


def test_an_unknown_way_to_count_counts_all_together() -> None:
    limit = policy_of(rateLimit={"requestsPerSecond": 1, "burst": 5, "per": "moon"}).rate_limit
    assert limit == RateLimit(requests_per_second=1, burst=5, per=RateLimitPer.SERVICE)
