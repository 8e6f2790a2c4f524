"""What translation finds out about GatewayClasses, Gateways and the routes that are attached to them."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.findings import Translation
from looma_engines.gateway.translate.listeners import secrets_wanted
from support.gateway_translation import made
from support.gateway_world import (
    Object,
    gateway,
    gateway_class,
    grant,
    https,
    listener,
    pem,
    route,
    secret,
    service,
    small_world,
    snapshot,
)


def of_listener(translation: Translation, number: int = 0, gateway_number: int = 0) -> dict[str, Any]:
    found = translation.gateways[gateway_number].listeners[number]
    return {one.type: (one.holds, one.reason) for one in found.findings} | {"open": found.open}


@pytest.mark.parametrize(
    ("classes", "served"),
    [
        ([gateway_class()], True),
        ([], True),
        ([gateway_class(controller="example.org/other")], False),
        ([gateway_class("other", controller="example.org/other")], True),
    ],
)
def test_whose_gateways_are_ours(classes: list[Object], served: bool) -> None:
    translation = made(*classes, *small_world()[1:])
    assert bool(translation.plane.rules) is served
    assert bool(translation.gateways) is served
    assert bool(translation.routes) is served


def test_a_gateway_of_another_class_is_left_alone() -> None:
    translation = made(gateway(class_name="other"), service(), route())
    assert (translation.gateways, translation.routes, translation.plane.rules) == ((), (), ())


def test_the_class_is_accepted() -> None:
    (found,) = made(gateway_class()).gateway_classes
    assert [(one.type, one.holds) for one in found.findings] == [("Accepted", True)]
    assert list(found.features) == sorted(found.features)
    assert "HTTPRoute" in found.features
    assert made(gateway_class(controller="example.org/other")).gateway_classes == ()


def test_a_class_that_names_us_by_a_name_that_nobody_serves_is_refused() -> None:
    known, stray = made(gateway_class("stray"), gateway_class()).gateway_classes
    assert (known.name, stray.name) == ("looma", "stray")
    assert [(one.holds, one.reason) for one in stray.findings] == [(False, "Unsupported")]
    assert stray.features == ()


@pytest.mark.parametrize(
    "more",
    [
        {"addresses": [{"value": "1.2.3.4"}]},
        {"infrastructure": {"parametersRef": {"kind": "X", "name": "x", "group": "y"}}},
        {"tls": {"frontend": {"default": {}}}},
    ],
)
def test_a_gateway_that_asks_for_what_there_is_not_opens_nothing(more: Object) -> None:
    translation = made(gateway(**more), service(), route())
    assert translation.plane.listeners == ()
    (said,) = translation.gateways[0].findings
    assert (said.type, said.holds) == ("Accepted", False)


@pytest.mark.parametrize(
    ("spec", "condition", "reason"),
    [
        (listener(protocol="TCP"), "Accepted", "UnsupportedProtocol"),
        (listener(port=8080), "Accepted", "PortUnavailable"),
        (listener(port=443), "Accepted", "PortUnavailable"),
        (
            listener(port=443, protocol="HTTPS", tls={"mode": "Passthrough"}),
            "Accepted",
            "UnsupportedProtocol",
        ),
        (listener(port=443, protocol="HTTPS", tls={}), "ResolvedRefs", "InvalidCertificateRef"),
        (https(of="nobody"), "ResolvedRefs", "InvalidCertificateRef"),
        (https(of="broken"), "ResolvedRefs", "InvalidCertificateRef"),
        (https(of="mixed"), "ResolvedRefs", "InvalidCertificateRef"),
        (
            listener(
                port=443, protocol="HTTPS", tls={"certificateRefs": [{"name": "tls", "kind": "ConfigMap"}]}
            ),
            "ResolvedRefs",
            "InvalidCertificateRef",
        ),
        (
            listener(
                port=443, protocol="HTTPS", tls={"certificateRefs": [{"name": "tls", "namespace": "other"}]}
            ),
            "ResolvedRefs",
            "RefNotPermitted",
        ),
        (listener(allowedRoutes={"kinds": [{"kind": "TCPRoute"}]}), "ResolvedRefs", "InvalidRouteKinds"),
    ],
)
def test_a_listener_that_cannot_be_opened(spec: Object, condition: str, reason: str) -> None:
    _, other_key = pem("another.example.org")
    translation = made(
        gateway(spec),
        secret(),
        secret("broken", certificate="no certificate"),
        secret("mixed", key=other_key),
        secret("tls", namespace="other"),
    )
    assert of_listener(translation)[condition] == (False, reason)
    assert not of_listener(translation)["open"]
    assert translation.plane.listeners == ()
    assert translation.gateways[0].findings[0].reason == "ListenersNotValid"


def test_one_listener_of_two_makes_a_gateway_accepted() -> None:
    translation = made(gateway(listener(), https(of="nobody")), service(), route())
    (said,) = translation.gateways[0].findings
    assert (said.holds, said.reason) == (True, "ListenersNotValid")
    assert [item.name for item in translation.plane.listeners] == ["looma_looma_http"]
    assert len(translation.plane.rules) == 1


def test_a_kind_that_is_known_beside_one_that_is_not() -> None:
    kinds = {"kinds": [{"kind": "TCPRoute"}, {"kind": "HTTPRoute"}]}
    translation = made(gateway(listener(allowedRoutes=kinds)), service(), route())
    assert of_listener(translation)["ResolvedRefs"] == (False, "InvalidRouteKinds")
    assert translation.gateways[0].listeners[0].kinds == ("HTTPRoute",)
    assert len(translation.plane.rules) == 1


def test_a_certificate_opens_https_with_chain_and_key() -> None:
    certificate, key = pem()
    (only,) = made(gateway(https(hostname="A.example.org")), secret()).plane.listeners
    assert (only.port, only.hostname) == (8443, "a.example.org")
    assert only.certificate == certificate + key


def test_a_certificate_of_another_namespace_needs_a_grant() -> None:
    far = listener(
        port=443, protocol="HTTPS", tls={"certificateRefs": [{"name": "tls", "namespace": "other"}]}
    )
    permit = grant(namespace="other", by="looma", kind="Gateway", to_kind="Secret")
    assert made(gateway(far), secret(namespace="other"), permit).plane.listeners
    assert secrets_wanted(snapshot(gateway(far)), "looma") == {("other", "tls")}
    assert secrets_wanted(snapshot(gateway(far, class_name="other")), "looma") == set()


def test_the_older_gateway_has_the_port() -> None:
    old, new = (
        gateway(name="old"),
        gateway(listener(), listener("more", hostname="a.example.org"), name="new"),
    )
    new["metadata"]["creationTimestamp"] = "2025-06-01T00:00:00Z"
    translation = made(new, old)
    assert [item.name for item in translation.gateways] == ["old", "new"]
    assert of_listener(translation)["Conflicted"] == (False, "NoConflicts")
    assert of_listener(translation, 0, 1)["Conflicted"] == (True, "HostnameConflict")
    assert of_listener(translation, 1, 1)["Conflicted"] == (False, "NoConflicts")
    assert [item.name for item in translation.plane.listeners] == ["looma_old_http", "looma_new_more"]


def selector(**more: Any) -> Object:
    return {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": more}}}


_NAMED = {"matchLabels": {"kubernetes.io/metadata.name": "far"}}


@pytest.mark.parametrize(
    ("spec", "of_route", "reason"),
    [
        (listener(), {}, "Accepted"),
        (listener(), {"parents": [{"name": "looma", "sectionName": "https"}]}, "NoMatchingParent"),
        (listener(), {"parents": [{"name": "looma", "sectionName": "http", "port": 80}]}, "Accepted"),
        (listener(), {"parents": [{"name": "looma", "port": 81}]}, "NoMatchingParent"),
        (listener(), {"namespace": "far"}, "NotAllowedByListeners"),
        (listener(allowedRoutes={"namespaces": {"from": "All"}}), {"namespace": "far"}, "Accepted"),
        (listener(**selector(**_NAMED)), {"namespace": "far"}, "Accepted"),
        (listener(**selector(**_NAMED)), {}, "NotAllowedByListeners"),
        (listener(**selector(matchLabels={"team": "far"})), {"namespace": "far"}, "NotAllowedByListeners"),
        (
            listener(
                **selector(
                    matchExpressions=[
                        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["far"]}
                    ]
                )
            ),
            {"namespace": "far"},
            "Accepted",
        ),
        (listener(hostname="a.example.org"), {"hostnames": ["b.example.org"]}, "NoMatchingListenerHostname"),
        (https(of="nobody"), {}, "NoOpenListener"),
        (listener(allowedRoutes={"kinds": [{"kind": "TCPRoute"}]}), {}, "NotAllowedByListeners"),
    ],
)
def test_whether_a_route_is_taken(spec: Object, of_route: dict[str, Any], reason: str) -> None:
    translation = made(gateway(spec), service(), service(namespace="far"), route(**of_route))
    (found,) = translation.routes
    said = {one.type: one for one in found.parents[0].findings}
    assert said["Accepted"].reason == reason
    assert said["Accepted"].holds is (reason == "Accepted")
    assert bool(translation.plane.rules) is (reason == "Accepted")
    assert translation.gateways[0].listeners[0].attached == int(reason in ("Accepted", "NoOpenListener"))


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [{"name": "nobody"}],
        [{"name": "looma", "kind": "Service", "group": ""}],
        [{"name": "looma", "namespace": "other"}],
    ],
)
def test_a_route_of_somebody_elses_parent_is_left_alone(parents: list[Object]) -> None:
    translation = made(gateway(), service(), route(parents=parents))
    assert (translation.routes, translation.plane.rules) == ((), ())


def test_a_route_counts_once_at_a_listener_however_often_it_names_it() -> None:
    twice = [{"name": "looma", "sectionName": "http"}, {"name": "looma", "sectionName": "more"}]
    spec = gateway(listener(), listener("more", hostname="a.example.org"))
    translation = made(spec, service(), route(parents=twice), route(name="other"))
    assert [item.attached for item in translation.gateways[0].listeners] == [2, 2]
    assert [len(item.parents) for item in translation.routes] == [1, 2]
