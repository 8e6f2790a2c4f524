"""Samples of requests: lines of HAProxy's access log that come to a socket in the shared folder.

HAProxy sends what `haproxy.config` makes a sample, never waits for it to be read, and drops what does not fit. So a
busy controller has fewer samples, and no request is held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from looma_core import logging

log = logging.get(__name__)

MODE = 0o600


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `seconds` is the time to the first byte of the pod's answer, or to the end without one.

    `own_seconds` is what HAProxy itself worked on it, and let it wait for its turn: rules, token, copying, TLS.
    """

    backend: str
    server: str
    seconds: float
    own_seconds: float


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    backend: str
    server: str
    queue_ms: int
    connect_ms: int
    first_byte_ms: int
    total_ms: int
    worked_ns: int
    waited_ns: int


_DECODER = msgspec.json.Decoder(_Line)
NO_SERVER = "<NOSRV>"


def parse(line: bytes) -> Sample | None:
    """The sample that a line tells of; None for other messages, and for requests that went to no pod."""
    try:
        told = _DECODER.decode(line)
    except msgspec.MsgspecError:
        return None
    if told.server == NO_SERVER:
        return None
    # Without an answer the time until it is -1, and that of the whole request says how long was waited.
    milliseconds = (
        told.queue_ms + told.connect_ms + told.first_byte_ms if told.first_byte_ms >= 0 else told.total_ms
    )
    return Sample(
        backend=told.backend,
        server=told.server,
        seconds=max(0, milliseconds) / 1000,
        own_seconds=max(0, told.worked_ns + told.waited_ns) / 1e9,
    )


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[Sample], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """One line of the log."""
        if (sample := parse(data)) is not None:
            self._take(sample)

    def error_received(self, exc: Exception) -> None:
        """Samples are missing, and nothing else."""
        log.warning("cannot read samples", error=str(exc))


async def receive(path: Path, take: Callable[[Sample], None]) -> None:
    """Take samples from the socket at `path`, until cancelled.

    Raises:
        OSError: the socket cannot be made.
    """
    with _socket(path) as server:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Receiver(take), sock=server
        )
        with contextlib.closing(transport):
            await asyncio.Event().wait()


@contextlib.contextmanager
def _socket(path: Path) -> Iterator[socket.socket]:
    # An earlier process leaves its file behind.
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.setblocking(False)
        server.bind(str(path))
        try:
            path.chmod(MODE)
            yield server
        finally:
            path.unlink(missing_ok=True)
