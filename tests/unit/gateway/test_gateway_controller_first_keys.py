"""A pod that serves nobody yet waits for the issuers' keys, if any route asks for tokens, and not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from looma_engines.gateway import controller as loops
from looma_engines.gateway.model import TokenKey
from looma_engines.gateway.waiting import KEYS_SECONDS, FirstKeys
from support.gateway_controller import World
from support.gateway_world import endpoint, slice_of, small_world

ISSUER = "http://issuer/jwks"
KEY = TokenKey(id="k", pem="P")
ASKS = {"auth": {"required": True}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One whose issuer did not answer yet."""
    made = World(tmp_path)
    made.keyless = [ISSUER]
    return made


def test_how_long_to_wait_for_keys() -> None:
    first = FirstKeys()
    assert first.hold(10) == KEYS_SECONDS
    assert first.hold(11) == KEYS_SECONDS - 1
    assert first.hold(10 + KEYS_SECONDS) == 0
    assert first.hold(100 + KEYS_SECONDS) == 0


async def test_a_pod_without_keys_is_not_ready_until_they_come(world: World) -> None:
    world.cluster.show(*small_world(**ASKS))
    assert await world.controller.step() == KEYS_SECONDS
    assert not world.running.ready
    assert world.health.waits_for == [f"keys of {ISSUER}"]
    assert world.views == [], "nothing is told of a pod that serves nobody"
    world.keys, world.keyless = (KEY,), []
    world.cluster.changed.set()
    await world.controller.step()
    assert (world.running.ready, world.running.tokens.keys) == (True, (KEY,))
    assert world.health.waits_for == []


async def test_one_of_two_issuers_is_waited_for_as_well(world: World) -> None:
    world.keys = (KEY,)
    world.cluster.show(*small_world(**ASKS))
    await world.controller.step()
    assert not world.running.ready


async def test_an_issuer_that_is_down_is_waited_for_so_long_and_then_it_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(loops, "log", log)
    world.cluster.show(*small_world(**ASKS))
    await world.controller.step()
    world.now += KEYS_SECONDS - 1
    # News begins no wait of its own.
    world.cluster.show(*small_world(**ASKS))
    assert await world.controller.step() == 1
    assert not world.running.ready
    world.now += 1
    await world.controller.step()
    assert log.calls == [
        ("warning", ("serving without keys of an issuer",), {"issuers": [ISSUER]}),
    ]
    assert world.running.ready
    assert world.health.waits_for == []
    # From here on pods and keys come as they come.
    world.now += 1
    pods = slice_of("resume-stable", endpoint("10.0.0.8"))
    world.cluster.show(*(item for item in small_world(**ASKS) if item["kind"] != pods["kind"]), pods)
    await world.controller.step()
    assert [item.address for item in world.running.backends[0].endpoints] == ["10.0.0.8"]
    world.keys = (KEY,)
    world.cluster.changed.set()
    await world.controller.step()
    assert world.running.tokens.keys == (KEY,)


async def test_where_no_route_asks_for_a_token_nothing_is_waited_for(world: World) -> None:
    world.cluster.show(*small_world(auth={"required": False}))
    await world.controller.step()
    assert world.running.ready


async def test_roles_ask_for_a_token_as_well(world: World) -> None:
    world.cluster.show(*small_world(auth={"required": False, "roles": ["recruiter"]}))
    await world.controller.step()
    assert not world.running.ready


async def test_a_controller_that_starts_anew_beside_a_haproxy_that_serves_waits_for_nothing(
    world: World, tmp_path: Path
) -> None:
    world.keyless = []
    world.cluster.show(*small_world(**ASKS))
    await world.controller.step()
    again = World(tmp_path)
    again.keyless = [ISSUER]
    again.cluster.show(*small_world(**ASKS))
    await again.controller.step()
    assert again.views[-1].applied.holds
