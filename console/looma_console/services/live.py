"""Server-sent events for the pages about services.

Each open page holds a thread, so there is a cap on them, a heartbeat that notices a browser that went away,
and an end after which the browser connects anew (and is checked anew).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

HEARTBEAT_SECONDS = 15.0
# A rollout changes status many times a second; a page need not.
SETTLE_SECONDS = 0.25
RECONNECT_MILLISECONDS = 1000


def message(event: str, data: str) -> bytes:
    r"""One event: each line of `data` gets its own `data:`, as the format wants (`\r` would end a line, too)."""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return (f"event: {event}\n" + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


BEAT = message("beat", "")
"""Says that the page is still right: one that hears nothing may hang behind something that stands still.

A connection that was closed fails here, too, and frees the thread.
"""


def stream(
    *,
    wait: Callable[[float], bool],
    render: Callable[[], Mapping[str, str]],
    may_go_on: Callable[[], bool],
    seconds: float,
    beat_seconds: float = HEARTBEAT_SECONDS,
    is_closing: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Events as long as somebody listens, at most for `seconds`.

    Args:
        wait: waits up to so many seconds; True if something changed meanwhile.
        render: the page's blocks by event name; a block is sent when it differs from what was sent last.
        may_go_on: asked at each heartbeat; False once the person's session has ended.
        seconds: how long the stream lives.
        beat_seconds: after how long without news a beat is sent, of a stream that looks by the clock.
        is_closing: True once the process was asked to stop (the browser then connects to the next one), or
            once the browser is gone.
        clock: seconds, monotonic; for tests.
    """
    end = clock() + seconds
    sent: dict[str, str] = {}
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n".encode()
    changed = True
    checked = written = clock()
    while True:
        if changed:
            for event, block in render().items():
                if sent.get(event) != block:
                    sent[event] = block
                    written = clock()
                    yield message(event, block)
            if clock() - written >= beat_seconds:
                written = clock()
                yield BEAT
        left = end - clock()
        if left <= 0:
            return
        changed = wait(min(HEARTBEAT_SECONDS, left))
        if is_closing():
            return
        if changed:
            time.sleep(SETTLE_SECONDS)
        else:
            written = clock()
            yield BEAT
        if clock() - checked >= HEARTBEAT_SECONDS:
            checked = clock()
            if not may_go_on():
                return


def has_hung_up(connection: socket.socket | None) -> bool:
    """Whether the browser at the other end of `connection` is gone; False where that cannot be told.

    Without it a closed page would be noticed only by a failing heartbeat, the second one after it, and somebody
    who clicks from page to page would take all places with streams that nobody reads.
    """
    if connection is None:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Slot:
    """A place among the open streams; give it back exactly once, however the stream ended."""

    def __init__(self, slots: threading.BoundedSemaphore) -> None:
        """Take a place if there is one; `taken` says so."""
        self._slots = slots
        self._lock = threading.Lock()
        self.taken = slots.acquire(blocking=False)

    def release(self) -> None:
        """Give the place back; further calls do nothing."""
        with self._lock:
            if self.taken:
                self.taken = False
                self._slots.release()
