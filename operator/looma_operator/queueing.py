"""The work queue: keys that want a look, each at most once in it and at most one look at a time.

Level-triggered: a wake-up carries no content, so ten of them before a look are one look. A key that is woken during
its own look is looked at again, unless all that woke it was what the look itself wrote. A look that fails is put back
with a growing, jittered delay.

A look may end with a `Rest`, which waits while other keys have had no look at all: a thousand new services get their
children first, and are told of afterwards. It is of the look still, so its key waits with it. What a crash takes of it
is made again by the next look.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

from .metrics import QUEUE_DEPTH, RETRIES

_log = logging.getLogger(__name__)
FIRST_DELAY = 0.25
LONGEST_DELAY = 60.0
PATIENCE_SECONDS = 30.0
"""From then on a rest has its turn between the looks, one in TURNS."""
TURNS = 4
RESTS = 1000
"""So many wait at most, of some ten kB each."""


@dataclass(frozen=True, order=True)
class Key:
    """One object that wants a look."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Rest:
    """What is left of a look and may wait; `run` answers as a look does."""

    run: Callable[[], Coroutine[Any, Any, float | None]]


@dataclass(frozen=True)
class _Waiting:
    """A rest, in the context in which it was decided: the fence stops it if that leadership has ended."""

    key: Key
    rest: Rest
    context: contextvars.Context
    due: float


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
        look: Callable[[Key], Awaitable[float | Rest | None]],
        *,
        workers: int = 8,
        is_echo: Callable[[Key, Any], bool] = lambda _key, _seen: False,
    ) -> None:
        """`look` answers when to look at the key again, in seconds, or None, or what is left to do for it.

        `is_echo` answers whether a look wrote that.
        """
        self._look = look
        self._is_echo = is_echo
        self._workers = workers
        self._ready: OrderedDict[Key, None] = OrderedDict()
        self._rests: deque[_Waiting] = deque()
        self._turn = 0
        self._running: set[Key] = set()
        self._dirty: dict[Key, set[Hashable]] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._wakened = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Keys that wait now, for a look or for its rest, without those whose time has not come."""
        return len(self._ready) + len(self._rests)

    def crowded(self) -> bool:
        """Whether others wait for a look, so that a rest should wait for them; not where too many do already."""
        return bool(self._ready) and len(self._rests) < RESTS

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
            self._changed()

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
        self._running -= {waiting.key for waiting in self._rests}
        self._rests.clear()
        self._dirty.clear()
        self._failures.clear()
        QUEUE_DEPTH.set(0)

    async def run(self) -> None:
        """Look at keys until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    def _changed(self) -> None:
        QUEUE_DEPTH.set(len(self))
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._wakened:
            self._wakened.notify()

    async def _next(self) -> Key | _Waiting:
        async with self._wakened:
            await self._wakened.wait_for(lambda: len(self) > 0)
            chosen = self._rests.popleft() if self._is_for_a_rest() else self._ready.popitem(last=False)[0]
            if isinstance(chosen, Key):
                self._running.add(chosen)
            QUEUE_DEPTH.set(len(self))
            return chosen

    def _is_for_a_rest(self) -> bool:
        if not self._rests or not self._ready:
            return bool(self._rests)
        self._turn = (self._turn + 1) % TURNS
        return self._turn == 0 and self._rests[0].due <= asyncio.get_running_loop().time()

    async def _work(self) -> None:
        while True:
            chosen = await self._next()
            key = chosen if isinstance(chosen, Key) else chosen.key
            try:
                again = await self._turn_of(chosen)
            except Exception as error:  # noqa: BLE001 - one object's trouble must not end the worker of all
                self._retry(key, error)
            else:
                if isinstance(again, Rest):
                    continue
                self._failures.pop(key, None)
                if again is not None:
                    self.add_after(key, again)
            self._running.discard(key)
            for seen in self._dirty.pop(key, ()):
                self.add(key, seen)

    async def _turn_of(self, chosen: Key | _Waiting) -> float | Rest | None:
        """A look, or its rest. A look that leaves a rest keeps its key taken."""
        loop = asyncio.get_running_loop()
        if isinstance(chosen, _Waiting):
            return await loop.create_task(chosen.rest.run(), context=chosen.context)
        answer = await self._look(chosen)
        if isinstance(answer, Rest):
            due = loop.time() + PATIENCE_SECONDS
            self._rests.append(_Waiting(chosen, answer, contextvars.copy_context(), due))
            self._changed()
        return answer

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
