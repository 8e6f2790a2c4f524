"""Which listener a route's requests come in at: hostnames, ports and the namespaces that a listener takes."""

from __future__ import annotations

import pytest

from looma_engines.gateway.objects import Expression, Selector
from looma_engines.gateway.translate.hostnames import intersection, left_of, narrower
from looma_engines.gateway.translate.selectors import selects_namespace
from support.gateway_translation import finding, made, the_rule
from support.gateway_world import gateway, gateway_class, https, listener, namespace, route, secret, service


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
