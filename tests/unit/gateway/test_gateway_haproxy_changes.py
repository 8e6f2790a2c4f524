"""The least change from one data plane to another: where commands suffice, and that they lead there."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.gateway.haproxy import last_resort, shares
from looma_engines.gateway.haproxy.backends import unique_endpoints, weight
from looma_engines.gateway.haproxy.changes import Command, Reload, plan_changes
from looma_engines.gateway.haproxy.text import server_name
from looma_engines.gateway.model import (
    Backend,
    DataPlane,
    Endpoint,
    Listener,
    Match,
    Peer,
    Policy,
    Rule,
    Target,
    TokenKey,
    Tokens,
)

NAMES = ("looma_a-stable_80", "looma_a-canary_80", "looma_b_80")
State = tuple[dict[tuple[str, str], int], dict[str, str]]

endpoints = st.builds(
    Endpoint,
    address=st.sampled_from(("10.0.0.1", "10.0.0.2", "fd00::1")),
    port=st.sampled_from((80, 8000)),
    draining=st.booleans(),
    pod=st.sampled_from(("", "p")),
)
flows = st.builds(
    lambda pools, weights: DataPlane(
        ready=True,
        rules=(
            Rule(
                name="looma/a/0",
                targets=(
                    Target(backend=NAMES[0], weight=weights[0]),
                    Target(backend=NAMES[1], weight=weights[1]),
                ),
            ),
            Rule(name="looma/b/0", targets=(Target(backend=NAMES[2]),)),
        ),
        backends=tuple(
            Backend(name=name, service=name, endpoints=tuple(pool))
            for name, pool in zip(NAMES, pools, strict=True)
        ),
    ),
    pools=st.tuples(*(st.lists(endpoints, max_size=5) for _ in NAMES)),
    weights=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
)


def fresh(plane: DataPlane) -> State:
    """What a start with this plane gives: weights of servers, and the entries of both maps."""
    servers = {
        (backend.name, server_name(endpoint)): weight(endpoint)
        for backend in plane.backends
        for endpoint in unique_endpoints(backend)
    }
    ends = {name: str(end) for name, end in shares.map_entries(plane).items()}
    return servers, ends | last_resort.map_entries(plane)


def carried_out(
    state: State, leaving: set[tuple[str, str]], commands: tuple[Command, ...], keeps: bool
) -> State:
    """A little HAProxy that refuses as the real one does; `keeps`: servers still have connections."""
    servers, entries = dict(state[0]), dict(state[1])
    new: dict[tuple[str, str], int] = {}
    parked = dict.fromkeys(leaving, 0)
    for command in commands:
        words = command.text.split()
        path = tuple(words[2].split("/", 1)) if len(words) > 2 else ("", "")
        match words:
            case ["set", "map", where, key, value]:
                assert key in entries
                entries[key] = value
                known = {last_resort.NOBODY, *(server for _, server in servers)}
                assert value in known or not where.endswith(last_resort.MAP), "named before it is there"
            case ["add", "server", _, _, "weight", value, *_]:
                assert path not in servers
                assert path not in parked
                new[path] = int(value)
            case ["enable", "server", _]:
                servers[path] = new.pop(path)
            case ["enable", "health", _] | ["set", "server", _, "health", "up"]:
                assert path in (servers if words[0] == "set" else {**new, **parked})
            case ["set", "server", _, "weight", value]:
                assert path in servers or path in parked
                (servers if path in servers else parked)[path] = int(value)
            case ["set", "server", _, "state", "maint"]:
                parked[path] = servers.pop(path)
            case ["set", "server", _, "state", "ready"]:
                servers[path] = parked.pop(path)
            case ["wait", _, "srv-removable", _]:
                assert command.optional
            case ["del", "server", _]:
                assert command.optional
                assert path in parked
                if not keeps:
                    del parked[path]
            case _:
                pytest.fail(f"no such command: {command.text}")
    assert not new
    leaving.clear()
    leaving.update(parked)
    return servers, entries


@given(planes=st.lists(flows, min_size=2, max_size=6), keeps=st.lists(st.booleans(), min_size=6, max_size=6))
def test_commands_lead_where_a_fresh_start_does(planes, keeps):
    state, leaving = fresh(planes[0]), set()
    for before, after, kept in zip(planes, planes[1:], keeps, strict=False):
        planned = plan_changes(before, after, leaving=leaving)
        assert not isinstance(planned, Reload)
        state = carried_out(state, leaving, planned, kept)
        assert state == fresh(after)


@given(plane=flows)
def test_nothing_to_do_is_no_command(plane):
    assert plan_changes(plane, plane) == ()


@pytest.mark.parametrize(
    ("pods", "slots"),
    [
        ([], ["-"] * 4),
        ([("10.0.0.1", True)], ["-"] * 4),
        ([("10.0.0.1", False)], ["e-10-0-0-1-80"] * 4),
        ([("10.0.0.2", False), ("10.0.0.1", False)], ["e-10-0-0-1-80", "e-10-0-0-2-80"] * 2),
        ([("10.0.0.1", False), ("10.0.0.2", True)], ["e-10-0-0-1-80"] * 4),
        ([("10.0.0.1", False), ("10.0.0.1", True)], ["-"] * 4),
    ],
)
def test_pods_that_do_not_drain_share_the_slots_of_the_last_resort(pods, slots):
    found = tuple(Endpoint(address=address, port=80, draining=draining) for address, draining in pods)
    plane = DataPlane(ready=True, backends=(Backend(name="b", service="b", endpoints=found),))
    assert last_resort.map_entries(plane) == {f"b/{slot}": name for slot, name in enumerate(slots)}


def test_a_weight_moves_one_threshold():
    def at(canary: int) -> DataPlane:
        targets = (Target(backend=NAMES[0], weight=100 - canary), Target(backend=NAMES[1], weight=canary))
        return DataPlane(rules=(Rule(name="looma/a/0", targets=targets),))

    assert plan_changes(at(0), at(5)) == (Command("set map /run/looma/weights.map looma:a:0:0 950"),)


BASE = DataPlane(
    ready=True,
    pod="gateway-1",
    listeners=(Listener(name="http", port=8080),),
    rules=(Rule(name="looma/a/0", targets=(Target(backend=NAMES[0]),)),),
    backends=(Backend(name=NAMES[0], service="a-stable"),),
)


@pytest.mark.parametrize(
    "change",
    [
        {"ready": False},
        {"pod": "gateway-2"},
        {"listeners": (Listener(name="http", port=8081),)},
        {"rules": ()},
        {"rules": (Rule(name="looma/a/0", targets=(Target(backend=NAMES[0], weight=0),)),)},
        {"rules": (Rule(name="looma/a/0", targets=(Target(backend=NAMES[1]),)),)},
        {
            "rules": (
                Rule(name="looma/a/0", matches=(Match(path="/x"),), targets=(Target(backend=NAMES[0]),)),
            )
        },
        {"rules": (Rule(name="looma/a/0", policy=Policy(retries=1), targets=(Target(backend=NAMES[0]),)),)},
        {"backends": ()},
        {"backends": (Backend(name=NAMES[0], service="a-stable", check_path=""),)},
        {"tokens": Tokens(issuer="i", audience="a", keys=(TokenKey(id="k", pem="p"),))},
        {"peers": (Peer(name="gateway-1", address="10.0.0.1"),)},
    ],
)
def test_all_that_is_shape_needs_a_reload(change):
    assert plan_changes(BASE, msgspec.structs.replace(BASE, **change)) == Reload()


def test_the_order_of_backends_and_the_weight_of_an_only_target_are_nothing():
    twice = (Backend(name=NAMES[0], service="a-stable"), Backend(name=NAMES[1], service="a-canary"))
    one = msgspec.structs.replace(BASE, backends=twice)
    other = msgspec.structs.replace(
        BASE,
        backends=twice[::-1],
        rules=(Rule(name="looma/a/0", targets=(Target(backend=NAMES[0], weight=7),)),),
    )
    assert plan_changes(one, other) == ()
