"""Shadows on the real HAProxy: the engine hears of exactly the share, and a caller can say nothing about it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from looma_engines.gateway.model import (
    Backend,
    DataPlane,
    Endpoint,
    Match,
    Peer,
    Policy,
    Rule,
    Shadow,
    Target,
)
from support.haproxy import free_ports

ENGINE, CANARY, OTHER = "looma_a-stable_80", "looma_a-canary_80", "looma_b-stable_80"
HEADER = "x-looma-shadow"


def plane(ports: dict[str, int], shadow: Shadow | None, *targets: Target, **policy: Any) -> DataPlane:
    """A rule with a shadow, and one beside it without."""
    return DataPlane(
        ready=True,
        rules=(
            Rule(
                name="looma/a/0",
                service="a",
                matches=(Match(path="/a"),),
                targets=targets or (Target(backend=ENGINE),),
                policy=Policy(shadow=shadow, **policy),
            ),
            Rule(name="looma/free/0", targets=(Target(backend=ENGINE),)),
        ),
        backends=tuple(
            Backend(
                name=name, service="a", endpoints=(Endpoint(address="127.0.0.1", port=port),), check_path=""
            )
            for name, port in ports.items()
        ),
    )


def heard(answer: Any) -> list[str]:
    """The services that the engine was told of."""
    assert answer.status_code == 200, answer.text
    return [value for name, value in answer.json()["headers"] if name.startswith(HEADER)]


def count(gateway: Any, requests: int, path: str = "/a", method: str = "GET") -> Counter[tuple[str, ...]]:
    """Which services the engine was told of, by request."""
    return Counter(
        (answer["engine"], *(value for name, value in answer["headers"] if name == HEADER))
        for answer in (gateway.client.request(method, path).json() for _ in range(requests))
    )


@pytest.mark.parametrize("percent", [1, 37, 100])
def test_of_a_thousand_requests_the_engine_hears_of_the_share(new_gateway, new_engine, percent):
    gateway = new_gateway(plane({ENGINE: new_engine().port}, Shadow(service="b", percent=percent)))
    assert gateway.haproxy.check() == ""
    marked = 10 * percent
    expected = {("engine", "b"): marked} | ({("engine",): 1000 - marked} if marked < 1000 else {})
    # Requests that may not be copied, and those of other rules, are none of the thousand.
    seen = Counter()
    for _ in range(4):
        seen += count(gateway, 250)
        assert set(count(gateway, 5, path="/free")) == {("engine",)}
        assert set(count(gateway, 5, method="POST")) == {("engine",)}
    assert seen == expected


def test_methods_that_are_named_are_counted_as_one(new_gateway, new_engine):
    shadow = Shadow(service="b", percent=50, methods=("GET", "POST"))
    gateway = new_gateway(plane({ENGINE: new_engine().port}, shadow))
    seen = count(gateway, 500) + count(gateway, 500, method="POST")
    assert seen == {("engine",): 500, ("engine", "b"): 500}


def test_places_to_be_ignored_come_as_they_were_written(new_gateway, new_engine):
    shadow = Shadow(service="b", percent=100, ignored=("/id", "/items/*/up-dated.at"))
    gateway = new_gateway(plane({ENGINE: new_engine().port}, shadow))
    assert gateway.haproxy.check() == ""
    assert heard(gateway.client.get("/a", headers={"X-Looma-Shadow-Ignore": "/*"})) == [
        "b",
        "/id,/items/*/up-dated.at",
    ]
    assert heard(gateway.client.get("/free", headers={"X-Looma-Shadow-Ignore": "/*"})) == []


@pytest.mark.parametrize("name", ["X-Looma-Shadow", "x_looma_shadow", "X-LOOMA-SHADOW", "X-Looma-Shadowed"])
def test_a_caller_cannot_ask_for_a_copy_nor_claim_to_be_one(new_gateway, new_engine, name):
    gateway = new_gateway(plane({ENGINE: new_engine().port}, Shadow(service="b", percent=100)))
    assert heard(gateway.client.get("/free", headers={name: "victim"})) == []
    assert heard(gateway.client.get("/a", headers=[(name, "victim"), (name, "again")])) == ["b"]
    assert heard(gateway.client.post("/a", headers={name: "victim", "Connection": name})) == []


def test_each_target_of_a_split_has_its_share_and_answers_of_a_fallback_have_none(new_gateway, new_engine):
    ports = {ENGINE: new_engine("stable").port, CANARY: new_engine("canary").port}
    split = (Target(backend=ENGINE, weight=80), Target(backend=CANARY, weight=20))
    shadow = Shadow(service="b", percent=10)
    gateway = new_gateway(plane(ports, shadow, *split))
    seen = count(gateway, 1000)
    assert seen["stable", "b"] + seen["canary", "b"] == 100
    # Twenty of a hundred, and within two of it where the counters do not fall together.
    assert abs(seen["canary", "b"] - 20) <= 2
    assert seen["canary",] + seen["canary", "b"] == 200

    other = new_engine("other").port
    (dead,) = free_ports(1)
    alone = plane({ENGINE: dead, OTHER: other}, Shadow(service="b", percent=100), fallback=OTHER)
    gateway.apply(alone)
    gateway.until(lambda: gateway.client.get("/a").status_code == 200)
    assert set(count(gateway, 20)) == {("other",)}


def test_a_canary_is_named_to_the_engines_of_the_revision_before_alone(new_gateway, new_engine):
    ports = {ENGINE: new_engine("stable").port, CANARY: new_engine("canary").port}
    split = (Target(backend=ENGINE, weight=80), Target(backend=CANARY, weight=20))
    shadow = Shadow(service="a", revision="r2", spares=CANARY, percent=10)
    gateway = new_gateway(plane(ports, shadow, *split))
    assert gateway.haproxy.check() == ""
    seen = count(gateway, 1000)
    assert seen["canary",] == 200
    assert seen["stable",] + seen["stable", "a/r2"] == 800
    # A tenth of eight hundred: only of any thousand it is exact.
    assert abs(seen["stable", "a/r2"] - 80) <= 2


def test_a_reload_goes_on_counting(new_gateway, new_engine):
    (peers_port,) = free_ports(1)
    known = msgspec.structs.replace(
        plane({ENGINE: new_engine().port}, Shadow(service="b", percent=10)),
        pod="gateway-1",
        # With peers, this pod alone is one, the new worker has the counters of the old one.
        peers=(Peer(name="gateway-1", address="127.0.0.1"),),
    )
    gateway = new_gateway(known, peers_port=peers_port)
    seen = count(gateway, 500)
    gateway.apply(msgspec.structs.replace(known, rules=(*known.rules, Rule(name="looma/more/0"))))
    seen += count(gateway, 500)
    assert abs(seen["engine", "b"] - 100) <= 1
