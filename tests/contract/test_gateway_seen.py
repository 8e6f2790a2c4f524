"""What is seen of the real HAProxy: attempts and retries, refusals, circuits and samples, over reloads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from typing import Any

import httpx
import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from looma_core.metrics import Metrics
from looma_engines.gateway.counting import LOOKS
from looma_engines.gateway.findings import Split, Translation
from looma_engines.gateway.haproxy import circuit_breakers, tables
from looma_engines.gateway.haproxy.config import SAMPLES_SOCKET
from looma_engines.gateway.haproxy.runtime import Runtime
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import (
    Backend,
    Budget,
    CircuitBreaker,
    DataPlane,
    Endpoint,
    Match,
    Policy,
    RateLimit,
    RateLimitPer,
    Rule,
    Target,
)
from looma_engines.gateway.objects import Snapshot
from looma_engines.gateway.report import Applied
from looma_engines.gateway.samples import Sample, receive
from looma_engines.gateway.telling import View
from looma_engines.gateway.watching import Watch
from support import gateway_planes as planes

STABLE, CANARY = "looma_a-stable_80", "looma_a-canary_80"
SERVICE = "looma/a"
FAILS = {"x-say-status": "503"}
CLOSES = {"x-say-close": "1"}


def plane(ports: dict[str, int | None], *, path: str = "/", **policy: Any) -> DataPlane:
    backends = [
        Backend(name=name, service="a", endpoints=(Endpoint(address="127.0.0.1", port=port),) if port else ())
        for name, port in ports.items()
    ]
    rule = Rule(
        name="looma_a_0_0",
        # As translation names it in the gateway's own namespace; what is told has the namespace before it.
        service="a",
        matches=(Match(path=path),),
        targets=tuple(Target(backend=name) for name in ports),
        policy=Policy(**policy),
    )
    return DataPlane(ready=True, pod="gateway-1", rules=(rule,), backends=tuple(backends))


def view(of: DataPlane) -> View:
    (rule,) = of.rules
    backends = tuple(target.backend for target in rule.targets)
    split = Split(
        namespace="looma",
        service="a",
        rules=(rule.name,),
        backends=backends,
        revisions=tuple("r2" if name == CANARY else "r1" for name in backends),
    )
    shares = {rule.name: tuple(1000 // len(backends) for _ in backends)}
    return View(
        translation=Translation(plane=of, splits=(split,)),
        snapshot=Snapshot(),
        applied=Applied(),
        actual=shares,
        asked=shares,
        up={name: {"": 1} for name in backends},
    )


class Seen:
    """A watch of a gateway, with the register of its metrics."""

    def __init__(self, gateway: Any) -> None:
        metrics = Metrics(service="gateway", revision="r1")
        self.registry: CollectorRegistry = metrics.registry
        self.watch = Watch(Runtime(gateway.haproxy.folder), pod="gateway-1", metrics=GatewayMetrics(metrics))
        self.watch.take(view(gateway.plane))

    async def look(self) -> None:
        for _ in range(LOOKS):
            await self.watch.look()

    def attempts(self, code: str, *, retry: bool = False, revision: str = "r1") -> float:
        labels = {"service": SERVICE, "revision": revision, "code": code, "retry": str(retry).lower()}
        return self.registry.get_sample_value("looma_gateway_attempts_total", labels) or 0

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"service": SERVICE, **labels})


async def seen_of(gateway: Any) -> Seen:
    """A watch that knows the gateway's counters as they are before the test asks anything."""
    seen = Seen(gateway)
    await seen.watch.look()
    return seen


