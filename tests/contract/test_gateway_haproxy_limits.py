"""Limits on the real HAProxy, by one gateway and by two that are peers: only so many are let through."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

from looma_engines.gateway.haproxy import rate_limits, tables
from looma_engines.gateway.haproxy.rate_limits import Window, kind, window
from looma_engines.gateway.haproxy.runtime import Runtime
from looma_engines.gateway.model import Auth, DataPlane, Match, Policy, RateLimit, RateLimitPer
from support.gateway_planes import PEERS, plane, rule, tokens, two_peers
from support.haproxy import free_ports
from support.tokens import bearer


def limited(port: int, known: RateLimit, **changes: Any) -> DataPlane:
    """Two rules of one service with a limit, and one without; further parts of the plane by name."""
    policy = Policy(rate_limit=known, auth=Auth(required="tokens" in changes))
    return plane(
        rule("looma/a/0", Match(path="/a"), service="a", policy=policy),
        rule("looma/a/1", Match(path="/b"), service="a", policy=policy),
        rule("looma/free/0"),
        port=port,
        **changes,
    )


def limit(per_second: int, burst: int, per: RateLimitPer = RateLimitPer.SERVICE) -> RateLimit:
    return RateLimit(requests_per_second=per_second, burst=burst, per=per)


def hammer(clients, seconds: float, path: str = "/a", pause: float = 0.005) -> tuple[Counter, float]:
    """Ask by turns for a while; statuses, and the seconds that it really took."""
    got: Counter = Counter()
    began = time.monotonic()
    while (taken := time.monotonic() - began) < seconds:
        for client in clients:
            got[client.get(path).status_code] += 1
        time.sleep(pause)
    return got, taken


def test_a_burst_passes_then_the_rate(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(limited(engine.port, limit(2, 8)))
    answers = [gateway.client.get("/a") for _ in range(12)]
    # Four seconds are the window: while the first ones are sent, hardly another becomes free.
    passed = sum(answer.status_code == 200 for answer in answers)
    assert passed in (8, 9)
    assert len(engine.asked) == passed
    first, last = answers[0], answers[-1]
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("8", "7")
    assert first.headers["ratelimit-reset"] == "4"
    assert last.status_code == 429
    assert last.json()["type"] == "urn:looma:problem:too-many-requests"
    assert (last.headers["ratelimit-remaining"], last.headers["retry-after"]) == ("0", "4")
    assert gateway.client.get("/b").status_code == 429, "two rules of one service share its limit"
    free = gateway.client.get("/free")
    assert free.status_code == 200
    assert "ratelimit-limit" not in free.headers


def test_what_is_refused_does_not_count(new_gateway, new_engine):
    gateway = new_gateway(limited(new_engine().port, limit(5, 10)))
    got, seconds = hammer([gateway.client], 4.0)
    # So low that a busy machine asks often enough as well.
    assert got[429] > 20
    # If refusals counted, hardly more than the burst would pass.
    assert 15 <= got[200] <= 5 * seconds + 10 + 5


def test_the_average_is_counted_too(new_gateway, new_engine, monkeypatch):
    # In truth it holds a thousand or more, which would take long to fill up, and only by what was too many.
    average = Window(requests=15, milliseconds=20_000)
    monkeypatch.setattr(rate_limits, "mean_window", lambda short: average)
    gateway = new_gateway(limited(new_engine().port, limit(50, 10)))
    got, _ = hammer([gateway.client], 2.0, pause=0.02)
    assert got[429] > 5
    # The first window alone has room for another ten every 200 ms.
    assert got[200] == average.requests


def test_two_gateways_share_one_limit(new_gateway, new_engine):
    engine = new_engine()
    gateways = two_peers(new_gateway, partial(limited, engine.port, limit(5, 5)))
    got, seconds = hammer([gateway.client for gateway in gateways], 4.0)
    assert got[429] > 20
    # Two limits of their own would let twice as many through.
    assert 15 <= got[200] <= 5 * seconds + 5 + 6


async def test_a_reload_does_not_forget(new_gateway, new_engine):
    engine = new_engine()
    (peers_port,) = free_ports(1)
    known = limited(engine.port, limit(1, 10), peers=PEERS[:1])
    gateway = new_gateway(known, peers_port=peers_port)
    assert [gateway.client.get("/a").status_code for _ in range(11)].count(200) == 10
    gateway.apply(known)
    table = tables.name(gateway.plane, kind(window(limit(1, 10))))
    for _ in range(100):
        if await Runtime(gateway.haproxy.folder).table(table):
            break
        time.sleep(0.02)  # noqa: ASYNC251 - nothing else runs in this test's loop
    assert gateway.client.get("/a").status_code == 429


@pytest.mark.parametrize("per", [RateLimitPer.SUBJECT, RateLimitPer.ADDRESS])
def test_whose_requests_are_counted_together(new_gateway, new_engine, per):
    gateway = new_gateway(limited(new_engine().port, limit(1, 5, per), tokens=tokens()))

    def passed(subject: str) -> int:
        asked = [gateway.client.get("/a", headers=bearer(subject=subject)) for _ in range(7)]
        return sum(answer.status_code == 200 for answer in asked)

    assert passed("ada") in (5, 6)
    assert passed("eve") in ((5, 6) if per is RateLimitPer.SUBJECT else (0, 1))
    # Who has no token takes nothing from those who do.
    assert gateway.client.get("/a").status_code == 401
