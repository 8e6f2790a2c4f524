"""One process before its pool of connections, with more tasks than connections: queries a second by the pool's size.

And what happens when the database is the slow one: whether all connections work, and whether anybody waits too long.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import text

from bench.report import Row
from looma_core.db import Database
from looma_core.db.pool import MeasuredPool
from looma_core.problems import NotReady
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.talents import TALENTS
from support.database import DatabaseUrls

SIZES = (1, 2, 5, 10, 20, 40)
DEFAULT = 10
TASKS, SECONDS = 64, 4.0
SLOW_SECONDS, PATIENCE = 0.2, 1.0
"""A statement that takes so long, and a pool that has requests wait so long: most of the tasks are refused then."""

Ask = Callable[[Any], Awaitable[object]]


@dataclass
class Run:
    """What became of the requests of one measurement."""

    done: int = 0
    refused: int = 0
    used: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def observe(self, amount: float, /) -> None:
        """Note how long one waited for its connection."""
        self.waits.append(amount)


def run(urls: DatabaseUrls, tenant: str, talents: Sequence[uuid.UUID]) -> list[Row]:
    """A row for each size of the pool, and two of one that is full."""
    return asyncio.run(_measured(urls, tenant, talents))


async def _measured(urls: DatabaseUrls, tenant: str, talents: Sequence[uuid.UUID]) -> list[Row]:
    numbers = itertools.count()

    def quick(session: Any) -> Awaitable[object]:
        number, repository = next(numbers), RecordRepository(session, TALENTS)
        if number % 2:
            return repository.find(talents[number % len(talents)])
        return repository.page(sort="-created_at", limit=51)

    def slow(session: Any) -> Awaitable[object]:
        asked: Awaitable[object] = session.execute(
            text("SELECT pg_sleep(:seconds)"), {"seconds": SLOW_SECONDS}
        )
        return asked

    rows = []
    for size in SIZES:
        found = await _taken(Database(urls.app, pool_size=size), tenant, quick)
        rows.append(
            Row(
                what=f"queries a second of one process, pool of {size}",
                value=found.done / SECONDS,
                unit="1/s",
                note=f"one talent and the newest 51, in turn, {TASKS} tasks at once; half of them waited "
                f"{statistics.median(found.waits) * 1000:.0f} ms for a connection and the last "
                f"{max(found.waits):.2f} s; {found.refused} refused",
            )
        )
    full = await _taken(Database(urls.app, pool_size=DEFAULT, pool_seconds=PATIENCE), tenant, slow)
    statement = f"statements of {SLOW_SECONDS:g} s, {TASKS} tasks at once, a pool of {DEFAULT}"
    return [
        *rows,
        Row(
            what="connections in use when the database is the slow one",
            value=100 * statistics.mean(full.used),
            unit="%",
            limit="90 %",
            note=f"{statement}; {full.done} done, {full.refused} answered 503 with Retry-After",
        ),
        Row(
            what="the longest wait for a connection then",
            value=max(full.waits),
            unit="s",
            baseline=PATIENCE,
            baseline_name="the pool's time-out",
            limit="none past it",
            note=f"{statement}; what it is over the time-out the busy machine took",
        ),
    ]


async def _taken(database: Database, tenant: str, ask: Ask) -> Run:
    pool = cast("MeasuredPool", database.engine.pool)
    found = Run()
    pool.waits = found
    until = time.monotonic() + SECONDS

    async def task() -> None:
        while time.monotonic() < until:
            try:
                async with database.tenant_session(tenant) as session:
                    await ask(session)
                found.done += 1
            except NotReady:
                found.refused += 1

    async def watch() -> None:
        # By then the connections are made.
        await asyncio.sleep(SECONDS / 4)
        while time.monotonic() < until:
            await asyncio.sleep(0.02)
            found.used.append(pool.checkedout() / pool.size())

    try:
        await asyncio.gather(watch(), *(task() for _ in range(TASKS)))
    finally:
        await database.close()
    return found
