"""Gauges of the database, read again and again while the engine runs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from looma_core import logging
from looma_core.problems import NotReady
from looma_engines.talent_sync.care.repository import CareRepository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from looma_core.api.database import DatabaseState
    from looma_core.db import Database
    from looma_core.metrics import Metrics

SECONDS = 60.0
"""Sizes and counts move slowly, and each engine's pod asks for them."""
NOBODY = "-"
"""The tenant of the session that asks; what it reads is no tenant's."""
TABLES = "talent_sync."

log = logging.get(__name__)


class Watch:
    """Keeps the gauges.

    Args:
        database: connection pool.
        metrics: where the gauges are.
    """

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._cache = metrics.gauge(
            "looma_database_cache_hit_ratio", "Part of the database's blocks that were found in its cache."
        )
        self._indexes = metrics.gauge(
            "looma_database_index_use_ratio",
            "Part of the scans of tables with a thousand rows or more that went by an index.",
        )
        self._connections = metrics.gauge(
            "looma_database_connections", "Connections to the database, of all processes."
        )
        self._bytes = metrics.gauge("looma_database_bytes", "Size of the database on disk.")
        self._dead = metrics.gauge(
            "looma_database_dead_rows", "Rows of a table that a vacuum will take.", ["table"]
        )

    def tell(self, state: DatabaseState) -> None:
        """Set the gauges."""
        if state.cache_hit_ratio is not None:
            self._cache.set(state.cache_hit_ratio)
        if state.index_use_ratio is not None:
            self._indexes.set(state.index_use_ratio)
        self._connections.set(state.connections)
        self._bytes.set(state.bytes)
        for table in state.tables:
            # Partitions come and go by the month, and would leave their labels behind.
            if table.name.startswith(TABLES) and "record_history_" not in table.name:
                self._dead.labels(table.name.removeprefix(TABLES)).set(table.dead_rows)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look again and again within this block."""
        task = asyncio.create_task(self._again_and_again())
        try:
            yield
        finally:
            task.cancel()

    async def _again_and_again(self) -> None:
        while True:
            try:
                async with self._database.tenant_session(NOBODY) as session:
                    self.tell(await CareRepository(session).state())
            except (NotReady, SQLAlchemyError) as error:
                log.warning("the database was not looked at", error=type(error).__name__)
            await asyncio.sleep(SECONDS)
