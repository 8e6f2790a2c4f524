"""Several changes in one request: one transaction, and a savepoint for each item.

A fault takes back its own item alone. What is no item's fault, such as a database that does not answer, takes back all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.exc import DataError, IntegrityError

from looma_core import logging
from looma_core.api.exchange import BatchItem, BatchResult
from looma_core.api.reading import read
from looma_core.auth import Principal
from looma_core.db import Database
from looma_core.problems import (
    FieldError,
    InternalError,
    PreconditionRequired,
    ProblemError,
    ValidationProblem,
)
from looma_engines.talent_sync.etag import tag_of
from looma_engines.talent_sync.records.service import RecordService

log = logging.get(__name__)

_WANTED = {"create": ("draft",), "update": ("id", "patch"), "delete": ("id",)}
_FITTING = {"create": ("draft",), "update": ("id", "if_match", "patch"), "delete": ("id", "if_match")}


class Batches:
    """Carries out batches of one kind of record.

    Args:
        database: connection pool of `records`.
        records: does each item's work.
        most: items in one request.
    """

    def __init__(self, database: Database, records: RecordService[Any, Any], *, most: int) -> None:
        self._database = database
        self._records = records
        self._most = most

    async def apply(self, principal: Principal, items: Sequence[BatchItem]) -> list[BatchResult]:
        """Carry out all items, in their order.

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
        log.info("batch", entity=self._records.entity.name, items=len(results), refused=refused)
        return results

    async def _one(self, principal: Principal, index: int, item: BatchItem) -> BatchResult:
        try:
            return await self._done(principal, index, item)
        except ProblemError as error:
            told = error
        except (DataError, IntegrityError) as error:
            # What the rules let through and the table does not: the savepoint took it back.
            log.error("batch item failed", entity=self._records.entity.name, error=type(error).__name__)  # noqa: TRY400 - values are in its text
            told = InternalError()
        if told.status > InternalError.status:
            # Of no item in particular.
            raise told
        return BatchResult(index=index, status=told.status, id=item.id, problem=told.problem())

    async def _done(self, principal: Principal, index: int, item: BatchItem) -> BatchResult:
        _check_shape(item)
        if item.action == "create":
            draft = read(item.draft, self._records.entity.draft)
            record, is_new = await self._records.create(principal, draft)
            return _told(index, 201 if is_new else 200, record)
        # _check_shape saw to the id.
        record_id: UUID = item.id  # type: ignore[assignment]
        if item.if_match is None:
            raise PreconditionRequired("Say `if_match`, the ETag that you read.")
        if item.action == "delete":
            await self._records.delete(principal, record_id, if_match=item.if_match)
            return BatchResult(index=index, status=204, id=record_id)
        record = await self._records.change(principal, record_id, if_match=item.if_match, patch=item.patch)
        return _told(index, 200, record)


def _check_shape(item: BatchItem) -> None:
    """Each action has its own members; raises ValidationProblem."""
    given = {
        name for name in msgspec.structs.asdict(item) if name != "action" and getattr(item, name) is not None
    }
    errors = [
        FieldError(field=name, message=f"is required to {item.action}")
        for name in _WANTED[item.action]
        if name not in given
    ]
    errors += [
        FieldError(field=name, message=f"does not belong to {item.action}")
        for name in sorted(given.difference(_FITTING[item.action]))
    ]
    if errors:
        raise ValidationProblem(errors=errors)


def _told(index: int, status: int, record: Any) -> BatchResult:  # noqa: ANN401 - of whatever kind
    return BatchResult(
        index=index, status=status, id=record.id, version=record.version, etag=tag_of(record.version)
    )
