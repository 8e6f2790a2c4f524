"""HAProxy's two command sockets: the worker's, which changes what runs, and the master's, which reloads.

The only module here that does I/O. Each call opens a connection of its own: after a reload the worker's socket is
another worker's, and a connection that was kept would still change the one that leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from looma_engines.gateway.files import write_atomically
from looma_engines.gateway.haproxy import readback
from looma_engines.gateway.haproxy.changes import Command, ServerKey, believe
from looma_engines.gateway.haproxy.config import MASTER_SOCKET, SERVERS_STATE, WORKER_SOCKET

COMMAND_SECONDS = 5.0
RELOAD_SECONDS = 30.0
CONNECT_SECONDS = 5.0
"""The master is away for a moment while it executes itself anew, after its start and at each reload."""

_PROMPT = b"\n> "
_LIMIT = 64 * 1024 * 1024


class HaproxyError(Exception):
    """Base of what can go wrong between the controller and HAProxy."""


class Unreachable(HaproxyError):
    """Nobody answers on the socket, or not in time."""


class CommandRefused(HaproxyError):
    """A command did not do what it should; the message has the command and HAProxy's answer."""

    def __init__(self, command: str, answer: str) -> None:
        super().__init__(f"{command}: {answer}")
        self.command = command
        self.answer = answer


class ReloadFailed(HaproxyError):
    """The configuration does not hold; the message is HAProxy's. What ran before goes on running."""


