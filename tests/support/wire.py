"""A road of bytes between clients and one server: it can be cut, broken off in the middle of an answer, and slowed.

It knows nothing of what goes over it, so it stands before PostgreSQL, web servers and an API server with TLS alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PIECE = 4096
"""Bytes that go on at once, and that a slow road waits before."""


@dataclass
class Wire:
    """The running road; `port` is where clients come in, on loopback.

    `target` is a port on loopback, or the socket of a server in the file system.
    """

    target: int | Path
    port: int = 0
    _is_cut: bool = False
    _delay: float = 0.0
    _left: int | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Reset all connections, and those that come, until it is mended."""
        self._is_cut = True
        self._asked(self._reset)

    def break_off(self, after: int) -> None:
        """Reset all connections once that many bytes of answers have gone through; those that come then are let in."""
        self._left = after

    def slow(self, seconds: float) -> None:
        """Wait so long before each piece, until it is mended."""
        self._delay = seconds

    def mend(self) -> None:
        """Let everything through."""
        self._is_cut, self._delay, self._left = False, 0.0, None

    def _asked(self, action: object) -> None:
        assert self._loop is not None
        done = threading.Event()

        def act() -> None:
            action()  # type: ignore[operator]
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(10), "the road answers"

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            if isinstance(self.target, Path):
                behind = await asyncio.open_unix_connection(str(self.target))
            else:
                behind = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, behind[1]}
        self._open |= ends
        try:
            await asyncio.gather(
                self._carry(reader, behind[1], answers=False), self._carry(behind[0], writer, answers=True)
            )
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if answers and self._left is not None:
                    piece, self._left = piece[: self._left], self._left - len(piece)
                    if self._left <= 0:
                        writer.write(piece)
                        self._left = None
                        # What is written is on its way before the end.
                        await asyncio.sleep(0)
                        self._reset()
                        return
                writer.write(piece)
                await writer.drain()
        # One side that has ended is the end of both: neither protocol here goes on with half of a connection.
        writer.close()


@contextmanager
def wire(target: int | Path) -> Iterator[Wire]:
    """A road that is open until the end, in a thread of its own."""
    made = Wire(target)
    ready, ended = threading.Event(), asyncio.Event()

    async def run() -> None:
        made._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        ready.set()
        await ended.wait()
        server.close()
        made._reset()
        # Connections that were let in end before the loop does.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10), "the road is open"
    try:
        yield made
    finally:
        assert made._loop is not None
        made._loop.call_soon_threadsafe(ended.set)
        thread.join(timeout=10)
