"""Brings a deleted record back, as long as it was not erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from sqlalchemy.exc import IntegrityError

from looma_core.problems import Conflict, NotFound, PreconditionFailed
from looma_engines.talent_sync.duplicates.survivors import survivor
from looma_engines.talent_sync.etag import allows
from looma_engines.talent_sync.records.entity import DraftT, Entity, RecordT
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.rights.audit import note

if TYPE_CHECKING:
    from uuid import UUID

    from prometheus_client import Counter
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database


class Restorer(Generic[DraftT, RecordT]):
    """Restores records of one kind.

    Args:
        database: connection pool.
        entity: their kind.
        changed: counts changes, by kind and action.
    """

    def __init__(self, database: Database, entity: Entity[DraftT, RecordT], *, changed: Counter) -> None:
        self._database = database
        self._entity = entity
        self._changed = changed

    async def restore(self, principal: Principal, record_id: UUID, *, if_match: str) -> RecordT:
        """Bring back what was deleted, as it was; relations that went with it are brought back one by one.

        Raises:
            NotFound: there is no such record, or it was erased.
            PreconditionFailed: it is not at that version.
            Conflict: it is not deleted, it was merged, what it refers to is not there, or another took its place.
        """
        row, name = self._entity.row, self._entity.name
        async with self._database.tenant_session(principal) as session:
            repository = RecordRepository(session, self._entity)
            if await repository.find(record_id) is not None:
                raise Conflict(f"This {name} is not deleted.")
            deleted = next(iter(await repository.matching(row.id == record_id)), None)
            if deleted is None:
                raise NotFound(f"There is no {name} {record_id}; what was erased cannot be restored.")
            if (kept := await survivor(session, record_id)) is not None:
                raise Conflict(f"It was merged into {kept}: undo the merge, and it is back.")
            if not allows(if_match, deleted.version):
                raise PreconditionFailed(
                    f"The {name} was deleted at version {deleted.version}: read its history, then restore that one."
                )
            await self._check_references(repository, deleted)
            await self._check_ties(session, deleted)
            try:
                restored = await repository.undelete(record_id, version=deleted.version)
            except IntegrityError as error:
                raise Conflict(
                    f"Another {name} took its place since: look for one of the same source."
                ) from error
            if restored is None:
                raise PreconditionFailed(f"The {name} was restored or erased at this moment.")
            await note(session, "restore", name, record_id)
        self._changed.labels(name, "restore").inc()
        return restored

    async def _check_references(self, repository: RecordRepository[DraftT, RecordT], record: RecordT) -> None:
        for field, row in self._entity.references.items():
            wanted = getattr(record, field)
            if wanted is not None and not await repository.is_there(row, wanted):
                raise Conflict(f"What `{field}` refers to is deleted or erased: restore it first.")

    async def _check_ties(self, session: AsyncSession, record: RecordT) -> None:
        draft: Any = self._entity.draft(
            **{name: getattr(record, name) for name in (*self._entity.settable, "source")}
        )
        await self._entity.ties.refuse_double(session, draft, record_id=record.id)
