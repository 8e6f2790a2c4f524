"""The work queue: keys that want a look, each at most once in it and at most one look at a time.

Level-triggered: a wake-up carries no content, so ten of them before a look are one look. A key that is woken during
its own look is looked at again, unless all that woke it was what the look itself wrote. A look that fails is put back
with a growing, jittered delay.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any

from .metrics import QUEUE_DEPTH, RETRIES

_log = logging.getLogger(__name__)
FIRST_DELAY = 0.25
LONGEST_DELAY = 60.0


@dataclass(frozen=True, order=True)
class Key:
    """One object that wants a look."""

    kind: str
    namespace: str
    name: str


def backoff(failures: int, *, draw: float) -> float:
    """Seconds to wait after that many failures in a row; `draw` in [0, 1) spreads them over half the time.

    | failures | draw | answer |
    | -------- | ---- | ------ |
    | 1        | 0    | 0.125  |
    | 1        | 1    | 0.25   |
    | 2        | 1    | 0.5    |
    | 20       | 1    | 60     |
    """
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + draw / 2)


class WorkQueue:
    """Keys to look at, with delays; `run` looks at them, `workers` at a time."""

    def __init__(
        self,
        look: Callable[[Key], Awaitable[float | None]],
        *,
        workers: int = 8,
        is_echo: Callable[[Key, Any], bool] = lambda _key, _seen: False,
    ) -> None:
        """`look` answers when to look at the key again, in seconds, or None; `is_echo` whether a look wrote that."""
        self._look = look
        self._is_echo = is_echo
        self._workers = workers
        self._ready: OrderedDict[Key, None] = OrderedDict()
        self._running: set[Key] = set()
        self._dirty: dict[Key, set[Hashable]] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._wakened = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Keys that wait now, without those whose time has not come."""
        return len(self._ready)

    def knows(self, key: Key) -> bool:
        """Whether the key is being looked at or will be."""
        return key in self._ready or key in self._running or key in self._timers

    def add(self, key: Key, seen: Hashable = None) -> None:
        """Look at the key as soon as a worker is free; `seen` is what was heard of it, None for a reason that stays."""
        if key in self._running:
            # What the look has written is known once it ends.
            self._dirty.setdefault(key, set()).add(seen)
            return
        if seen is not None and self._is_echo(key, seen):
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key not in self._ready:
            self._ready[key] = None
            QUEUE_DEPTH.set(len(self._ready))
            task = asyncio.ensure_future(self._notify())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at the key in that time, or earlier if an earlier look is due."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        earlier = self._timers.get(key)
        if earlier is not None and earlier.when() <= due:
            return
        if earlier is not None:
            earlier.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def clear(self) -> None:
        """Forget every key: another replica looks at them now."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.clear()
        self._dirty.clear()
        self._failures.clear()
        QUEUE_DEPTH.set(0)

    async def run(self) -> None:
        """Look at keys until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _notify(self) -> None:
        async with self._wakened:
            self._wakened.notify()

    async def _next(self) -> Key:
        async with self._wakened:
            await self._wakened.wait_for(lambda: bool(self._ready))
            key, _ = self._ready.popitem(last=False)
            QUEUE_DEPTH.set(len(self._ready))
            self._running.add(key)
            return key

    async def _work(self) -> None:
        while True:
            key = await self._next()
            try:
                again = await self._look(key)
            except Exception as error:  # noqa: BLE001 - one object's trouble must not end the worker of all
                self._retry(key, error)
            else:
                self._failures.pop(key, None)
                if again is not None:
                    self.add_after(key, again)
            finally:
                self._running.discard(key)
            for seen in self._dirty.pop(key, ()):
                self.add(key, seen)

    def _retry(self, key: Key, error: Exception) -> None:
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = backoff(failures, draw=random.random())  # noqa: S311 - jitter, no secret
        RETRIES.labels(kind=key.kind).inc()
        known = type(error).__module__.startswith(__package__ or "looma_operator")
        _log.warning(
            "%s %s/%s failed, again in %.2f s: %s",
            key.kind,
            key.namespace,
            key.name,
            delay,
            error,
            exc_info=not known,
        )
        self.add_after(key, delay)
