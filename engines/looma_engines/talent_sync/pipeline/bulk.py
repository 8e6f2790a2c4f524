"""Several moves in one request: one transaction, and a savepoint for each, so that a fault takes back its own alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from looma_core import logging
from looma_core.api.pipeline import Move, MoveItem, MoveResult
from looma_core.problems import FieldError, InternalError, ProblemError, ValidationProblem
from looma_engines.talent_sync.etag import tag_of

if TYPE_CHECKING:
    from looma_core.auth import Principal
    from looma_core.db import Database

    from .applications import ApplicationService

log = logging.get(__name__)


class BulkMoves:
    """Carries out several moves.

    Args:
        database: connection pool of `applications`.
        applications: does each move.
        most: moves in one request.
    """

    def __init__(self, database: Database, applications: ApplicationService, *, most: int) -> None:
        self._database = database
        self._applications = applications
        self._most = most

    async def apply(self, principal: Principal, items: Sequence[MoveItem]) -> list[MoveResult]:
        """Carry out all moves, in their order.

        Raises:
            ValidationProblem: there are none, or too many.
            NotReady: the database does not answer; nothing was done.
        """
        if not 1 <= len(items) <= self._most:
            raise ValidationProblem(
                errors=[FieldError(field="items", message=f"send 1 to {self._most} items")]
            )
        async with self._database.one_transaction(principal):
            results = [await self._one(principal, index, item) for index, item in enumerate(items)]
        refused = sum(result.problem is not None for result in results)
        log.info("applications moved", items=len(results), refused=refused)
        return results

    async def _one(self, principal: Principal, index: int, item: MoveItem) -> MoveResult:
        asked = Move(to=item.to, reason=item.reason, owner=item.owner)
        try:
            moved = await self._applications.move(principal, item.id, asked, if_match=item.if_match)
        except ProblemError as error:
            if error.status > InternalError.status:
                # Of no item in particular.
                raise
            return MoveResult(index=index, status=error.status, id=item.id, problem=error.problem())
        return MoveResult(
            index=index, status=200, id=item.id, version=moved.version, etag=tag_of(moved.version)
        )