class Runtime:
    """HAProxy as it runs.

    Args:
        folder: where its sockets are.
    """

    def __init__(self, folder: Path) -> None:
        self._worker = folder / WORKER_SOCKET
        self._master = folder / MASTER_SOCKET
        self._states = folder / SERVERS_STATE

    async def ask(self, *commands: str) -> tuple[str, ...]:
        """Return the worker's answers to commands, all on one connection.

        Raises:
            Unreachable: the worker is not there, or does not answer in time.
        """
        async with _connection(self._worker) as (reader, writer), _in_time(COMMAND_SECONDS):
            writer.write(b"prompt\n")
            await reader.readuntil(_PROMPT)
            found = []
            for command in commands:
                writer.write(command.encode() + b"\n")
                answer = await reader.readuntil(_PROMPT)
                found.append(answer.removesuffix(_PROMPT).decode(errors="replace").strip())
            return tuple(found)

    async def run(self, commands: Sequence[Command]) -> tuple[Command, ...]:
        """Carry out commands in order, and return those that were refused and may be.

        Raises:
            CommandRefused: one did not work; those after it were not tried.
            Unreachable: the worker is not there, or does not answer in time.
        """
        refused = []
        async with (
            _connection(self._worker) as (reader, writer),
            _in_time(COMMAND_SECONDS + 0.2 * len(commands)),
        ):
            writer.write(b"prompt\n")
            await reader.readuntil(_PROMPT)
            for command in commands:
                writer.write(command.text.encode() + b"\n")
                answer = (await reader.readuntil(_PROMPT)).removesuffix(_PROMPT)
                text = answer.decode(errors="replace").strip()
                if _worked(command, text):
                    continue
                if not command.optional:
                    raise CommandRefused(command.text, text)
                refused.append(command)
        return tuple(refused)

    async def reload(self) -> str:
        """Have the files read anew, and return what HAProxy said. New requests go to the new worker from then on.

        The new worker begins with what the one before knew of the servers; those that are new to it are believed to
        be as well as Kubernetes says, as those that commands add.

        Raises:
            ReloadFailed: the files do not hold.
            Unreachable: the master is not there, or does not answer in time.
        """
        known = await self._carry_states()
        answer = await self._ask_master("reload", RELOAD_SECONDS)
        first, _, said = answer.partition("\n")
        if first.strip() != "Success=1":
            raise ReloadFailed(said.removeprefix("--").strip() or "the master gave no answer")
        await self._believe_all_but(known)
        return said.removeprefix("--").strip()

    async def _carry_states(self) -> frozenset[ServerKey]:
        """Write down what the worker knows of its servers; answers which those are."""
        # A worker that cannot say it must not be in the way of the one that replaces it.
        states = ""
        with suppress(Unreachable, readback.Unreadable):
            (text,) = await self.ask("show servers state")
            states = readback.carried_states(text)
        try:
            write_atomically(self._states, states.encode())
        except OSError:
            return frozenset()
        return frozenset(
            (server.backend, server.name) for server in (readback.parse_servers(states) if states else ())
        )

    async def _believe_all_but(self, known: Collection[ServerKey]) -> None:
        # A first check that fails does so after a while; one that was right all the same fails again.
        with suppress(Unreachable, readback.Unreadable):
            new = [
                believe(server.backend, server.name).text
                for server in await self.servers()
                if server.up and not server.maintenance and (server.backend, server.name) not in known
            ]
            if new:
                await self.ask(*new)

    async def _ask_master(self, command: str, seconds: float) -> str:
        async with _connection(self._master) as (reader, writer), _in_time(seconds):
            writer.write(command.encode() + b"\n")
            # The master waits for another command until it hears that none comes.
            writer.write_eof()
            parts = []
            while part := await reader.read(_LIMIT):
                parts.append(part)
        return b"".join(parts).decode(errors="replace")

    async def servers(self) -> tuple[readback.Server, ...]:
        """All servers as they are. Raises Unreachable, readback.Unreadable."""
        (text,) = await self.ask("show servers state")
        return readback.parse_servers(text)

    async def map(self, path: str) -> dict[str, str]:
        """Entries of the map that HAProxy read from `path`. Raises Unreachable, CommandRefused, Unreadable."""
        (text,) = await self.ask(f"show map {path}")
        if text.startswith("Unknown map"):
            raise CommandRefused(f"show map {path}", text)
        return readback.parse_map(text)

    async def stat(self) -> tuple[readback.Stat, ...]:
        """Counters of frontends, backends and servers. Raises Unreachable, readback.Unreadable."""
        (text,) = await self.ask("show stat")
        return readback.parse_stat(text)

    async def stat_of_workers(self) -> dict[int, tuple[readback.Stat, ...]]:
        """Counters of backends and servers by each worker's process id, those that leave among them.

        Raises Unreachable, readback.Unreadable.
        """
        found = {}
        for number in readback.parse_workers(await self._ask_master("show proc", COMMAND_SECONDS)):
            text = (await self._ask_master(f"@!{number} show stat -1 6 -1", COMMAND_SECONDS)).strip()
            # One that ended meanwhile has nothing to say, or the master says that it does not know it.
            if text.startswith("# pxname"):
                found[number] = readback.parse_stat(text)
        return found

    async def table(self, name: str) -> tuple[readback.Entry, ...]:
        """Entries of a stick table. Raises Unreachable, readback.Unreadable."""
        (text,) = await self.ask(f"show table {name}")
        return readback.parse_table(text)

    async def tables(self, *names: str) -> tuple[tuple[readback.Entry, ...], ...]:
        """Entries of several stick tables at once; one that is not there has none.

        Raises Unreachable, readback.Unreadable.
        """
        answers = await self.ask(*(f"show table {name}" for name in names)) if names else ()
        return tuple(
            () if text.startswith("No such table") else readback.parse_table(text) for text in answers
        )

    async def breakers(self, table: str) -> tuple[readback.Breaker, ...]:
        """Circuits, by the table that holds them. Raises Unreachable, readback.Unreadable."""
        return readback.breakers_of(await self.table(table))


def _worked(command: Command, answer: str) -> bool:
    return answer.startswith(command.expects) if command.expects else not answer


@asynccontextmanager
async def _connection(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    until = loop.time() + CONNECT_SECONDS
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=_LIMIT)
            break
        except OSError as error:
            if loop.time() > until:
                raise Unreachable(f"{path.name}: {error}") from error
            await asyncio.sleep(0.02)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unreachable(f"no answer in {seconds:.0f} s") from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(f"the connection ended: {error}") from error
