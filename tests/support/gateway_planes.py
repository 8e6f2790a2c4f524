"""Data planes for tests of the real HAProxy, short to write, and its problem details."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from looma_engines.gateway.model import (
    Backend,
    DataPlane,
    Endpoint,
    Match,
    Peer,
    Policy,
    Rule,
    Target,
    TokenKey,
    Tokens,
)
from support.forgeries import KEY, PUBLIC
from support.haproxy import Gateway, free_ports
from support.tokens import AUDIENCE, ISSUER

ENGINE = "looma_engine-stable_80"
OURS = TokenKey(id=KEY.thumbprint(), pem=PUBLIC.decode())
"""The key of the test's issuer."""
PEERS = (Peer(name="gateway-1", address="127.0.0.1"), Peer(name="gateway-2", address="127.0.0.2"))


def backend(name: str = ENGINE, *ports: int, check_path: str = "/readyz") -> Backend:
    """A Service with pods at these ports of this machine."""
    endpoints = tuple(Endpoint(address="127.0.0.1", port=port) for port in ports)
    return Backend(name=name, service=name.split("_")[1], endpoints=endpoints, check_path=check_path)


def rule(name: str = "looma/engine/0", *matches: Match, **changes: Any) -> Rule:
    """A rule that leads to the engine."""
    changes.setdefault("targets", (Target(backend=ENGINE),))
    return Rule(name=name, matches=matches or (Match(),), **changes)


def rule_at(path: str, policy: Policy, **changes: Any) -> Rule:
    """A rule for requests below a path."""
    return rule(f"looma{path}/0", Match(path=path), policy=policy, **changes)


def plane(*rules: Rule, port: int | None = None, **changes: Any) -> DataPlane:
    """These rules, before an engine at that port if there is one."""
    backends = (backend(ENGINE, *([port] if port else [])),)
    return DataPlane(**({"ready": True, "pod": "gateway-1", "rules": rules, "backends": backends} | changes))


def tokens(*keys: TokenKey) -> Tokens:
    """Tokens of the test's issuer, by its key or these."""
    return Tokens(issuer=ISSUER, audience=AUDIENCE, keys=keys or (OURS,))


def two_peers(new_gateway: Callable[..., Gateway], plane_of: Callable[..., DataPlane]) -> list[Gateway]:
    """Two gateways that are connected with one another; `plane_of` takes `pod` and `peers`."""
    (peers_port,) = free_ports(1)
    pair = [new_gateway(plane_of(pod=peer.name, peers=PEERS), peers_port=peers_port) for peer in PEERS]
    for gateway in pair:
        gateway.until(lambda gateway=gateway: "last_status=ESTA" in gateway.haproxy.command("show peers"))
    return pair


def problem(answer: Any, name: str, status: int) -> dict[str, Any]:
    """The problem detail that the gateway answered; fails if the answer is another."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    assert answer.headers["x-looma-source"] == "gateway"
    document: dict[str, Any] = answer.json()
    assert (document["type"], document["status"]) == (f"urn:looma:problem:{name}", status)
    assert document["instance"] == answer.headers["x-request-id"]
    return document
