"""Changes at run time on the real HAProxy: commands lead where a fresh start would, and disturb nobody."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import msgspec
import pytest

from looma_engines.gateway.haproxy.changes import Command, Reload, plan_changes
from looma_engines.gateway.haproxy.config import render
from looma_engines.gateway.haproxy.runtime import CommandRefused, ReloadFailed, Runtime, Unreachable
from looma_engines.gateway.model import Backend, DataPlane, Endpoint, Match, Policy, Rule, Target

STABLE, CANARY = "looma_engine-stable_80", "looma_engine-canary_80"


def plane(weights=(100, 0), stable=(), canary=(), **changes) -> DataPlane:
    rule = Rule(
        name="looma/engine/0",
        targets=(Target(backend=STABLE, weight=weights[0]), Target(backend=CANARY, weight=weights[1])),
        policy=Policy(retries=changes.pop("retries", 0)),
    )
    backends = (
        Backend(name=STABLE, service="engine-stable", endpoints=tuple(stable)),
        Backend(name=CANARY, service="engine-canary", endpoints=tuple(canary)),
    )
    rules = (*changes.pop("before", ()), rule)
    return DataPlane(**({"ready": True, "pod": "gateway-1", "rules": rules, "backends": backends} | changes))


def endpoint(port: int, **changes) -> Endpoint:
    return Endpoint(address="127.0.0.1", port=port, **changes)


SURE = 2  # Checks that must fail before a pod is out.


def checked(desired: DataPlane) -> DataPlane:
    """The same with HTTP checks of its pods."""
    backends = tuple(msgspec.structs.replace(backend, check_path="/readyz") for backend in desired.backends)
    return msgspec.structs.replace(desired, backends=backends)


def health(gateway) -> dict[int, int]:
    """Of each pod, by its port, how many checks must fail before it is out."""
    _, names, *lines = gateway.haproxy.command("show servers state").strip().splitlines()
    found = [dict(zip(names.split()[1:], line.split(), strict=True)) for line in lines]
    return {int(server["srv_port"]): int(server["srv_check_health"]) for server in found}


def answering(gateway, count: int) -> list[str]:
    """Which engine answered each of so many requests."""
    # Thousands of them: httpx takes several times as long for one.
    with closing(HTTPConnection("127.0.0.1", gateway.port, timeout=30)) as connection:
        found = []
        for _ in range(count):
            connection.request("GET", "/")
            found.append(json.loads(connection.getresponse().read())["engine"])
        return found


async def lead(gateway, desired: DataPlane, leaving=()) -> tuple[Command, ...]:
    """Apply a change as the controller does, and return the commands."""
    desired = msgspec.structs.replace(desired, listeners=gateway.plane.listeners)
    planned = plan_changes(gateway.plane, desired, folder=gateway.haproxy.inside, leaving=leaving)
    assert not isinstance(planned, Reload)
    await Runtime(gateway.haproxy.folder).run(planned)
    gateway.plane = desired
    return planned


async def picture(gateway) -> tuple[set, dict, dict]:
    runtime = Runtime(gateway.haproxy.folder)
    servers = {
        (s.backend, s.name, s.address, s.port, s.weight) for s in await runtime.servers() if not s.maintenance
    }
    maps = [
        await runtime.map(f"{gateway.haproxy.inside}/{name}") for name in ("weights.map", "last_resort.map")
    ]
    return servers, *maps


async def test_any_sequence_of_changes_ends_where_a_fresh_start_does(new_gateway):
    dice = random.Random(20)  # noqa: S311 - a test's own dice, the same in each run
    gateway, fresh = new_gateway(plane()), new_gateway(plane())
    leaving: set[tuple[str, str]] = set()
    for _ in range(40):
        pools = [
            [endpoint(port, draining=dice.random() < 0.3) for port in range(9, 13) if dice.random() < 0.5]
            for _ in range(2)
        ]
        desired = plane((dice.randrange(4), dice.randrange(1, 100)), *pools)
        await lead(gateway, desired, leaving)
        fresh.haproxy.write(render(gateway.plane, fresh.haproxy.inside, fresh.settings))
        fresh.haproxy.command("reload", master=True)
        assert await picture(gateway) == await picture(fresh)
        kept = await Runtime(gateway.haproxy.folder).servers()
        leaving = {(s.backend, s.name) for s in kept if s.maintenance}


async def test_a_pod_that_came_at_run_time_is_a_last_resort_as_well(new_gateway, new_engine):
    first, second = new_engine("first"), new_engine("second")
    gateway = new_gateway(checked(plane((100, 0), [endpoint(first.port)])))
    await lead(gateway, checked(plane((100, 0), [endpoint(second.port)])))
    second.ready = False
    gateway.until(lambda: ",DOWN," in gateway.haproxy.command("show stat"))
    assert {gateway.client.get("/").json()["engine"] for _ in range(10)} == {"second"}


async def test_a_weight_is_one_command_and_shares_are_exact(new_gateway, new_engine):
    stable, canary = new_engine("stable"), new_engine("canary")
    gateway = new_gateway(plane((100, 0), [endpoint(stable.port)], [endpoint(canary.port)]))
    for weights, expected in (((100, 0), 0), ((95, 5), 50), ((0, 100), 1000), ((999, 1), 1)):
        desired = plane(weights, [endpoint(stable.port)], [endpoint(canary.port)])
        assert len(await lead(gateway, desired)) == (weights != (100, 0))
        got = Counter(answering(gateway, 1000))
        assert got == Counter({"stable": 1000 - expected, "canary": expected}) - Counter()


async def test_small_shares_come_regularly(new_gateway, new_engine):
    stable, canary = new_engine("stable"), new_engine("canary")
    gateway = new_gateway(plane((90, 10), [endpoint(stable.port)], [endpoint(canary.port)]))
    got = answering(gateway, 200)
    assert all("canary" in got[start : start + 20] for start in range(0, 200, 20))


async def test_a_pod_comes_drains_and_goes_without_a_lost_request(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane((100, 0), [endpoint(one.port)]))
    lost: list[object] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
            while not done.is_set():
                answer = client.post("/", content=b"x", headers={"x-say-wait": "0.01"})
                if answer.status_code != 200:
                    lost.append(answer.text)

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(3):
            await lead(gateway, plane((100, 0), [endpoint(one.port), endpoint(two.port)]))
            two.asked.clear()
            gateway.until(lambda: len(two.asked) > 3)
            await lead(gateway, plane((100, 0), [endpoint(one.port), endpoint(two.port, draining=True)]))
            kept = await Runtime(gateway.haproxy.folder).servers()
            leaving = {(s.backend, s.name) for s in kept if s.maintenance}
            await lead(gateway, plane((100, 0), [endpoint(one.port)]), leaving)
            kept = await Runtime(gateway.haproxy.folder).servers()
            leaving = {(s.backend, s.name) for s in kept if s.maintenance}
            await lead(gateway, plane((100, 0), [endpoint(one.port), endpoint(two.port)]), leaving)
            await lead(gateway, plane((100, 0), [endpoint(one.port)]))
            gateway.until(lambda: _removed(gateway, two.port))
    finally:
        done.set()
        for caller in callers:
            caller.join(30)
    assert lost == []


def _removed(gateway, port: int) -> bool:
    answer = gateway.haproxy.command(f"del server {STABLE}/e-127-0-0-1-{port}")
    return "deleted" in answer or "No such server" in answer


async def test_a_stream_outlives_its_pods_removal_and_the_server_is_removed_later(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(plane((100, 0), [endpoint(two.port)]))
    told = {"x-say-stream": "12", "x-say-wait": "0.1"}
    with gateway.client.stream("GET", "/", headers=told) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "data: 0"
        await lead(gateway, plane((100, 0), [endpoint(one.port)]))
        kept = await Runtime(gateway.haproxy.folder).servers()
        leaving = {(s.backend, s.name) for s in kept if s.maintenance}
        assert leaving == {(STABLE, f"e-127-0-0-1-{two.port}")}
        assert sum(line.startswith("data:") for line in lines) == 11
    gateway.until(lambda: _removed(gateway, two.port))


@pytest.mark.parametrize("reloads", [20, pytest.param(100, marks=pytest.mark.long)])
async def test_many_reloads_under_load_lose_nothing(new_gateway, new_engine, reloads):
    one, two = new_engine("one"), new_engine("two")
    pools = [endpoint(one.port)], [endpoint(two.port)]
    gateway = new_gateway(plane((50, 50), *pools))
    failed: list[str] = []
    done = threading.Event()
    served = Counter()

    def ask(number: int) -> None:
        # New connections each time for one half, one that is kept for the other.
        with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
            while not done.is_set():
                headers = {"Connection": "close"} if number % 2 else {}
                try:
                    answer = client.get("/", headers=headers)
                except httpx.HTTPError as error:
                    failed.append(repr(error))
                    continue
                served[answer.status_code] += 1
                time.sleep(0.002)

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    try:
        runtime = Runtime(gateway.haproxy.folder)
        for number in range(reloads):
            extra = (Rule(name=f"looma/extra-{number}/0", matches=(Match(path=f"/extra-{number}"),)),)
            desired = plane((50, 50), *pools, before=extra, listeners=gateway.plane.listeners)
            assert isinstance(plan_changes(gateway.plane, desired), Reload)
            gateway.haproxy.write(render(desired, gateway.haproxy.inside, gateway.settings))
            await runtime.reload()
            gateway.plane = desired
    finally:
        done.set()
        for caller in callers:
            caller.join(30)
    assert failed == []
    assert set(served) == {200}
    assert served[200] > reloads


async def test_a_configuration_that_does_not_hold_leaves_what_runs(new_gateway, new_engine):
    gateway = new_gateway(plane((100, 0), [endpoint(new_engine().port)]))
    gateway.haproxy.write({"haproxy.cfg": "global\n    nonsense\n"})
    with pytest.raises(ReloadFailed, match="nonsense"):
        await Runtime(gateway.haproxy.folder).reload()
    assert gateway.client.get("/").status_code == 200
    await lead(gateway, plane((0, 100)))
    assert gateway.client.get("/").status_code == 503


async def test_what_haproxy_refuses_is_told(new_gateway):
    runtime = Runtime(new_gateway(plane()).haproxy.folder)
    with pytest.raises(CommandRefused, match="No such server"):
        await runtime.run((Command(f"set server {STABLE}/nobody weight 1"),))
    spared = Command(f"del server {STABLE}/nobody", "Server deleted.", optional=True)
    assert await runtime.run((spared,)) == (spared,)
    with pytest.raises(CommandRefused, match="nowhere"):
        await runtime.map("nowhere")


async def test_nobody_there_is_told(monkeypatch):
    monkeypatch.setattr("looma_engines.gateway.haproxy.runtime.CONNECT_SECONDS", 0.1)
    with pytest.raises(Unreachable):
        await Runtime(Path("/nonexistent")).reload()


async def test_counters_are_readable(new_gateway, new_engine):
    gateway = new_gateway(plane((100, 0), [endpoint(new_engine().port)]))
    gateway.client.get("/")
    rows = {(row.proxy, row.name): row for row in await Runtime(gateway.haproxy.folder).stat()}
    assert rows[STABLE, "BACKEND"].total == 1
    assert rows["gateway", "FRONTEND"].status == "OPEN"


def test_a_soft_stop_ends_with_the_last_request(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(plane((100, 0), [endpoint(engine.port)]))
    told = {"x-say-stream": "10", "x-say-wait": "0.1"}
    with gateway.client.stream("GET", "/", headers=told) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "data: 0"
        # SIGTERM would end it at once, in the middle of the stream.
        gateway.haproxy.process.send_signal(signal.SIGUSR1)
        assert sum(line.startswith("data:") for line in lines) == 9
    assert gateway.haproxy.process.wait(timeout=30) == 0


async def test_a_new_worker_knows_which_pods_are_down_and_how_well_the_others_are(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    pools = [endpoint(one.port), endpoint(two.port)]
    gateway = new_gateway(checked(plane((100, 0), pools)))
    two.ready = False
    gateway.until(lambda: health(gateway) == {one.port: SURE, two.port: 0})
    gateway.haproxy.write(render(gateway.plane, gateway.haproxy.inside, gateway.settings))
    await Runtime(gateway.haproxy.folder).reload()
    # Before any check of its own: checks are spread over half a second, and one that fails would take `one` out.
    assert health(gateway) == {one.port: SURE, two.port: 0}
    assert {gateway.client.get("/").json()["engine"] for _ in range(10)} == {"one"}
    two.ready = True
    gateway.until(lambda: health(gateway) == {one.port: SURE, two.port: SURE})


async def test_a_pod_that_is_new_is_out_after_two_failed_checks_and_not_after_one(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    alone = checked(plane((100, 0), [endpoint(one.port)]))
    both = checked(plane((100, 0), [endpoint(one.port), endpoint(two.port)]))
    gateway = new_gateway(alone)
    gateway.until(lambda: health(gateway) == {one.port: SURE})
    await lead(gateway, both)
    assert health(gateway) == {one.port: SURE, two.port: SURE}
    two.ready = False
    gateway.until(lambda: health(gateway)[two.port] == 0)


async def test_pods_that_a_reload_brought_are_out_after_two_failed_checks_as_well(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(checked(plane((100, 0), [endpoint(one.port)])))
    gateway.until(lambda: health(gateway) == {one.port: SURE})
    both = checked(plane((100, 0), [endpoint(one.port), endpoint(two.port)]))
    gateway.haproxy.write(render(both, gateway.haproxy.inside, gateway.settings))
    await Runtime(gateway.haproxy.folder).reload()
    # Before any check of its own is over: without a word HAProxy would begin at one.
    assert health(gateway) == {one.port: SURE, two.port: SURE}
    two.ready = False
    gateway.until(lambda: health(gateway)[two.port] == 0)


async def test_what_was_changed_at_run_time_does_not_outlive_a_reload(new_gateway, new_engine):
    one, two = new_engine("one"), new_engine("two")
    gateway = new_gateway(checked(plane((100, 0), [endpoint(one.port), endpoint(two.port)])))
    runtime = Runtime(gateway.haproxy.folder)
    first, second = (
        server.name for server in sorted(await runtime.servers(), key=lambda s: s.port != one.port)
    )
    await runtime.run(
        (
            Command(f"set server {STABLE}/{first} weight 0"),
            Command(f"set server {STABLE}/{second} state maint"),
        )
    )
    await runtime.reload()
    servers = await runtime.servers()
    assert [(server.weight, server.up, server.maintenance) for server in servers] == [(100, True, False)] * 2
