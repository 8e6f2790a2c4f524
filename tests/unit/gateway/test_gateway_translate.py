"""From objects of the Kubernetes API to the data plane: routing, policy, endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.findings import Translation
from looma_engines.gateway.model import (
    Auth,
    Budget,
    CircuitBreaker,
    Endpoint,
    HeaderChange,
    Match,
    MatchKind,
    NamedMatch,
    PathRewrite,
    Policy,
    RateLimit,
    RateLimitPer,
    Redirect,
    Rule,
    Target,
    TokenKey,
)
from looma_engines.gateway.objects import Expression, Selector
from looma_engines.gateway.translate import Here, translate
from looma_engines.gateway.translate.hostnames import intersection, left_of, narrower
from looma_engines.gateway.translate.policy import seconds
from looma_engines.gateway.translate.selectors import selects_namespace
from support.gateway_world import (
    Object,
    ai_service,
    endpoint,
    gateway,
    gateway_class,
    grant,
    https,
    listener,
    match,
    namespace,
    route,
    rule,
    secret,
    service,
    slice_of,
    small_world,
    snapshot,
    to,
)


def made(*documents: Object, **here: Any) -> Translation:
    return translate(snapshot(*documents), here=Here(**here), keys=())


def the_rule(translation: Translation) -> Rule:
    (only,) = translation.plane.rules
    return only


def finding(translation: Translation, kind: str, name: str = "resume") -> tuple[bool, str] | None:
    (found,) = [item for item in translation.routes if item.name == name]
    said = {one.type: (one.holds, one.reason) for one in found.parents[0].findings}
    return said.get(kind)


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


# Hostnames


@pytest.mark.parametrize(
    ("listener_name", "route_name", "both"),
    [
        ("", "", ""),
        ("", "a.example.org", "a.example.org"),
        ("a.example.org", "", "a.example.org"),
        ("A.example.org", "a.example.ORG", "a.example.org"),
        ("a.example.org", "b.example.org", None),
        ("*.example.org", "a.example.org", "a.example.org"),
        ("*.example.org", "b.a.example.org", "b.a.example.org"),
        ("*.example.org", "example.org", None),
        ("*.example.org", "badexample.org", None),
        ("a.example.org", "*.example.org", "a.example.org"),
        ("*.example.org", "*.example.org", "*.example.org"),
        ("*.example.org", "*.a.example.org", "*.a.example.org"),
        ("*.a.example.org", "*.example.org", "*.a.example.org"),
        ("*.example.org", "*.example.com", None),
    ],
)
def test_where_hostnames_meet(listener_name: str, route_name: str, both: str | None) -> None:
    assert intersection(listener_name, route_name) == both


def test_a_rule_holds_for_the_hostnames_that_listener_and_route_share() -> None:
    translation = made(
        gateway(listener(hostname="*.example.org")),
        service(),
        route(hostnames=["a.example.org", "b.example.org", "a.example.com"]),
    )
    assert the_rule(translation).hostnames == ("a.example.org", "b.example.org")


# Precedence


def order(*routes: Object) -> list[str]:
    return [item.name for item in made(gateway(), service(), *routes).plane.rules]


def with_match(name: str, *matches: Object, **more: Any) -> Object:
    return route(rule(to("resume-stable"), matches=list(matches)), name=name, **more)


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


# Matches and filters


def test_a_match_is_taken_over_with_all_of_its_parts() -> None:
    given = match(
        "/a/",
        method="POST",
        headers=[
            {"name": "X-One", "value": "1"},
            {"name": "x-one", "value": "2"},
            {"name": "X-Two", "value": "a+", "type": "RegularExpression"},
        ],
        queryParams=[{"name": "Q", "value": "1"}],
    )
    translation = made(gateway(), service(), with_match("resume", given))
    assert the_rule(translation).matches == (
        Match(
            path="/a",
            method="POST",
            headers=(
                NamedMatch(name="x-one", value="1"),
                NamedMatch(name="x-two", value="a+", kind=MatchKind.REGEX),
            ),
            query=(NamedMatch(name="Q", value="1"),),
        ),
    )


def test_a_rule_without_matches_takes_every_request() -> None:
    bare = route({"backendRefs": [to("resume-stable")]})
    assert the_rule(made(gateway(), service(), bare)).matches == (Match(),)


def with_filters(*filters: Object, **more: Any) -> Translation:
    path = more.pop("path", "/")
    backends = [to("resume-stable")] if not any("requestRedirect" in item for item in filters) else []
    return made(
        gateway(),
        service(),
        route(rule(*backends, matches=[match(path, **more)], filters=list(filters))),
    )


def test_headers_are_changed() -> None:
    change = {"set": [{"name": "A", "value": "1"}], "add": [{"name": "B", "value": "2"}], "remove": ["C"]}
    only = the_rule(
        with_filters(
            {"type": "RequestHeaderModifier", "requestHeaderModifier": change},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["D"]}},
        )
    )
    assert only.request_headers == HeaderChange(set=(("A", "1"),), add=(("B", "2"),), remove=("C",))
    assert only.response_headers == HeaderChange(remove=("D",))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"scheme": "https", "statusCode": 301}, Redirect(status=301, scheme="https", port=443)),
        ({"hostname": "B.example.org"}, Redirect(hostname="b.example.org")),
        ({"port": 8443, "scheme": "https"}, Redirect(scheme="https", port=8443)),
        (
            {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}},
            Redirect(path=PathRewrite(value="/new")),
        ),
        (
            {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}},
            Redirect(path=PathRewrite(value="/", prefix=True)),
        ),
    ],
)
def test_a_redirect(asked: Object, expected: Redirect) -> None:
    only = the_rule(with_filters({"type": "RequestRedirect", "requestRedirect": asked}))
    assert (only.redirect, only.targets) == (expected, ())


def test_host_and_path_are_rewritten() -> None:
    asked = {
        "hostname": "inside.example.org",
        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"},
    }
    only = the_rule(with_filters({"type": "URLRewrite", "urlRewrite": asked}, path="/old"))
    assert only.rewrite_hostname == "inside.example.org"
    assert only.rewrite_path == PathRewrite(value="/x", prefix=True)


_REWRITE: Object = {"type": "URLRewrite"}


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ([{"type": "RequestMirror", "requestMirror": {}}], "UnsupportedValue"),
        ([{"type": "ExtensionRef", "extensionRef": {}}], "UnsupportedValue"),
        ([_REWRITE, _REWRITE], "IncompatibleFilters"),
        (
            [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["A"]}},
                {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}},
            ],
            "UnsupportedValue",
        ),
        (
            [
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": "A", "value": "a\nX-Evil: 1"}]},
                }
            ],
            "UnsupportedValue",
        ),
        (
            [
                {
                    "type": "URLRewrite",
                    "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a b"}},
                }
            ],
            "UnsupportedValue",
        ),
    ],
)
def test_a_filter_that_is_not_known_answers_500_and_is_said(filters: list[Object], reason: str) -> None:
    translation = with_filters(*filters)
    assert the_rule(translation).targets == (Target(backend=""),)
    assert the_rule(translation).request_headers == HeaderChange()
    assert finding(translation, "Accepted") == (False, reason)


def test_filters_of_a_single_backend_are_not_known() -> None:
    backend = to("resume-stable", filters=[{"type": "RequestHeaderModifier"}])
    translation = made(gateway(), service(), route(rule(backend)))
    assert the_rule(translation).targets == (Target(backend=""),)


def test_one_wrong_rule_of_two_leaves_the_other() -> None:
    wrong = rule(to("resume-stable"), matches=[match("/w")], filters=[{"type": "RequestMirror"}])
    translation = made(gateway(), service(), route(wrong, rule(to("resume-stable"))))
    assert [item.targets[0].backend for item in translation.plane.rules] == ["", "looma_resume-stable_80"]
    assert finding(translation, "Accepted") == (True, "Accepted")
    assert finding(translation, "PartiallyInvalid") == (True, "UnsupportedValue")


@pytest.mark.parametrize(
    "pattern", ["(", "(?P<x>a)", r"\Aa", r"a\1", "[[:alpha:]]", "(?#x)", "(*FAIL)", "a\nb", "(?<=a)b"]
)
def test_a_regular_expression_that_haproxy_may_read_otherwise_is_refused(pattern: str) -> None:
    translation = made(gateway(), service(), with_match("resume", match(pattern, "RegularExpression")))
    assert translation.plane.rules == ()
    assert finding(translation, "Accepted") == (False, "UnsupportedValue")


@pytest.mark.parametrize("pattern", [r"/v\d+/.*", "/(?:a|b)", "/(?=a)a", "(?i)/a", r"/a\.b", "/a{2,3}"])
def test_a_plain_regular_expression_is_taken(pattern: str) -> None:
    translation = made(gateway(), service(), with_match("resume", match(pattern, "RegularExpression")))
    assert the_rule(translation).matches[0].path == pattern


# Backends


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"name": "b", "kind": "Bucket", "group": "example.org", "port": 80}, "InvalidKind"),
        ({"name": "resume-stable"}, "InvalidKind"),
        (to("nobody"), "BackendNotFound"),
        (to("resume-stable", port=81), "BackendNotFound"),
        (to("elsewhere"), "BackendNotFound"),
        (to("there", namespace="other"), "RefNotPermitted"),
        (to("tls"), "UnsupportedProtocol"),
    ],
)
def test_a_backend_that_cannot_be_resolved_keeps_its_share(reference: Object, reason: str) -> None:
    translation = made(
        gateway(),
        service(),
        service("elsewhere", type="ExternalName"),
        service("there", namespace="other"),
        service("tls", ports=[{"name": "x", "port": 80, "appProtocol": "https"}]),
        route(rule(to("resume-stable", 3), {**reference, "weight": 1})),
    )
    assert the_rule(translation).targets == (
        Target(backend="looma_resume-stable_80", weight=3),
        Target(backend="", weight=1),
    )
    assert finding(translation, "Accepted") == (True, "Accepted")
    assert finding(translation, "ResolvedRefs") == (False, reason)


@pytest.mark.parametrize(
    ("given", "permitted"),
    [
        (grant(namespace="other", by="looma"), True),
        (grant(namespace="other", by="looma", name="there"), True),
        (grant(namespace="other", by="looma", name="another"), False),
        (grant(namespace="other", by="shop"), False),
        (grant(namespace="looma", by="looma"), False),
        (grant(namespace="other", by="looma", kind="Gateway"), False),
        (grant(namespace="other", by="looma", to_kind="Secret"), False),
    ],
)
def test_another_namespaces_service_needs_a_grant(given: Object, permitted: bool) -> None:
    translation = made(
        gateway(), service("there", namespace="other"), given, route(rule(to("there", namespace="other")))
    )
    assert finding(translation, "ResolvedRefs") == (
        (True, "ResolvedRefs") if permitted else (False, "RefNotPermitted")
    )
    assert the_rule(translation).targets[0].backend == ("other_there_80" if permitted else "")


def test_weights_of_one_service_add_up_and_zero_keeps_its_place() -> None:
    translation = made(
        gateway(),
        service(),
        service("resume-canary"),
        route(rule(to("resume-stable", 60), to("resume-canary", 0), to("resume-stable", 40))),
    )
    assert the_rule(translation).targets == (
        Target(backend="looma_resume-stable_80", weight=100),
        Target(backend="looma_resume-canary_80", weight=0),
    )


def test_without_any_weight_every_request_gets_500() -> None:
    translation = made(gateway(), service(), route(rule(to("resume-stable", 0))))
    assert the_rule(translation).targets == (Target(backend="", weight=1),)


# Endpoints


def endpoints(*slices: Object, **of_service: Any) -> list[tuple[str, int, bool]]:
    (backend,) = made(gateway(), service(**of_service), route(), *slices).plane.backends
    return [(item.address, item.port, item.draining) for item in backend.endpoints]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [("10.0.0.1", 8080, False)]),
        ({"ready": False}, []),
        ({"ready": False, "serving": True, "terminating": True}, [("10.0.0.1", 8080, True)]),
        ({"ready": True, "serving": True, "terminating": True}, [("10.0.0.1", 8080, True)]),
        ({"ready": False, "serving": False, "terminating": True}, []),
        ({"ready": False, "terminating": True}, []),
        ({"ready": True, "serving": True, "terminating": False}, [("10.0.0.1", 8080, False)]),
    ],
)
def test_which_pods_take_requests(conditions: dict[str, bool], expected: list[Any]) -> None:
    assert endpoints(slice_of("resume-stable", endpoint("10.0.0.1", **conditions))) == expected


def test_a_pod_in_two_slices_is_there_once_and_one_that_takes_wins() -> None:
    going = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    first = slice_of("resume-stable", going, endpoint("10.0.0.2"))
    second = slice_of("resume-stable", endpoint("10.0.0.1", pod="new"), endpoint("10.0.0.2"), part="b")
    assert endpoints(first, second) == [("10.0.0.1", 8080, False), ("10.0.0.2", 8080, False)]


def test_the_port_is_found_by_its_name() -> None:
    ports = [{"name": "admin", "port": 81}, {"name": "http", "port": 80}]
    other = slice_of("resume-stable", endpoint("10.0.0.1"), port=9000, port_name="admin")
    ours = slice_of("resume-stable", endpoint("10.0.0.1"), part="b")
    assert endpoints(other, ours, ports=ports) == [("10.0.0.1", 8080, False)]


def test_a_pod_of_both_families_counts_once() -> None:
    four = slice_of("resume-stable", endpoint("10.0.0.1"))
    six = slice_of("resume-stable", endpoint("fd00::1"), part="b", family="IPv6")
    assert endpoints(four, six) == [("10.0.0.1", 8080, False)]
    assert endpoints(four, six, ipFamilies=["IPv6", "IPv4"]) == [("fd00::1", 8080, False)]
    assert endpoints(six, ipFamilies=["IPv4", "IPv6"]) == [("fd00::1", 8080, False)]


def test_empty_slices_are_read() -> None:
    empty = slice_of("resume-stable")
    empty["endpoints"], empty["ports"] = None, None
    assert endpoints(empty) == []


# Policy


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


# Shares


def test_a_split_names_the_revisions_of_its_services() -> None:
    translation = made(
        gateway(),
        ai_service(),
        service(of="resume", revision="r1"),
        service("resume-canary", of="resume", revision="r2"),
        route(
            rule(
                to("resume-stable", 95),
                to("resume-canary", 5),
                matches=[match("/api/v1/a"), match("/api/v1/b")],
            ),
            of="resume",
        ),
    )
    (split,) = translation.splits
    assert (split.namespace, split.service) == ("looma", "resume")
    assert split.rules == ("looma_resume_0_0", "looma_resume_0_1")
    assert split.backends == ("looma_resume-stable_80", "looma_resume-canary_80")
    assert split.revisions == ("r1", "r2")
    assert made(gateway(), service(), route()).splits == ()


# Peers and addresses


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


# Ports: one list of rules, told apart by the port that a request came in at


def test_a_route_of_one_listener_holds_for_its_port_alone() -> None:
    world = [gateway(listener(), https()), secret(), service()]
    at_https = route(parents=[{"name": "looma", "sectionName": "https"}])
    assert the_rule(made(*world, at_https)).matches[0].ports == (8443,)
    assert the_rule(made(*world, route())).matches[0].ports == ()
    at_port = route(parents=[{"name": "looma", "port": 80}])
    assert the_rule(made(*world, at_port)).matches[0].ports == (8080,)


def test_hostnames_that_differ_by_listener_are_rules_of_their_own() -> None:
    world = [gateway(listener(), https(hostname="a.example.org")), secret(), service(), gateway_class()]
    found = made(*world, route()).plane.rules
    assert [(item.hostnames, item.matches[0].ports) for item in found] == [
        (("a.example.org",), (8443,)),
        ((), (8080,)),
    ]
    assert len({item.name for item in found}) == 2


@pytest.mark.parametrize(
    ("hostname", "others", "expected"),
    [
        ("", ["*.example.org"], ("*.example.org",)),
        ("*.example.org", ["a.example.org"], ("a.example.org",)),
        ("a.example.org", ["*.example.org"], None),
        ("a.example.org", ["a.example.org"], None),
        ("*.a.example.org", ["*.example.org"], None),
        ("*.example.org", ["*.example.com"], ()),
        ("", [], ()),
    ],
)
def test_what_other_listeners_leave_of_a_hostname(
    hostname: str, others: list[str], expected: tuple[str, ...] | None
) -> None:
    assert left_of(hostname, others) == expected


def test_narrower_hostnames_are_those_within() -> None:
    known = ["", "*.example.org", "a.example.org", "*.a.example.org", "a.example.com"]
    assert narrower(known, "") == ("*.a.example.org", "*.example.org", "a.example.com", "a.example.org")
    assert narrower(known, "*.example.org") == ("*.a.example.org", "a.example.org")
    assert narrower(known, "a.example.org") == ()


def test_a_hostname_is_its_own_listeners_and_no_wider_ones() -> None:
    world = [
        gateway(
            listener("any"),
            listener("some", hostname="*.example.org"),
            listener("one", hostname="a.example.org"),
        ),
        service(),
    ]

    def at(section: str, *hostnames: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        parents = [{"name": "looma", "sectionName": section}]
        translation = made(*world, route(parents=parents, hostnames=list(hostnames)))
        assert finding(translation, "Accepted") == (True, "Accepted")
        return [(item.hostnames, item.other_hostnames) for item in translation.plane.rules]

    assert at("any") == [((), ("*.example.org", "a.example.org"))]
    assert at("some") == [(("*.example.org",), ("a.example.org",))]
    assert at("one") == [(("a.example.org",), ())]
    # The route is attached, and a narrower listener has all that it asks for.
    assert at("some", "a.example.org") == []
    assert at("any", "b.example.org", "b.example.com") == [(("b.example.com",), ())]


def test_a_listener_that_is_not_open_keeps_its_hostname() -> None:
    world = [gateway(https(), https("one", of="nobody", hostname="a.example.org")), secret(), service()]
    (only,) = made(*world, route(parents=[{"name": "looma", "sectionName": "https"}])).plane.rules
    assert only.other_hostnames == ("a.example.org",)


# What is refused one by one


@pytest.mark.parametrize(
    "given",
    [
        match("/a", "Somehow"),
        match("no-slash"),
        match("/a\x00"),
        match("/a", method="G T"),
        match("/a", headers=[{"name": "a b", "value": "1"}]),
        match("/a", headers=[{"name": "a", "value": "1\n2"}]),
        match("/a", headers=[{"name": "a", "value": "1", "type": "PathPrefix"}]),
        match("/a", queryParams=[{"name": "a", "value": "(", "type": "RegularExpression"}]),
        match("/a", queryParams=[{"name": "a", "value": "[a--b]", "type": "RegularExpression"}]),
    ],
)
def test_a_match_that_cannot_be_made_is_said(given: Object) -> None:
    translation = made(gateway(), service(), with_match("resume", given, match("/good")))
    # Its other match is answered with 500: which requests were meant is not known.
    assert [(item.matches[0].path, item.targets) for item in translation.plane.rules] == [
        ("/good", (Target(backend=""),))
    ]
    assert finding(translation, "Accepted") == (False, "UnsupportedValue")


def _redirect(**asked: Any) -> Object:
    return {"type": "RequestRedirect", "requestRedirect": asked}


@pytest.mark.parametrize(
    "given",
    [
        {"type": "RequestRedirect"},
        _redirect(scheme="ftp"),
        _redirect(statusCode=200),
        _redirect(hostname="a b"),
        _redirect(path={"type": "Other", "replaceFullPath": "/a"}),
        _redirect(path={"type": "ReplaceFullPath", "replaceFullPath": "/a?b"}),
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a b"]}},
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "", "value": "1"}]}},
    ],
)
def test_a_filter_that_cannot_be_made_is_said(given: Object) -> None:
    translation = made(gateway(), service(), route(rule(filters=[given])))
    assert the_rule(translation).targets == (Target(backend=""),)
    assert the_rule(translation).redirect is None
    assert finding(translation, "Accepted") == (False, "UnsupportedValue")


def test_a_prefix_is_replaced_only_where_one_matched() -> None:
    asked = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    exact = rule(to("resume-stable"), matches=[match("/a", "Exact")], filters=[asked])
    assert finding(made(gateway(), service(), route(exact)), "Accepted") == (False, "UnsupportedValue")


def test_a_redirect_goes_with_no_backend() -> None:
    both = rule(to("resume-stable"), filters=[_redirect(scheme="https")])
    assert finding(made(gateway(), service(), route(both)), "Accepted") == (False, "IncompatibleFilters")


def test_an_unknown_way_to_count_counts_all_together() -> None:
    limit = policy_of(rateLimit={"requestsPerSecond": 1, "burst": 5, "per": "moon"}).rate_limit
    assert limit == RateLimit(requests_per_second=1, burst=5, per=RateLimitPer.SERVICE)


@pytest.mark.parametrize(
    ("operator", "key", "values", "holds"),
    [
        ("In", "kubernetes.io/metadata.name", ["far"], True),
        ("In", "kubernetes.io/metadata.name", ["near"], False),
        ("In", "team", ["far"], False),
        ("NotIn", "kubernetes.io/metadata.name", ["near"], True),
        ("NotIn", "kubernetes.io/metadata.name", ["far"], False),
        ("NotIn", "team", ["far"], True),
        ("Exists", "kubernetes.io/metadata.name", None, True),
        ("Exists", "team", None, False),
        ("DoesNotExist", "team", None, True),
        ("DoesNotExist", "kubernetes.io/metadata.name", None, False),
        ("Near", "kubernetes.io/metadata.name", ["far"], False),
    ],
)
def test_namespaces_are_selected_by_their_names(
    operator: str, key: str, values: list[str] | None, *, holds: bool
) -> None:
    expression = Expression(operator=operator, key=key, values=values)
    assert selects_namespace(Selector(match_expressions=[expression]), "far", {}) is holds
    assert selects_namespace(Selector(), "far", {})
    assert not selects_namespace(None, "far", {})


def test_a_namespace_is_selected_by_its_labels_and_its_name_is_not_theirs_to_say() -> None:
    labelled = Selector(match_labels={"team": "search"})
    assert selects_namespace(labelled, "far", {"team": "search"})
    assert not selects_namespace(labelled, "far", {"team": "other"})
    named = Selector(match_labels={"kubernetes.io/metadata.name": "near"})
    assert not selects_namespace(named, "far", {"kubernetes.io/metadata.name": "near"})


def test_a_listener_that_selects_by_labels_takes_routes_of_such_namespaces() -> None:
    chosen = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "search"}}}}
    world = [gateway(listener(allowedRoutes=chosen)), service(namespace="far"), route(namespace="far")]
    assert made(*world).plane.rules == ()
    assert finding(made(*world), "Accepted") == (False, "NotAllowedByListeners")
    assert the_rule(made(*world, namespace("far", team="search"))).name == "far_resume_0_0"
