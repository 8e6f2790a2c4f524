"""The controller's link to HAProxy: what is read back is compared, and errors are told by what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from looma_engines.gateway.applying import AwayError, DisagreedError, RefusedError
from looma_engines.gateway.haproxy.changes import Command
from looma_engines.gateway.haproxy.readback import Server, Unreadable
from looma_engines.gateway.haproxy.runtime import CommandRefused, ReloadFailed, Unreachable
from looma_engines.gateway.link import RealHaproxy
from looma_engines.gateway.model import Backend, DataPlane, Endpoint, Rule, Target

PLANE = DataPlane(
    ready=True,
    rules=(
        Rule(name="a", targets=(Target(backend="s", weight=95), Target(backend="c", weight=5))),
        Rule(name="b", targets=(Target(backend="s"),)),
    ),
    backends=(
        Backend(
            name="s",
            service="s",
            endpoints=(
                Endpoint(address="10.0.0.1", port=80),
                Endpoint(address="10.0.0.2", port=80, draining=True),
            ),
        ),
        Backend(name="c", service="c", endpoints=(Endpoint(address="fd00::1", port=80),)),
    ),
)


def server(backend: str = "s", address: str = "10.0.0.1", **more: Any) -> Server:
    name = f"e-{address.replace('.', '-').replace(':', '-')}-80"
    given = {"address": address, "port": 80, "weight": 100, "up": True, "maintenance": False} | more
    return Server(
        backend=backend, name=more.pop("name", name), **{k: v for k, v in given.items() if k != "name"}
    )


SERVERS = (server(), server(address="10.0.0.2", weight=0), server("c", "fd00::1"))
MAP = {"a:0": "950", "a:1": "1000"}


class Runtime:
    """Answers as the test says."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = dict(MAP)
        self.there: Sequence[Server] = SERVERS
        self.error: Exception | None = None
        self.refused: tuple[Command, ...] = ()
        self.asked: list[str] = []

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def map(self, path: str) -> dict[str, str]:
        self._fail()
        self.asked.append(path)
        return self.entries

    async def servers(self) -> Sequence[Server]:
        self._fail()
        return self.there

    async def run(self, commands: Sequence[Command]) -> tuple[Command, ...]:
        self._fail()
        return self.refused

    async def reload(self) -> str:
        self._fail()
        return ""


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def link(tmp_path: Path, runtime: Runtime) -> RealHaproxy:
    made = RealHaproxy(tmp_path, inside=Path("/run/looma"))
    made._runtime = runtime  # type: ignore[assignment]
    return made


async def test_whoever_looks_on_does_so_before_counters_are_lost(link: RealHaproxy) -> None:
    looks = []

    async def look() -> None:
        looks.append(len(looks))

    link.before_loss = look
    await link.run([Command("set map /run/looma/weights.map a:0 900")])
    assert looks == []
    await link.run([Command("del server s/e-10-0-0-1-80", expects="Server deleted.")])
    await link.reload()
    assert len(looks) == 2


async def test_what_is_as_it_should_be(link: RealHaproxy, runtime: Runtime) -> None:
    found = await link.observe(PLANE)
    assert found.differences == ()
    assert found.ends == {"a": (950, 1000)}
    # One that drains takes no requests.
    assert found.up == {"s": {"": 1}, "c": {"": 1}}
    assert runtime.asked == ["/run/looma/weights.map"]


@pytest.mark.parametrize(
    ("servers", "difference"),
    [
        (SERVERS[1:], "s/e-10-0-0-1-80 is missing"),
        ((*SERVERS, server(address="10.0.0.9")), "s/e-10-0-0-9-80 should not be there"),
        ((*SERVERS, server("x", "10.0.0.9")), "x/e-10-0-0-9-80 should not be there"),
        ((server(weight=0), *SERVERS[1:]), "s/e-10-0-0-1-80 has weight 0 and should have 100"),
        ((server(maintenance=True), *SERVERS[1:]), "s/e-10-0-0-1-80 is in maintenance"),
        ((server(port=81), *SERVERS[1:]), "s/e-10-0-0-1-80 is at another address"),
        (
            (structs.replace(SERVERS[0], address="10.0.0.7"), *SERVERS[1:]),
            "s/e-10-0-0-1-80 is at another address",
        ),
    ],
)
async def test_servers_that_differ(
    link: RealHaproxy, runtime: Runtime, servers: Sequence[Server], difference: str
) -> None:
    runtime.there = servers
    found = await link.observe(PLANE)
    assert found.differences == (difference,)
    assert found.ends == {}


