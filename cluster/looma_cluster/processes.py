"""The long-running processes that an instance started, known so well that no other is ever ended.

A process is known by its number, its start time in clock ticks, and the machine's boot: numbers are used again, so a
number alone would one day end somebody else's process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A process as it was when we started it."""

    pid: int
    ticks: int
    boot: str


def boot_id() -> str:
    """The machine's present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When the process started, in ticks since boot; None if there is none or it only waits to be reaped."""
    try:
        # The name may hold spaces and parentheses, so count from behind the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def started_at(known: Known) -> float:
    """When it started, in seconds since 1970 and right to a tick (10 ms)."""
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + known.ticks / os.sysconf("SC_CLK_TCK")


def know(pid: int) -> Known | None:
    """The process as one to remember; None if it has ended already."""
    ticks = start_ticks(pid)
    return None if ticks is None else Known(pid=pid, ticks=ticks, boot=boot_id())


def alive(known: Known | None) -> bool:
    """Whether that very process still runs."""
    return known is not None and known.boot == boot_id() and start_ticks(known.pid) == known.ticks


def end(known: Known | None, *, grace: float = 5.0) -> None:
    """End that very process: SIGTERM, and SIGKILL after `grace` seconds. Others of the same number are left alone.

    Raises:
        TimeoutError: if it is there 10 s after SIGKILL.
    """
    if known is None:
        return
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        if not alive(known):
            return
        if seconds <= 0:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(known.pid, number)
        deadline = time.monotonic() + seconds
        while alive(known) and time.monotonic() < deadline:
            time.sleep(0.02)
    if alive(known):
        raise TimeoutError(f"process {known.pid} does not end")


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty if there is none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [os.fsdecode(word) for word in words[:-1]]


def children(pid: int) -> list[int]:
    """Numbers of the direct children of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(word) for word in task.read_text().split()]
    return found
