"""Circuit breakers on the real HAProxy: they open, try, close, and remember nothing of before."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from looma_engines.gateway.haproxy import circuit_breakers, tables
from looma_engines.gateway.haproxy.runtime import Runtime
from looma_engines.gateway.model import (
    Backend,
    CircuitBreaker,
    DataPlane,
    Endpoint,
    Match,
    Policy,
    Rule,
    Target,
)

ENGINE, OTHER = "looma_engine-stable_80", "looma_other-stable_80"
BREAKER = CircuitBreaker(
    window_seconds=30, min_requests=10, error_percent=50, open_seconds=1, trial_requests=3
)
FAIL, WELL = {"x-say-status": "500"}, {"x-say-status": "200"}


def plane(port: int | None, other: int | None = None, fallback: str = "", **changes: Any) -> DataPlane:
    def backend(name: str, port: int | None) -> Backend:
        endpoints = (Endpoint(address="127.0.0.1", port=port),) if port else ()
        return Backend(name=name, service=name.split("_")[1], endpoints=endpoints)

    policy = Policy(circuit_breaker=BREAKER, fallback=fallback, **changes)
    return DataPlane(
        ready=True,
        pod="gateway-1",
        rules=(
            Rule(
                name="looma/o/0",
                matches=(Match(path="/other"),),
                targets=(Target(backend=OTHER),),
                policy=policy,
            ),
            Rule(name="looma/e/0", targets=(Target(backend=ENGINE),), policy=policy),
        ),
        backends=(backend(ENGINE, port), backend(OTHER, other)),
    )


def statuses(gateway: Any, count: int, headers: dict[str, str], path: str = "/") -> Counter:
    return Counter(gateway.client.get(path, headers=headers).status_code for _ in range(count))


async def circuit(gateway: Any, backend: str = ENGINE) -> tuple[bool, int]:
    table = tables.name(gateway.plane, circuit_breakers.STATE)
    known = {b.backend: b for b in await Runtime(gateway.haproxy.folder).breakers(table)}
    return (known[backend].open, known[backend].epoch) if backend in known else (False, 0)


def waits_for_trials() -> None:
    time.sleep(BREAKER.open_seconds + 0.2)


@pytest.fixture
def broken(new_gateway, new_engine):
    """A gateway whose circuit just opened, and its engine."""
    engine = new_engine()
    gateway = new_gateway(plane(engine.port))
    assert statuses(gateway, 10, FAIL) == {500: 10}
    engine.asked.clear()
    return gateway, engine


async def test_too_many_failures_open_it(broken):
    gateway, engine = broken
    assert await circuit(gateway) == (True, 1)
    answer = gateway.client.get("/", headers=WELL)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:looma:problem:circuit-open")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-looma-source"] == "gateway"
    assert engine.asked == []


@pytest.mark.parametrize(
    ("sequence", "opens"),
    [
        ([(9, "500")], False),
        ([(10, "500")], True),
        ([(10, "200"), (9, "500")], False),
        ([(10, "200"), (10, "500")], True),
        ([(30, "429")], False),
        ([(30, "404")], False),
        ([(6, "429"), (6, "503")], True),
        ([(5, "200"), (5, "502")], True),
    ],
)
async def test_when_it_opens(new_gateway, new_engine, sequence, opens):
    gateway = new_gateway(plane(new_engine().port))
    for count, status in sequence:
        statuses(gateway, count, {"x-say-status": status})
    assert (await circuit(gateway))[0] is opens


async def test_no_answer_is_a_failure_too(new_gateway, new_engine):
    gateway = new_gateway(plane(None))
    assert statuses(gateway, 10, WELL) == {503: 10}
    assert (await circuit(gateway))[0]
    slow = new_gateway(plane(new_engine().port, timeout_seconds=1))
    with ThreadPoolExecutor(max_workers=10) as callers:
        ten = callers.map(
            lambda _: slow.client.get("/", headers={"x-say-wait": "3"}, timeout=20).status_code, range(10)
        )
    assert Counter(ten) == {504: 10}
    assert (await circuit(slow))[0]


async def test_good_trials_close_it_and_the_past_is_forgotten(broken):
    gateway, engine = broken
    waits_for_trials()
    assert statuses(gateway, 3, WELL) == {200: 3}
    assert await circuit(gateway) == (False, 2)
    # Nine failures more are not enough, though the window still holds the ten from before.
    assert statuses(gateway, 9, FAIL) == {500: 9}
    assert await circuit(gateway) == (False, 2)
    assert len(engine.asked) == 12


async def test_a_trial_that_fails_opens_it_anew(broken):
    gateway, engine = broken
    waits_for_trials()
    assert statuses(gateway, 2, WELL) == {200: 2}
    assert statuses(gateway, 1, FAIL) == {500: 1}
    assert await circuit(gateway) == (True, 2)
    assert statuses(gateway, 5, WELL) == {503: 5}
    assert len(engine.asked) == 3
    waits_for_trials()
    assert statuses(gateway, 3, WELL) == {200: 3}
    assert await circuit(gateway) == (False, 3)


def test_only_so_many_are_tried_at_once(broken):
    gateway, engine = broken
    waits_for_trials()
    # All of them come before any is answered, and a quarter of a second is less than another round.
    answers: list[bytes] = []
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-say-wait: 0.25\r\n\r\n"
    callers = [threading.Thread(target=lambda: answers.append(gateway.raw(request))) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(20)
    assert len(engine.asked) == 3
    assert Counter(answer.split()[1] for answer in answers) == {b"200": 3, b"503": 9}


async def test_trials_whose_callers_went_away_do_not_keep_it_open(broken):
    import contextlib
    import socket

    gateway, engine = broken
    waits_for_trials()
    for _ in range(3):
        with contextlib.closing(socket.create_connection(("127.0.0.1", gateway.port))) as connection:
            count = len(engine.asked) + 1
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nx-say-wait: 20\r\n\r\n")
            gateway.until(lambda count=count: len(engine.asked) >= count)
    assert statuses(gateway, 1, WELL) == {503: 1}
    waits_for_trials()
    assert statuses(gateway, 3, WELL) == {200: 3}
    assert (await circuit(gateway))[0] is False


async def test_each_backend_has_its_own(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane(one.port, two.port))
    statuses(gateway, 10, FAIL)
    assert statuses(gateway, 5, WELL, "/other") == {200: 5}
    assert [await circuit(gateway, ENGINE), await circuit(gateway, OTHER)] == [(True, 1), (False, 0)]


async def test_an_open_circuit_leads_to_the_fallback(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane(one.port, two.port, fallback=OTHER))
    statuses(gateway, 10, FAIL)
    assert gateway.client.get("/").json()["engine"] == "two"
    # What the fallback answers is not the engine's, and not held against anybody.
    assert statuses(gateway, 20, FAIL) == {500: 20}
    assert [await circuit(gateway, ENGINE), await circuit(gateway, OTHER)] == [(True, 1), (False, 0)]
    assert len(one.asked) == 10
    waits_for_trials()
    assert {gateway.client.get("/").json()["engine"] for _ in range(3)} == {"one"}


def test_without_a_pod_that_is_up_the_fallback_answers(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane(None, two.port, fallback=OTHER))
    assert gateway.client.get("/").json()["engine"] == "two"
    gateway.apply(plane(one.port, two.port, fallback=OTHER))
    assert gateway.client.get("/").json()["engine"] == "one"
    one.ready = False
    gateway.until(lambda: gateway.client.get("/").json()["engine"] == "two")
    one.ready = True
    gateway.until(lambda: gateway.client.get("/").json()["engine"] == "one")
    # And without one of its own, it says so.
    alone = new_gateway(plane(None, two.port))
    assert alone.client.get("/").status_code == 503
