"""Claims on what is worked on at this moment, seen by all processes of an engine and gone with the one that has them.

A claim is an advisory lock of PostgreSQL's on a connection that this process keeps for nothing else: a process that
is killed loses the connection and with it its claims, at once and without anybody's help. Claims only keep others from
working in vain. That a thing is done once is the business of the tables: where the connection breaks, claims
are lost early.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from looma_core import logging
from looma_core.problems import NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import URL

POLL_SECONDS = 0.1
_TAKE = text("SELECT pg_try_advisory_lock(:number)")
_GIVE_BACK = text("SELECT pg_advisory_unlock(:number)")
# A node that is lost says nothing: without these the server would hold its locks for two hours.
_OPTIONS = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"

log = logging.get(__name__)


class Claims:
    """The claims of one process.

    Args:
        url: of the database, as `Database` has it.
        application_name: shown in `pg_stat_activity`.
    """

    def __init__(self, url: URL, *, application_name: str = "looma-claims") -> None:
        self._engine = create_async_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args={
                "application_name": application_name,
                "connect_timeout": 5,
                "tcp_user_timeout": 20_000,
                "keepalives_idle": 15,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "options": _OPTIONS,
            },
        )
        self._connection: AsyncConnection | None = None
        # One statement at a time on the connection.
        self._turn = asyncio.Lock()
        # The server lets one connection lock a thing several times, so this process counts for itself.
        self._held: set[int] = set()

    @asynccontextmanager
    async def claim(self, number: int, *, wait_seconds: float) -> AsyncIterator[bool]:
        """Hold a claim inside this block; yields False if another has it and keeps it for `wait_seconds`.

        Args:
            number: what is claimed, a signed 64-bit number.
            wait_seconds: how long another may take to give it back.

        Raises:
            NotReady: the database does not answer.
        """
        if not await self._take(number, wait_seconds):
            yield False
            return
        try:
            yield True
        finally:
            # Also where the request was cancelled: the claim must not outlive it.
            await asyncio.shield(self._give_back(number))

    async def close(self) -> None:
        """Give back all claims."""
        async with self._turn:
            await self._drop()
        await self._engine.dispose()

    async def _take(self, number: int, wait_seconds: float) -> bool:
        until = time.monotonic() + wait_seconds
        while True:
            if number not in self._held and await self._try(number):
                return True
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(POLL_SECONDS)

    async def _try(self, number: int) -> bool:
        self._held.add(number)
        taken = False
        # A request that is cancelled while it asks must still learn the answer, to give back what it got.
        asking = asyncio.create_task(self._ask(number))
        try:
            taken = await asyncio.shield(asking)
        except asyncio.CancelledError:
            if await asking:
                await self._give_back(number)
            raise
        finally:
            if not taken:
                self._held.discard(number)
        return taken

    async def _ask(self, number: int) -> bool:
        async with self._turn:
            for attempt in (1, 2):
                try:
                    if self._connection is None:
                        self._connection = await self._engine.connect()
                    return bool(await self._connection.scalar(_TAKE, {"number": number}))
                except (DBAPIError, OSError) as error:
                    # A database that began anew: the connection was cut while nobody looked.
                    await self._drop()
                    if attempt == 2:
                        detail = "The database does not answer right now."
                        raise NotReady(detail, headers={"Retry-After": "2"}) from error
        raise AssertionError("unreachable: the second attempt answers or raises")

    async def _give_back(self, number: int) -> None:
        async with self._turn:
            try:
                if self._connection is not None:
                    await self._connection.scalar(_GIVE_BACK, {"number": number})
            except (DBAPIError, OSError) as error:
                log.warning("claims lost", error=type(error).__name__)
                await self._drop()
            finally:
                self._held.discard(number)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.invalidate()
            await connection.close()
        except (DBAPIError, OSError):
            log.debug("the connection was gone already")