@pytest.mark.parametrize(
    ("entries", "difference"),
    [
        ({**MAP, "a:0": "900"}, "a:0 is 900 and should be 950"),
        ({"a:1": "1000"}, "a:0 is None and should be 950"),
        ({**MAP, "z:0": "1"}, "z:0 is 1 and should be None"),
    ],
)
async def test_thresholds_that_differ(
    link: RealHaproxy, runtime: Runtime, entries: dict[str, str], difference: str
) -> None:
    runtime.entries = entries
    assert (await link.observe(PLANE)).differences == (difference,)


async def test_without_anything_to_choose_the_map_is_not_asked_for(
    link: RealHaproxy, runtime: Runtime
) -> None:
    runtime.there = ()
    assert (await link.observe(DataPlane(rules=PLANE.rules[1:]))).differences == ()
    assert runtime.asked == []


async def test_one_written_otherwise_is_the_same_address(link: RealHaproxy, runtime: Runtime) -> None:
    runtime.there = (*SERVERS[:2], structs.replace(SERVERS[2], address="fd00:0:0::1"))
    assert (await link.observe(PLANE)).differences == ()


async def test_a_server_that_leaves_is_no_difference_and_is_removed_later(
    link: RealHaproxy, runtime: Runtime
) -> None:
    # It still had connections when it was to be removed; a controller that starts anew finds it, too.
    runtime.there = (*SERVERS, server(address="10.0.0.9", maintenance=True))
    assert (await link.observe(PLANE)).differences == ()
    commands = link.plan(PLANE, PLANE)
    assert commands is not None
    assert [command.text for command in commands] == ["del server s/e-10-0-0-9-80"]
    runtime.refused = (commands[0], Command("wait 100ms srv-removable s/e-10-0-0-9-80", optional=True))
    await link.run(commands)
    assert link.plan(PLANE, PLANE) == commands
    runtime.refused = ()
    await link.run(commands)
    assert link.plan(PLANE, PLANE) == ()


async def test_a_shape_is_a_reload(link: RealHaproxy) -> None:
    assert link.plan(PLANE, structs.replace(PLANE, ready=False)) is None
    await link.reload()


@pytest.mark.parametrize(
    ("method", "error", "meant"),
    [
        ("reload", ReloadFailed("line 3"), RefusedError),
        ("reload", Unreachable("gone"), AwayError),
        ("run", CommandRefused("set map", "unknown"), DisagreedError),
        ("run", Unreachable("gone"), AwayError),
        ("observe", Unreachable("gone"), AwayError),
    ],
)
async def test_errors_by_what_they_mean(
    link: RealHaproxy, runtime: Runtime, method: str, error: Exception, meant: type[Exception]
) -> None:
    runtime.error = error
    given = {"reload": (), "run": ([],), "observe": (PLANE,)}[method]
    with pytest.raises(meant, match=str(error)):
        await getattr(link, method)(*given)


@pytest.mark.parametrize("error", [CommandRefused("show map", "Unknown map"), Unreadable("no form")])
async def test_an_answer_that_says_nothing_is_a_difference(
    link: RealHaproxy, runtime: Runtime, error: Exception
) -> None:
    runtime.error = error
    assert (await link.observe(PLANE)).differences == (str(error),)


def test_files_name_the_folder_as_haproxy_sees_it(link: RealHaproxy, tmp_path: Path) -> None:
    text = link.render(PLANE)["haproxy.cfg"]
    assert "/run/looma/weights.map" in text
    assert str(tmp_path) not in text