async def test_attempts_by_code_and_what_was_tried_again(new_gateway, new_engine):
    gateway = new_gateway(plane({STABLE: new_engine().port}, retries=2))
    seen = await seen_of(gateway)
    for headers in ({}, {}, {"x-say-status": "404"}, {"x-say-status": "500"}):
        gateway.client.get("/", headers=headers)
    # The pod fails three times, and the caller hears of it once.
    assert gateway.client.get("/", headers=FAILS).status_code == 503
    await seen.look()
    assert [seen.attempts(code) for code in ("2xx", "4xx", "5xx", "none")] == [2, 1, 2, 0]
    assert seen.attempts("none", retry=True) == 2
    # On a connection that had no request before: on another one, HAProxy closes it without a word.
    async with httpx.AsyncClient(base_url=gateway.client.base_url) as fresh:
        assert (await fresh.get("/", headers=CLOSES)).status_code == 502
    await seen.look()
    assert (seen.attempts("none"), seen.attempts("none", retry=True)) == (1, 4)
    (service,) = seen.watch.traffic().services
    (revision,) = service.revisions
    assert (revision.revision, revision.given, revision.asked) == ("r1", 100, 100)
    assert revision.answered > revision.failed > 0
    assert revision.retried > 0


async def test_while_pods_are_replaced_each_answer_is_its_pods_revisions(new_gateway, new_engine):
    """One Service has pods of two revisions; the Service itself is said to be of r1."""
    first = plane({STABLE: new_engine().port}, retries=2)
    old, new = new_engine("old"), new_engine("new")
    pods = {"a-r1-7d9f4b-x2x4z": old.port, "a-r2-5c8e2a-k9k1p": new.port}
    endpoints = tuple(Endpoint(address="127.0.0.1", port=port, pod=pod) for pod, port in pods.items())
    mixed = structs.replace(first, backends=(structs.replace(first.backends[0], endpoints=endpoints),))
    gateway = new_gateway(mixed)
    seen = await seen_of(gateway)
    by: Counter[str] = Counter()
    for number in range(60):
        headers = {"x-say-status": "404"} if number % 3 == 0 else {}
        by[gateway.client.get("/", headers=headers).json()["engine"]] += 1
    assert min(by["old"], by["new"]) > 10, by
    await seen.look()
    for revision, engine in (("r1", old), ("r2", new)):
        counted = sum(seen.attempts(code, revision=revision) for code in ("2xx", "4xx"))
        assert counted == by[engine.name], (revision, by)
    told = {one.revision: one for one in seen.watch.traffic().services[0].revisions}
    assert set(told) == {"r1", "r2"}
    assert told["r1"].asked == told["r2"].asked == 50
    # A pod that goes, and one that comes at its address, keep what was counted.
    gateway.apply(
        structs.replace(mixed, backends=(structs.replace(mixed.backends[0], endpoints=endpoints[1:]),))
    )
    seen.watch.take(view(gateway.plane))
    for _ in range(5):
        gateway.client.get("/")
    await seen.look()
    assert sum(seen.attempts(code, revision="r2") for code in ("2xx", "4xx")) == by["new"] + 5
    assert sum(seen.attempts(code, revision="r1") for code in ("2xx", "4xx")) == by["old"]


