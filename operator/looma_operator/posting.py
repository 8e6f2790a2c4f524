"""Events are posted after what they tell of: by one task, in their order, while no object waits for a look.

The API server's time goes to children and status first; a thousand new services have two thousand things to tell. Only
so many wait: whoever has more to tell then waits with it. An event is posted in the context in which it was decided, so
that the fence stops that of a leadership which ended; what a crash loses is told by status all the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .kube.client import NotLeaderError

_log = logging.getLogger(__name__)
WAITING = 2000
PATIENCE_SECONDS = 60.0
"""An event is not held back for longer than this while others are looked at."""
Post = Callable[[], Coroutine[Any, Any, None]]


class Posting:
    """What waits to be told."""

    def __init__(self, *, busy: Callable[[], bool]) -> None:
        """`busy` while there is something more urgent to do."""
        self._busy = busy
        self._waiting: asyncio.Queue[tuple[Post, contextvars.Context, float]] = asyncio.Queue(WAITING)

    async def add(self, post: Post) -> None:
        """Have it told in time; waits itself where too much waits."""
        due = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        await self._waiting.put((post, contextvars.copy_context(), due))

    async def run(self) -> None:
        """Tell until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            post, context, due = await self._waiting.get()
            while self._busy() and loop.time() < due and not self._waiting.full():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            try:
                await loop.create_task(post(), context=context)
            except NotLeaderError as error:
                _log.warning("an event was left out: %s", error)
