"""All that is held of one person, as one document: for the person, who may ask for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import Uuid, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from looma_core.api.rights import EXPORT_FORMAT, PersonExport, StoredFile, StoredSource
from looma_core.api.sync import QuarantineEntry, SyncConflict, SyncWrite
from looma_core.problems import NotFound
from looma_engines.talent_sync.files.repository import FileRepository, ids_of
from looma_engines.talent_sync.models import RelationRow, TalentRow
from looma_engines.talent_sync.pipeline.export import applications_of
from looma_engines.talent_sync.privacy.sessions import seals_of
from looma_engines.talent_sync.records import history as histories
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.syncing.models import ConflictRow, QuarantineRow, StateRow, WriteRow
from looma_engines.talent_sync.talents import TALENTS

from .audit import note
from .consents import consents_of
from .erasing import Gathered, gather, merged_with
from .events import events_of
from .files import files_of

if TYPE_CHECKING:
    from prometheus_client import Counter
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.crypto import FileCipher
    from looma_core.db import Database

MOST_ENTRIES = 100_000
"""Of a history: more than anybody ever made of one person."""


class PersonService:
    """Exports people of the caller's tenant.

    Args:
        database: connection pool.
        cipher: reads names of files.
        exported: counts exports.
    """

    def __init__(self, database: Database, *, cipher: FileCipher, exported: Counter) -> None:
        self._database = database
        self._cipher = cipher
        self._exported = exported

    async def export(self, principal: Principal, talent_id: UUID) -> PersonExport:
        """All that is held of a person, deleted or not; the audit tells of it in the same transaction.

        Raises:
            NotFound: there is no such person.
        """
        async with self._database.tenant_session(principal) as session:
            # First, so that the document itself tells of it.
            await note(session, "export-person", "talent", talent_id)
            answer = await _held(session, talent_id, self._cipher)
            for other in await session.run_sync(lambda sync: merged_with(sync.connection(), talent_id)):
                answer.merged.append(await _held(session, other, self._cipher))
        self._exported.inc()
        return answer


async def _held(session: AsyncSession, talent_id: UUID, cipher: FileCipher) -> PersonExport:
    opens = seals_of(session)
    talents = RecordRepository(session, TALENTS)
    record = next(iter(await talents.matching(TalentRow.id == talent_id)), None)
    if record is None:
        raise NotFound(f"There is no talent {talent_id}.")

    def look(sync: Session) -> tuple[Gathered | None, list[StoredFile]]:
        connection = sync.connection()
        found = gather(connection, TALENTS.name, talent_id, opens=opens)
        return found, files_of(connection, talent_id, found.files if found else [], cipher=cipher)

    found, files = await session.run_sync(look)
    relations = await RecordRepository(session, RELATIONS).matching(
        or_(RelationRow.talent_id == talent_id, RelationRow.other_talent_id == talent_id)
    )
    history = await talents.history(talent_id, limit=MOST_ENTRIES)
    # One parameter, however many there are.
    its = any_(literal([talent_id, *(relation.id for relation in relations)], ARRAY(Uuid())))
    states = await session.scalars(
        select(StateRow)
        .where(StateRow.record_id == its, StateRow.entity.in_((TALENTS.name, RELATIONS.name)))
        .order_by(StateRow.entity.desc(), StateRow.origin, StateRow.key)
    )
    conflicts = await session.scalars(select(ConflictRow).where(ConflictRow.record_id == its))
    # What may be of somebody else is not theirs to read.
    held = [entry for entry in found.entries if entry not in found.doubtful] if found else []
    entries = await session.scalars(
        select(QuarantineRow).where(or_(QuarantineRow.record_id == its, QuarantineRow.id.in_(held)))
    )
    resume_files = await FileRepository(session).held_of(talent_id)
    writes = await session.scalars(
        select(WriteRow)
        .where(WriteRow.record_id == its)
        .order_by(WriteRow.created_at.desc())
        .limit(MOST_ENTRIES)
    )
    return PersonExport(
        format=EXPORT_FORMAT,
        made_at=datetime.now(UTC),
        deleted=await talents.find(talent_id) is None,
        record=record,
        relations=relations,
        applications=await applications_of(session, talent_id),
        history=[histories.entry_of(row, TALENTS.settable) for row in history],
        consents=await consents_of(session, talent_id),
        sources=[
            _converted(row, StoredSource, base=opens.opened_base(row.entity, row.record_id, row.base or {}))
            for row in states
        ],
        conflicts=[
            _converted(
                row,
                SyncConflict,
                **{
                    side: opens.opened_side(row.entity, row.id, row.field, side, getattr(row, side))
                    for side in ("base", "source", "target")
                },
            )
            for row in conflicts
        ],
        quarantine=[
            _converted(row, QuarantineEntry, raw=opens.opened_raw(row.id, row.raw)) for row in entries
        ],
        writes=[_converted(row, SyncWrite, key=row.key or "") for row in writes],
        files=files,
        resume_files=resume_files,
        audit=await events_of(session, talent_id, *ids_of(resume_files)),
    )


def _converted(row: Any, struct: Any, **opened: object) -> Any:  # noqa: ANN401 - a row and the Struct of its kind
    values = {name: getattr(row, name) for name in struct.__struct_fields__ if hasattr(row, name)}
    return msgspec.convert({**values, **opened}, struct)