async def test_a_pod_that_takes_no_connection_is_an_attempt_and_no_pod_is_none(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(plane({STABLE: engine.port}))
    seen = await seen_of(gateway)
    engine.stop()
    statuses = {gateway.client.get("/").status_code for _ in range(3)}
    assert statuses == {503}
    await seen.look()
    unserved = seen.value("looma_gateway_unserved_total", revision="r1")
    assert unserved is not None
    # How soon HAProxy takes the pod for dead is its checks' affair: each request is the one or the other.
    assert seen.attempts("none") + unserved == 3


async def test_counters_go_on_over_a_reload_and_old_workers_count_to_their_end(new_gateway, new_engine):
    first = plane({STABLE: new_engine().port})
    gateway = new_gateway(first)
    seen = await seen_of(gateway)
    gateway.client.get("/")
    began = threading.Event()

    def stream() -> None:
        headers = {"x-say-stream": "20", "x-say-wait": "0.1"}
        with (
            httpx.Client(base_url=gateway.client.base_url, timeout=30) as client,
            client.stream("GET", "/", headers=headers) as answer,
        ):
            for _ in answer.iter_raw():
                began.set()

    reader = threading.Thread(target=stream)
    reader.start()
    assert await asyncio.to_thread(began.wait, 30)
    await seen.watch.look()
    gateway.apply(plane({STABLE: first.backends[0].endpoints[0].port}, path="/", timeout_seconds=7))
    for _ in range(3):
        gateway.client.get("/")
    await seen.look()
    # One before, the stream that the old worker still has, and three by the new one.
    assert seen.attempts("2xx") == 5
    await asyncio.to_thread(reader.join)
    await seen.look()
    assert (seen.attempts("2xx"), seen.attempts("none"), seen.attempts("none", retry=True)) == (5, 0, 0)


async def test_refusals_are_counted_by_service_and_callers_as_a_number(new_gateway, new_engine):
    limit = RateLimit(requests_per_second=1, burst=2, per=RateLimitPer.ADDRESS)
    gateway = new_gateway(plane({STABLE: new_engine().port}, rate_limit=limit))
    seen = await seen_of(gateway)
    refused = [gateway.client.get("/").status_code for _ in range(8)].count(429)
    assert refused > 0
    await seen.look()
    assert seen.value("looma_gateway_refused_total", reason="limit") == refused
    assert seen.value("looma_gateway_callers_over", reason="limit") == 1
    (service,) = seen.watch.traffic().services
    assert (service.callers_over, service.limited > 0) == (1, True)
    assert (service.callers_over_budget, service.over_budget) == (0, 0)
    assert b"127.0.0.1" not in b"".join(
        str(metric).encode() for metric in seen.registry.collect() if metric.name.startswith("looma_")
    )


async def test_refusals_of_a_budget_are_told_apart(new_gateway, new_engine):
    budget = Budget(cost_header="X-Looma-Cost", units=5, window_seconds=60, per=RateLimitPer.SERVICE)
    gateway = new_gateway(plane({STABLE: new_engine().port}, budget=budget))
    seen = await seen_of(gateway)
    statuses = [gateway.client.get("/", headers={"x-say-cost": "5"}).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]
    await seen.look()
    assert seen.value("looma_gateway_refused_total", reason="budget") == 2
    assert not seen.value("looma_gateway_refused_total", reason="limit")
    assert seen.value("looma_gateway_callers_over", reason="budget") == 1
    (service,) = seen.watch.traffic().services
    assert (service.callers_over_budget, service.over_budget > 0) == (1, True)
    assert (service.callers_over, service.limited) == (0, 0)


async def test_one_caller_may_be_over_a_limit_and_over_a_budget(new_gateway, new_engine):
    budget = Budget(cost_header="X-Looma-Cost", units=5, window_seconds=1, per=RateLimitPer.ADDRESS)
    limit = RateLimit(requests_per_second=1, burst=60, per=RateLimitPer.ADDRESS)
    gateway = new_gateway(plane({STABLE: new_engine().port}, budget=budget, rate_limit=limit))
    seen = await seen_of(gateway)
    assert gateway.client.get("/", headers={"x-say-cost": "5"}).status_code == 200
    assert gateway.client.get("/").json()["type"].endswith("budget-spent")
    # The budget is there again, and the limit goes.
    gateway.until(lambda: gateway.client.get("/").json().get("type", "").endswith("too-many-requests"))
    await seen.look()
    assert seen.value("looma_gateway_callers_over", reason="budget") == 1
    assert seen.value("looma_gateway_callers_over", reason="limit") == 1


async def test_a_circuit_shows_its_state_and_how_often_it_opened(new_gateway, new_engine):
    breaker = CircuitBreaker(
        window_seconds=30, min_requests=4, error_percent=50, open_seconds=1, trial_requests=1
    )
    gateway = new_gateway(plane({STABLE: new_engine().port}, circuit_breaker=breaker))
    seen = await seen_of(gateway)
    await seen.look()
    assert seen.value("looma_gateway_circuit", revision="r1") == 0
    for _ in range(4):
        gateway.client.get("/", headers={"x-say-status": "500"})
    moment, table = 0.0, tables.name(gateway.plane, circuit_breakers.STATE)
    seen.watch._now = lambda: moment
    opened = (await Runtime(gateway.haproxy.folder).breakers(table))[0].opened
    moment = opened / 10 + 0.5
    await seen.look()
    assert seen.value("looma_gateway_circuit", revision="r1") == 1
    moment = opened / 10 + 1.5
    await seen.look()
    assert seen.value("looma_gateway_circuit", revision="r1") == 2
    # A trial that fails opens it once more.
    await asyncio.sleep(1.2)
    assert gateway.client.get("/", headers={"x-say-status": "500"}).status_code == 500
    assert gateway.client.get("/").headers["X-Looma-Source"] == "gateway"
    await seen.look()
    assert seen.value("looma_gateway_circuit_openings_total", revision="r1") == 2
    assert seen.value("looma_gateway_refused_total", reason="circuit") == 1
    (service,) = seen.watch.traffic().services
    assert service.revisions[0].openings == 2


async def test_samples_tell_what_haproxy_itself_took(new_gateway, new_engine):
    gateway = new_gateway(plane({STABLE: new_engine().port}), access_log=True)
    samples: asyncio.Queue[Sample] = asyncio.Queue()
    receiving = asyncio.create_task(receive(gateway.haproxy.folder / SAMPLES_SOCKET, samples.put_nowait))
    try:
        # The socket is there when its task waits for the first time.
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await asyncio.to_thread(gateway.client.get, "/", headers={"x-say-wait": "1"})
            sample = await samples.get()
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    assert sample.backend == STABLE
    assert sample.seconds >= 1
    # The pod's time is none of it.
    assert 0 < sample.own_seconds < sample.seconds


async def test_a_service_with_few_requests_has_all_of_them_as_samples_beside_a_loud_one(
    new_gateway, new_engine
):
    """Else the latency of a canary with a small share could not be compared while others have many requests."""
    engine = new_engine()
    names = {"quiet": "looma_quiet_80", "loud": "looma_loud_80"}
    both = planes.plane(
        *(
            planes.rule(f"looma/{name}/0", Match(path=f"/{name}"), targets=(Target(backend=backend),))
            for name, backend in names.items()
        ),
        backends=tuple(planes.backend(backend, engine.port) for backend in names.values()),
    )
    gateway = new_gateway(both, access_log=True)
    samples: Counter[str] = Counter()
    receiving = asyncio.create_task(
        receive(gateway.haproxy.folder / SAMPLES_SOCKET, lambda sample: samples.update([sample.backend]))
    )

    def ask() -> None:
        for _ in range(60):
            begun = time.monotonic()
            for path in ("/quiet", *["/loud"] * 7):
                assert gateway.client.get(path).status_code == 200
            # The pace of a client, no wait for something: together less than 200 a second, so no busy gateway.
            time.sleep(max(0.0, begun + 0.05 - time.monotonic()))

    try:
        await asyncio.sleep(0)
        await asyncio.to_thread(ask)
        async with asyncio.timeout(10):
            while samples[names["quiet"]] < 60:  # noqa: ASYNC110 - what is received is only counted
                await asyncio.sleep(0.05)
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    assert samples[names["quiet"]] == 60
    assert 0 < samples[names["loud"]] < 0.8 * 60 * 7


@pytest.mark.parametrize("revision", ["r1", "r2"])
async def test_each_revision_is_counted_by_itself(new_gateway, new_engine, revision: str):
    gateway = new_gateway(plane({STABLE: new_engine().port, CANARY: new_engine().port}))
    seen = await seen_of(gateway)
    for _ in range(10):
        gateway.client.get("/")
    await seen.look()
    assert seen.attempts("2xx", revision=revision) == 5
