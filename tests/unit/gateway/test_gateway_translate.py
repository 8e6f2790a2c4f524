"""From objects of the Kubernetes API to the data plane: rules in their order, keys, peers and addresses."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.model import Endpoint, Target, TokenKey
from looma_engines.gateway.translate import Here, translate
from support.gateway_translation import made, with_match
from support.gateway_world import (
    Object,
    endpoint,
    gateway,
    match,
    route,
    rule,
    service,
    slice_of,
    small_world,
    snapshot,
    to,
)


def test_a_service_with_a_route_becomes_a_rule_and_a_backend() -> None:
    plane = made(*small_world()).plane
    assert plane.ready
    assert [(item.name, item.port, item.hostname) for item in plane.listeners] == [
        ("looma_looma_http", 8080, "")
    ]
    (only,) = plane.rules
    assert only.name == "looma_resume_0_0"
    assert only.service == "resume"
    assert only.targets == (Target(backend="looma_resume-stable_80", weight=1),)
    (backend,) = plane.backends
    assert (backend.name, backend.service, backend.check_path) == (
        "looma_resume-stable_80",
        "resume",
        "/readyz",
    )
    assert backend.endpoints == (Endpoint(address="10.0.0.1", port=8080, pod="pod-10.0.0.1"),)


def test_a_service_of_somebody_else_is_checked_by_a_connection() -> None:
    (backend,) = made(gateway(), service("shop"), route(rule(to("shop")))).plane.backends
    assert (backend.service, backend.check_path) == ("shop", "")


def test_keys_and_issuer_pass_through_by_id() -> None:
    keys = (TokenKey(id="b", pem="B"), TokenKey(id="a", pem="A"))
    plane = translate(snapshot(), here=Here(issuer="i", audience="u"), keys=keys).plane
    assert (plane.tokens.issuer, plane.tokens.audience) == ("i", "u")
    assert [key.id for key in plane.tokens.keys] == ["a", "b"]


def order(*routes: Object) -> list[str]:
    return [item.name for item in made(gateway(), service(), *routes).plane.rules]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (match("/a", "Exact"), match("/a/longer")),
        (match("/a", "Exact"), match("/a.*", "RegularExpression")),
        (match("/a.*", "RegularExpression"), match("/a/longer/prefix")),
        (match("/abc"), match("/ab")),
        (match("/a", method="GET"), match("/a")),
        (match("/a", method="GET"), match("/a", headers=[{"name": "x", "value": "1"}])),
        (match("/a", headers=[{"name": "x", "value": "1"}]), match("/a")),
        (
            match("/a", headers=[{"name": "x", "value": "1"}]),
            match("/a", queryParams=[{"name": "x", "value": "1"}, {"name": "y", "value": "1"}]),
        ),
        (match("/a", queryParams=[{"name": "x", "value": "1"}]), match("/a")),
    ],
)
def test_the_more_exact_match_decides(first: Object, second: Object) -> None:
    # The other one is older and first by name, so that nothing but the match decides.
    younger = with_match("zz", first, created="2025-06-01T00:00:00Z")
    assert order(with_match("aa", second), younger) == ["looma_zz_0_0", "looma_aa_0_0"]


def test_of_equal_matches_the_older_route_decides_then_the_first_by_name() -> None:
    old, new = "2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"
    assert order(with_match("a", created=new), with_match("b", created=old)) == [
        "looma_b_0_0",
        "looma_a_0_0",
    ]
    assert order(with_match("b", created=old), with_match("a", created=old)) == [
        "looma_a_0_0",
        "looma_b_0_0",
    ]


def test_of_equal_matches_in_one_route_the_first_rule_decides() -> None:
    twice = route(rule(to("resume-stable")), rule(to("resume-stable")))
    assert order(twice) == ["looma_resume_0_0", "looma_resume_1_0"]


def test_another_routes_match_lies_between_two_of_one_rule() -> None:
    long_and_short = with_match("a", match("/one/two/three"), match("/one"))
    assert order(long_and_short, with_match("b", match("/one/two"))) == [
        "looma_a_0_0",
        "looma_b_0_0",
        "looma_a_0_1",
    ]


def test_a_hostname_that_is_more_exact_decides_before_the_path() -> None:
    assert order(
        with_match("any", match("/long/path/here")),
        with_match("wild", match("/long/path"), hostnames=["*.example.org"]),
        with_match("exact", match("/"), hostnames=["a.example.org"]),
    ) == ["looma_exact_0_0", "looma_wild_0_0", "looma_any_0_0"]


def test_peers_are_the_gateways_pods_with_this_one() -> None:
    pods = slice_of(
        "gateway-peers",
        endpoint("10.0.0.7", "gateway-b", ready=False),
        endpoint("10.0.0.8", "gateway-c", ready=False, serving=True, terminating=True),
    )
    plane = made(pods, pod="gateway-a", address="10.0.0.6").plane
    assert [(peer.name, peer.address) for peer in plane.peers] == [
        ("gateway-a", "10.0.0.6"),
        ("gateway-b", "10.0.0.7"),
    ]
    assert made(pods, pod="gateway-a").plane.peers == ()


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"clusterIP": "10.1.0.1"}, {}, (("IPAddress", "10.1.0.1"),)),
        ({"clusterIP": "None"}, {}, ()),
        ({"clusterIP": "10.1.0.1", "externalIPs": ["1.2.3.4"]}, {}, (("IPAddress", "1.2.3.4"),)),
        (
            {"clusterIP": "10.1.0.1"},
            {"loadBalancer": {"ingress": [{"hostname": "lb.example.org"}, {"ip": "1.2.3.4"}]}},
            (("Hostname", "lb.example.org"), ("IPAddress", "1.2.3.4")),
        ),
    ],
)
def test_the_address_is_that_of_the_service(spec: Object, status: Object, expected: Any) -> None:
    front = service("looma-gateway", **spec)
    front["status"] = status
    (found,) = made(gateway(), front).gateways
    assert found.addresses == expected
