"""`/api/v1/database`: how the database does, for administrators."""

from __future__ import annotations

from typing import Literal

from litestar import Controller, get

from looma_core.api.database import DatabaseState, Statements
from looma_core.auth import Principal, Role
from looma_core.db import Database
from looma_core.http import allow
from looma_engines.talent_sync.care.repository import CareRepository

StatementSort = Literal["total", "mean", "max", "calls"]


class DatabaseController(Controller):
    """What the database counts of itself. It tells of all tenants' work together, and of no record."""

    path = "/api/v1/database"
    tags = ("database",)
    opt = allow(Role.ADMIN)

    @get(summary="Read how the database does")
    async def state(self, principal: Principal, database: Database) -> DatabaseState:
        """Sizes, connections, hit rates, and the tables with their dead rows and last vacuum."""
        async with database.tenant_session(principal) as session:
            return await CareRepository(session).state()

    @get("/statements", summary="List the statements that take most")
    async def statements(
        self, principal: Principal, database: Database, sort: StatementSort = "total"
    ) -> Statements:
        """The 50 statements that took most, normalised. Where the database does not count them, `state` says why."""
        async with database.tenant_session(principal) as session:
            return await CareRepository(session).statements(order=sort)
