"""HAProxy as the controller needs it: `applying.Haproxy` over the real one's files and sockets.

Servers that could not be removed while they had connections are kept in mind and tried again. Whoever starts anew
finds them by themselves: in maintenance, and in no data plane.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from looma_engines.gateway.applying import AwayError, DisagreedError, Observation, RefusedError
from looma_engines.gateway.haproxy import shares
from looma_engines.gateway.haproxy.backends import unique_endpoints, weight
from looma_engines.gateway.haproxy.changes import Command, Reload, ServerKey, plan_changes
from looma_engines.gateway.haproxy.config import render
from looma_engines.gateway.haproxy.readback import Server, Unreadable
from looma_engines.gateway.haproxy.runtime import CommandRefused, ReloadFailed, Runtime, Unreachable
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.text import server_name
from looma_engines.gateway.model import DataPlane, Endpoint
from looma_engines.gateway.traffic import pod_revision


class RealHaproxy:
    """One HAProxy, master and worker.

    Attributes:
        runtime: its command sockets.
        before_loss: called right before counters are lost: before a reload, and before a server is removed.
    """

    def __init__(self, folder: Path, settings: Settings | None = None, *, inside: Path | None = None) -> None:
        """Talk to the HAProxy whose sockets are in `folder`, which is `inside` as it sees it itself."""
        self._inside = inside or folder
        self._settings = settings or Settings()
        self.runtime = self._runtime = Runtime(folder)
        self.before_loss: Callable[[], Awaitable[None]] = _nothing
        self._leaving: set[ServerKey] = set()

    def render(self, plane: DataPlane) -> Mapping[str, str]:
        """Its files, by their path in the folder."""
        return render(plane, self._inside, self._settings)

    def plan(self, running: DataPlane, desired: DataPlane) -> Sequence[Command] | None:
        """Commands that lead from one to the other; None if a reload does."""
        found = plan_changes(running, desired, folder=self._inside, leaving=frozenset(self._leaving))
        return None if isinstance(found, Reload) else found

    async def reload(self) -> None:
        """Read the files anew.

        Raises:
            RefusedError: it does not take them.
            AwayError: the master does not answer.
        """
        await self.before_loss()
        try:
            await self._runtime.reload()
        except ReloadFailed as error:
            raise RefusedError(str(error)) from error
        except Unreachable as error:
            raise AwayError(str(error)) from error
        self._leaving.clear()

    async def run(self, commands: Sequence[Command]) -> None:
        """Carry commands out.

        Raises:
            DisagreedError: one of them was not taken, and should have been.
            AwayError: the worker does not answer.
        """
        if any(_deleted(command) is not None for command in commands):
            await self.before_loss()
        try:
            refused = await self._runtime.run(commands)
        except CommandRefused as error:
            raise DisagreedError(str(error)) from error
        except Unreachable as error:
            raise AwayError(str(error)) from error
        self._leaving = {key for command in refused if (key := _deleted(command)) is not None}

    async def observe(self, plane: DataPlane) -> Observation:
        """What it does, compared with what it should do.

        Raises:
            AwayError: the worker does not answer.
        """
        wanted = shares.map_entries(plane)
        try:
            entries = await self._runtime.map(f"{self._inside}/{shares.MAP}") if wanted else {}
            servers = await self._runtime.servers()
        except Unreachable as error:
            raise AwayError(str(error)) from error
        except (CommandRefused, Unreadable) as error:
            return Observation(ends={}, up={}, differences=(str(error),))
        self._leaving = set(_leaving(plane, servers))
        differences = (*_of_map(wanted, entries), *_of_servers(plane, servers, self._leaving))
        of = {
            (backend.name, server_name(endpoint)): pod_revision(backend.service, endpoint.pod)
            for backend in plane.backends
            for endpoint in backend.endpoints
        }
        up: dict[str, Counter[str]] = {backend.name: Counter() for backend in plane.backends}
        for server in servers:
            if server.backend in up and server.up and not server.maintenance and server.weight > 0:
                up[server.backend][of.get((server.backend, server.name), "")] += 1
        ends = {
            rule.name: tuple(
                int(entries.get(shares.map_key(rule, number), "0")) for number in range(len(rule.targets))
            )
            for rule in plane.rules
            if shares.is_shared(rule) and not differences
        }
        return Observation(ends=ends, up=up, differences=differences)


async def _nothing() -> None:
    """Nobody looks on."""


def _deleted(command: Command) -> ServerKey | None:
    """The server that a refused `del server BACKEND/SERVER` would have removed."""
    words = command.text.split()
    if words[:2] != ["del", "server"]:
        return None
    backend, _, server = words[2].partition("/")
    return backend, server


def _servers(plane: DataPlane) -> dict[ServerKey, Endpoint]:
    return {
        (backend.name, server_name(endpoint)): endpoint
        for backend in plane.backends
        for endpoint in unique_endpoints(backend)
    }


def _leaving(plane: DataPlane, servers: Collection[Server]) -> Iterator[ServerKey]:
    known = _servers(plane)
    for server in servers:
        if server.maintenance and (server.backend, server.name) not in known:
            yield server.backend, server.name


def _of_map(wanted: Mapping[str, int], entries: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(wanted.keys() | entries.keys()):
        value = wanted.get(name)
        if entries.get(name) != (None if value is None else str(value)):
            yield f"{name} is {entries.get(name)} and should be {value}"


def _of_servers(
    plane: DataPlane, servers: Collection[Server], leaving: Collection[ServerKey]
) -> Iterator[str]:
    wanted = _servers(plane)
    there = {(server.backend, server.name): server for server in servers}
    for key, endpoint in wanted.items():
        server = there.get(key)
        label = "/".join(key)
        if server is None:
            yield f"{label} is missing"
        elif server.maintenance:
            yield f"{label} is in maintenance"
        elif server.weight != weight(endpoint):
            yield f"{label} has weight {server.weight} and should have {weight(endpoint)}"
        elif not _same_address(server.address, endpoint.address) or server.port != endpoint.port:
            yield f"{label} is at another address"
    for key in there.keys() - wanted.keys():
        if key not in leaving:
            yield f"{'/'.join(key)} should not be there"


def _same_address(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other
