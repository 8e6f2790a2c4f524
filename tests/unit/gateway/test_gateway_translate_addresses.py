"""Gateways with an address of their own: which ports of the pods are theirs, and whose requests come in there."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.findings import Translation
from looma_engines.gateway.translate import Here, translate
from looma_engines.gateway.translate.addresses import own
from looma_engines.gateway.translate.index import index
from support.gateway_world import (
    Object,
    address_of,
    gateway,
    https,
    listener,
    match,
    route,
    rule,
    secret,
    service,
    snapshot,
    to,
)

AT = "looma/second"


def made(*documents: Object) -> Translation:
    return translate(snapshot(*documents), here=Here(), keys=())


def ports_of(*documents: Object) -> dict[tuple[str, str], dict[int, int]]:
    """Port by port of each Gateway's own address."""
    found = own(index(snapshot(*documents)), "looma")
    return {name: {port: at for (port, _), at in address.ports.items()} for name, address in found.items()}


def second(*listeners: Object, name: str = "second", created: str = "2025-01-02T00:00:00Z") -> Object:
    """A Gateway beside the release's own, younger than that."""
    document = gateway(*listeners, name=name)
    document["metadata"]["creationTimestamp"] = created
    return document


def said(translation: Translation, gateway_name: str, number: int = 0) -> dict[str, Any]:
    (found,) = [item for item in translation.gateways if item.name == gateway_name]
    listened = found.listeners[number]
    return {one.type: (one.holds, one.reason) for one in listened.findings} | {"open": listened.open}


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ([address_of(AT, (80, 20001), (443, 20002))], {("looma", "second"): {80: 20001, 443: 20002}}),
        ([address_of(AT, (80, 8081))], {("looma", "second"): {}}),
        ([address_of(AT, (80, "http"))], {("looma", "second"): {}}),
        ([address_of(AT, (80, 30000))], {("looma", "second"): {}}),
        ([address_of(AT, (80, 20001), (81, 20001))], {("looma", "second"): {80: 20001}}),
        (
            [address_of(AT, (80, 20001), name="b"), address_of(AT, (80, 20002), name="a")],
            {("looma", "second"): {80: 20002}},
        ),
        (
            [address_of(AT, (80, 20001)), address_of("looma/third", (80, 20001))],
            {("looma", "second"): {80: 20001}, ("looma", "third"): {}},
        ),
        ([address_of(AT, (80, 20001), namespace="far")], {}),
        ([address_of("second", (80, 20001))], {}),
        ([service()], {}),
    ],
)
def test_ports_of_own_addresses(
    services: list[Object], expected: dict[tuple[str, str], dict[int, int]]
) -> None:
    assert ports_of(*services) == expected
    assert ports_of(*reversed(services)) == expected


def test_two_gateways_with_one_port_and_address_are_in_each_others_way_and_with_two_are_not() -> None:
    world = [gateway(), second(), service()]
    shared = made(*world)
    assert said(shared, "looma")["open"]
    assert said(shared, "second")["Conflicted"] == (True, "HostnameConflict")
    apart = made(*world, address_of(AT, (80, 20001), clusterIP="10.1.0.9"))
    assert said(apart, "second") == {
        "Accepted": (True, "Accepted"),
        "Conflicted": (False, "NoConflicts"),
        "ResolvedRefs": (True, "ResolvedRefs"),
        "open": True,
    }
    assert sorted(item.port for item in apart.plane.listeners) == [8080, 20001]
    assert {item.name: item.addresses for item in apart.gateways} == {
        "looma": (),
        "second": (("IPAddress", "10.1.0.9"),),
    }


def test_a_route_holds_at_its_own_gateways_address_alone() -> None:
    world = [gateway(), second(), service(), address_of(AT, (80, 20001))]
    here = route(name="here")
    there = route(name="there", parents=[{"name": "second"}])
    both = route(name="both", parents=[{"name": "looma"}, {"name": "second"}])
    found = {item.name: item.matches[0].ports for item in made(*world, here, there, both).plane.rules}
    assert found == {"looma_here_0_0": (8080,), "looma_there_0_0": (20001,), "looma_both_0_0": ()}


def test_any_port_that_the_service_has_may_be_asked_for() -> None:
    world = [
        second(listener(port=8080), listener("odd", 81), https(), listener("none", 82)),
        secret(),
        address_of(AT, (8080, 20001), (81, 20002), (443, 20003)),
    ]
    translation = made(*world)
    assert [said(translation, "second", number)["open"] for number in range(4)] == [True, True, True, False]
    assert said(translation, "second", 3)["Accepted"] == (False, "PortUnavailable")
    assert {item.port: bool(item.certificate) for item in translation.plane.listeners} == {
        20001: False,
        20002: False,
        20003: True,
    }


def test_a_port_speaks_one_protocol() -> None:
    plain, secure = listener("plain", 443), https(hostname="a.example.org")
    translation = made(second(plain, secure), secret(), address_of(AT, (443, 20001)))
    assert said(translation, "second", 0)["open"]
    assert said(translation, "second", 1)["Conflicted"] == (True, "ProtocolConflict")
    assert [item.port for item in translation.plane.listeners] == [20001]


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ({"hostname": "b.example.org"}, {80: None, 8080: 8080}),
        ({"hostname": "b.example.org", "port": 9000}, {80: 9000, 8080: 9000}),
        ({"scheme": "https"}, {80: 443, 8080: 443}),
    ],
)
def test_a_redirect_keeps_the_listeners_port(redirect: Object, expected: dict[int, int | None]) -> None:
    sent = {"type": "RequestRedirect", "requestRedirect": redirect}
    world = [second(listener(), listener("other", 8080)), address_of(AT, (80, 20080), (8080, 28080))]
    at = route(rule(matches=[match()], filters=[sent]), parents=[{"name": "second"}])
    found = {}
    for item in made(*world, at).plane.rules:
        assert item.redirect is not None
        for port in item.matches[0].ports or (20080, 28080):
            found[{20080: 80, 28080: 8080}[port]] = item.redirect.port
    assert found == expected


def test_rules_of_an_unusual_port_go_by_names_of_their_own() -> None:
    world = [
        second(listener(), listener("other", 8080)),
        address_of(AT, (80, 20080), (8080, 28080)),
        service(),
    ]
    found = made(*world, route(rule(to("resume-stable")), parents=[{"name": "second"}])).plane.rules
    assert {item.name: item.matches[0].ports for item in found} == {
        "looma_resume_0_0": (20080,),
        "looma_resume_0_0_1": (28080,),
    }
