"""Waiting inside one event loop: for what is to happen, and for all that happens without time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TURNS = 50  # More than any chain of callbacks here is long.


async def settle() -> None:
    """Let everything run that needs no time and no other process."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object], *, seconds: float = 10) -> None:
    """Let others run until something holds.

    Raises:
        TimeoutError: after `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)
