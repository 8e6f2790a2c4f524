"""A data plane is carried out: by the least that leads there, and whatever breaks off in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from looma_engines.gateway.applying import (
    BELIEVED,
    CONFIGURATION,
    Applier,
    AwayError,
    RefusedError,
    Step,
    changes_between,
    flow_of,
    write_first,
)
from looma_engines.gateway.model import Backend, DataPlane, Endpoint, Rule, Target, Tokens
from support.gateway_haproxy import Crash, FakeHaproxy


def plane(*rules: str, weight: int = 100, pods: int = 1, issuer: str = "i") -> DataPlane:
    return DataPlane(
        ready=True,
        pod="pod",
        rules=tuple(
            Rule(name=name, targets=(Target(backend="s", weight=weight), Target(backend="c", weight=1)))
            for name in rules
        ),
        backends=(
            Backend(
                name="s",
                service="s",
                endpoints=tuple(Endpoint(address=f"10.0.0.{number}", port=80) for number in range(pods)),
            ),
            Backend(name="c", service="c"),
        ),
        tokens=Tokens(issuer=issuer),
    )


class World:
    """A HAProxy with its controller's applier."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.haproxy = FakeHaproxy(folder)
        self.steps: list[Step] = []
        write_first(self.haproxy, folder, pod="pod")
        self.haproxy.start()
        self.applier = self.begin()

    def begin(self) -> Applier[DataPlane]:
        return Applier(self.haproxy, self.folder, on_step=self.steps.append)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_first_configuration_routes_nothing_and_is_written_once(tmp_path: Path) -> None:
    haproxy = FakeHaproxy(tmp_path)
    assert write_first(haproxy, tmp_path, pod="pod")
    haproxy.start()
    assert haproxy.running == DataPlane(ready=False, pod="pod")
    (tmp_path / CONFIGURATION).write_text("kept")
    assert not write_first(haproxy, tmp_path, pod="pod")
    assert (tmp_path / CONFIGURATION).read_text() == "kept"


async def test_a_new_shape_is_a_reload_and_new_flow_is_commands(world: World) -> None:
    await world.applier.apply(plane("a"))
    assert (world.haproxy.reloads, world.haproxy.commands) == (1, [])
    await world.applier.apply(plane("a", weight=50, pods=3))
    assert (world.haproxy.reloads, len(world.haproxy.commands)) == (1, 1)
    assert world.haproxy.running == plane("a", weight=50, pods=3)
    assert world.steps == [Step(True, frozenset({"shape"})), Step(False, frozenset({"weights", "endpoints"}))]
    # HAProxy that starts anew by itself finds the flow as it is now.
    world.haproxy.start()
    assert await world.applier.observe() is not None
    await world.applier.apply(plane("a", weight=50, pods=3))
    assert (world.haproxy.reloads, len(world.haproxy.commands)) == (1, 1)


async def test_a_controller_that_starts_anew_goes_on_without_a_reload(world: World) -> None:
    await world.applier.apply(plane("a"))
    again = world.begin()
    await again.apply(plane("a"))
    await again.apply(plane("a", weight=7))
    assert (world.haproxy.reloads, len(world.haproxy.commands)) == (1, 1)


async def test_without_a_belief_it_reloads(world: World) -> None:
    await world.applier.apply(plane("a"))
    (world.folder / BELIEVED).write_text("{")
    await world.begin().apply(plane("a"))
    assert world.haproxy.reloads == 2


async def test_whoever_changed_haproxy_is_overruled(world: World) -> None:
    await world.applier.apply(plane("a"))
    world.haproxy.running = plane("a", weight=3)
    assert await world.applier.observe() is None
    await world.applier.apply(plane("a"))
    assert world.haproxy.running == plane("a")
    assert await world.applier.observe() is not None


async def test_a_command_that_is_not_taken_becomes_a_reload(world: World) -> None:
    await world.applier.apply(plane("a"))
    world.haproxy.faults["run"] = "disagree"
    await world.applier.apply(plane("a", weight=3))
    assert (world.haproxy.reloads, world.haproxy.running) == (2, plane("a", weight=3))


async def test_a_refused_shape_leaves_the_old_one_with_the_new_flow(world: World) -> None:
    await world.applier.apply(plane("a"))
    with pytest.raises(RefusedError, match="line 1"):
        await world.applier.apply(plane("a", "bad", weight=5, pods=4))
    assert world.haproxy.running == plane("a", weight=5, pods=4) == world.applier.running
    # A start by itself finds what it takes.
    world.haproxy.start()
    assert world.haproxy.running == plane("a", weight=5, pods=4)
    assert await world.begin().observe() is not None


async def test_a_refusal_while_it_is_not_sure_what_runs_loads_the_last_good_shape(world: World) -> None:
    await world.applier.apply(plane("a"))
    world.haproxy.running = plane("strange")
    assert await world.applier.observe() is None
    with pytest.raises(RefusedError):
        await world.applier.apply(plane("a", "bad", pods=2))
    assert world.haproxy.running == plane("a", pods=2)


async def test_while_haproxy_is_away_its_files_are_those_that_it_took_last(world: World) -> None:
    await world.applier.apply(plane("a"))
    world.haproxy.running = None
    with pytest.raises(AwayError):
        await world.applier.apply(plane("a", "bad"))
    world.haproxy.start()
    assert world.haproxy.running == plane("a")
    await world.applier.apply(plane("a", "b"))
    assert world.haproxy.running == plane("a", "b")


async def test_files_of_keys_that_are_gone_go_after_the_reload(world: World) -> None:
    await world.applier.apply(plane("a"))
    (world.folder / "keys" / "old.pem").write_text("old")
    await world.applier.apply(plane("a", issuer="j"))
    assert [path.name for path in (world.folder / "keys").iterdir()] == ["k.pem"]


@pytest.mark.parametrize(
    ("running", "desired", "changes"),
    [
        (None, plane("a"), {"shape"}),
        (plane("a"), plane("a"), set()),
        (plane("a"), plane("a", weight=2), {"weights"}),
        (plane("a"), plane("a", pods=2), {"endpoints"}),
        (plane("a"), plane("a", pods=2, weight=2), {"weights", "endpoints"}),
        (plane("a"), plane("b"), {"shape"}),
        (plane("a"), plane("a", issuer="j", weight=2), {"shape"}),
        (plane("a"), structs.replace(plane("a"), ready=False), {"shape"}),
    ],
)
def test_what_changed(running: DataPlane | None, desired: DataPlane, changes: set[str]) -> None:
    assert changes_between(running, desired) == changes


_PLANES = st.builds(
    plane,
    st.sampled_from(["a", "b"]),
    weight=st.integers(1, 3),
    pods=st.integers(0, 3),
    issuer=st.sampled_from(["i", "j"]),
)
_BAD = st.builds(lambda pods: plane("a", "bad", pods=pods), st.integers(0, 3))
_FAULTS = st.sampled_from(
    [
        {},
        {},
        {"reload": "away"},
        {"reload": "crash"},
        {"reload": "crash-after"},
        {"run": "away"},
        {"run": "disagree"},
        {"run": "crash"},
        {"run": "crash-after"},
        {"observe": "away"},
    ]
)
_OUTSIDE = st.sampled_from(["", "", "haproxy restarts", "controller restarts", "somebody else"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.one_of(_PLANES, _BAD), _FAULTS, _OUTSIDE), max_size=8), last=_PLANES)
async def test_whatever_breaks_off_it_ends_where_it_should(
    tmp_path_factory: pytest.TempPathFactory, moves: list[Any], last: DataPlane
) -> None:
    world = World(tmp_path_factory.mktemp("run"))
    for desired, faults, outside in moves:
        world.haproxy.faults = dict(faults)
        try:
            await world.applier.apply(desired)
            await world.applier.observe()
        except (RefusedError, AwayError):
            pass
        except Crash:
            world.applier = world.begin()
        world.haproxy.faults = {}
        if outside == "haproxy restarts":
            # Once the controller is back it always finds files that it takes.
            world.haproxy.start()
        elif outside == "controller restarts":
            world.applier = world.begin()
        elif outside == "somebody else":
            world.haproxy.running = plane("strange")
    if world.haproxy.running is None:
        world.haproxy.start()
    for _ in range(3):
        await world.applier.apply(last)
        if await world.applier.observe() is not None:
            break
    assert world.haproxy.running == last
    world.haproxy.start()
    assert world.haproxy.running == last


@given(running=_PLANES, desired=st.one_of(_PLANES, _BAD))
def test_flow_never_changes_the_shape(running: DataPlane, desired: DataPlane) -> None:
    moved = flow_of(running, desired)
    assert changes_between(running, moved) <= {"weights", "endpoints"}
    assert flow_of(moved, desired) == moved
