"""Rows of the quarantine, of conflicts and of runs, inside a session that already knows its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm.attributes import set_committed_value

from looma_engines.talent_sync.privacy.fields import SIDES
from looma_engines.talent_sync.privacy.sessions import seals_of
from looma_engines.talent_sync.records.history_rows import HistoryRow

from .models import ConflictRow, QuarantineRow, ShardRow, StateRow, WriteRow
from .repairs import REPAIR, actor_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_engines.talent_sync.cursor import Position
    from looma_engines.talent_sync.records.history import Mark
    from looma_engines.talent_sync.records.rows import RecordRow

RowT = TypeVar("RowT", QuarantineRow, ConflictRow, WriteRow)


class ReviewRepository:
    """Reads and settles what runs left for people, of the session's tenant.

    Args:
        session: from `Database.tenant_session`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._seals = seals_of(session)

    async def page(
        self, row: type[RowT], *, filters: Mapping[str, object], after: Position | None, limit: int
    ) -> Sequence[RowT]:
        """Up to `limit` rows, newest first, from after a position."""
        statement: Select[RowT] = select(row)
        for name, wanted in filters.items():
            if wanted is not None:
                statement = statement.where(getattr(row, name) == wanted)
        if after is not None:
            statement = statement.where(tuple_(row.created_at, row.id) < tuple_(after.key, after.id))
        statement = statement.order_by(row.created_at.desc(), row.id.desc()).limit(limit)
        rows = (await self._session.scalars(statement)).all()
        for found in rows:
            self._open(found)
        return rows

    async def find(self, row: type[RowT], row_id: UUID, *, lock: bool = False) -> RowT | None:
        """The row with this id, or None; with `lock` nobody else settles it meanwhile."""
        statement = select(row).where(row.id == row_id)
        found = await self._session.scalar(statement.with_for_update() if lock else statement)
        if found is not None:
            self._open(found)
        return found

    async def records_of(self, entity: str, row: type[RecordRow], key: str) -> Sequence[UUID]:
        """Ids of the records that are here and have this key at any source; two of them are enough to know."""
        # The states' index has the origin before the key: so it is asked once for each that there is.
        origins = select(ShardRow.origin).where(ShardRow.entity == entity).distinct()
        statement = (
            select(row.id)
            .join(StateRow, StateRow.record_id == row.id)
            .where(StateRow.entity == entity, StateRow.origin.in_(origins), StateRow.key == key)
            .where(row.deleted_at.is_(None))
            .distinct()
            .limit(2)
        )
        return (await self._session.scalars(statement)).all()

    async def settle_entry(
        self, entry: QuarantineRow, *, state: str, by: str, record_id: UUID | None
    ) -> None:
        """Close an entry of the quarantine."""
        await self._session.execute(
            update(QuarantineRow)
            .where(QuarantineRow.id == entry.id)
            .values(
                state=state,
                version=entry.version + 1,
                settled_at=func.now(),
                settled_by=by,
                record_id=record_id,
            )
        )
        await self._session.refresh(entry)
        self._open(entry)

    async def settle_conflict(self, conflict: ConflictRow, *, resolution: str, by: str) -> None:
        """Close a conflict."""
        await self._session.execute(
            update(ConflictRow)
            .where(ConflictRow.id == conflict.id)
            .values(resolution=resolution, settled_at=func.now(), settled_by=by)
        )
        await self._session.refresh(conflict)
        self._open(conflict)

    async def write_again(self, write: WriteRow) -> None:
        """Have the next run look at what a source refused."""
        await self._session.execute(
            update(StateRow)
            .where(
                StateRow.entity == write.entity, StateRow.origin == write.origin, StateRow.key == write.key
            )
            .values(offered_version=None)
        )
        await self._session.execute(
            update(WriteRow)
            .where(WriteRow.id == write.id)
            .values(state="dropped", reason="a person asked for another try", settled_at=func.now())
        )
        await self._session.execute(
            update(QuarantineRow)
            .where(
                QuarantineRow.direction == "back",
                QuarantineRow.record_id == write.record_id,
                QuarantineRow.entity == write.entity,
                QuarantineRow.origin == write.origin,
                QuarantineRow.state == "open",
            )
            .values(state="superseded", settled_at=func.now(), version=QuarantineRow.version + 1)
            .execution_options(synchronize_session=False)
        )
        await self._session.refresh(write)

    async def look_again(self, entry: QuarantineRow) -> None:
        """Have the next run write what a source refused, as a person put it right."""
        await self._session.execute(
            update(StateRow)
            .where(
                StateRow.entity == entry.entity, StateRow.origin == entry.origin, StateRow.key == entry.key
            )
            .values(offered_version=None)
        )
        await self._session.execute(
            update(WriteRow)
            .where(
                WriteRow.record_id == entry.record_id,
                WriteRow.entity == entry.entity,
                WriteRow.origin == entry.origin,
                WriteRow.state == "refused",
                WriteRow.kind != "delete",
            )
            .values(state="dropped", reason="a person put it right", settled_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def state(self, entry: QuarantineRow) -> StateRow | None:
        """What is known of the entry's key; locked."""
        statement = select(StateRow).where(
            StateRow.entity == entry.entity, StateRow.origin == entry.origin, StateRow.key == entry.key
        )
        return await self._session.scalar(statement.with_for_update())

    async def remember(self, entry: QuarantineRow, values: Mapping[str, Any]) -> None:
        """Note what a record became, so that the next run finds the entry's row unchanged."""
        base = self._seals.base(entry.entity, values["record_id"], values["base"])
        digest = self._seals.digest(values["written_digest"])
        values = {**values, "base": base, "written_digest": digest}
        statement = insert(StateRow).values(
            tenant=func.current_setting("looma.tenant"),
            entity=entry.entity,
            origin=entry.origin,
            key=entry.key,
            raw_digest=entry.raw_digest,
            seen_generation=entry.generation,
            seen_position=entry.position,
            shard_hash=entry.shard_hash,
            gone=False,
            **values,
        )
        await self._session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant", "entity", "origin", "key"],
                set_={name: statement.excluded[name] for name in ("raw_digest", "gone", *values)},
            )
        )

    async def base_of(self, conflict: ConflictRow) -> dict[str, Any] | None:
        """What the source last gave for a conflict's record."""
        statement = select(StateRow.record_id, StateRow.base).where(
            StateRow.entity == conflict.entity,
            StateRow.origin == conflict.origin,
            StateRow.key == conflict.key,
        )
        found = (await self._session.execute(statement)).one_or_none()
        if found is None or found.base is None:
            return None
        return self._seals.opened_base(conflict.entity, found.record_id, found.base)

    def _open(self, row: QuarantineRow | ConflictRow | WriteRow) -> None:
        """Have a row say what was sealed; what is written is written by statements of its own."""
        if isinstance(row, WriteRow):
            # What is meant to be written is in the record, and nobody asks for it here.
            return
        if isinstance(row, QuarantineRow):
            set_committed_value(row, "raw", self._seals.opened_raw(row.id, row.raw))
            return
        for side in SIDES:
            value = self._seals.opened_side(row.entity, row.id, row.field, side, getattr(row, side))
            set_committed_value(row, side, value)

    async def runs(self, *, job: str | None, before: int | None, limit: int) -> list[list[ShardRow]]:
        """The shards of up to `limit` runs, the latest run first."""
        numbers = select(ShardRow.generation).group_by(ShardRow.generation)
        if job is not None:
            numbers = numbers.where(ShardRow.job == job)
        if before is not None:
            numbers = numbers.where(ShardRow.generation < before)
        wanted = (
            await self._session.scalars(numbers.order_by(ShardRow.generation.desc()).limit(limit))
        ).all()
        rows = await self._session.scalars(
            select(ShardRow)
            .where(ShardRow.generation.in_(wanted))
            .order_by(ShardRow.generation.desc(), ShardRow.shard)
        )
        found: dict[int, list[ShardRow]] = {}
        for row in rows:
            found.setdefault(row.generation, []).append(row)
        return list(found.values())

    async def run(self, number: int) -> list[ShardRow]:
        """The shards of one run; empty if there is none."""
        rows = await self._session.scalars(
            select(ShardRow).where(ShardRow.generation == number).order_by(ShardRow.shard)
        )
        return list(rows)

    async def next_run_began(self, run: ShardRow) -> datetime | None:
        """When the run of the same SyncJob began that came after this one; None where none did."""
        later = select(func.min(ShardRow.generation)).where(
            ShardRow.job == run.job, ShardRow.generation > run.generation
        )
        began = select(func.min(ShardRow.created_at)).where(
            ShardRow.job == run.job, ShardRow.generation == later.scalar_subquery()
        )
        return await self._session.scalar(began)

    async def repairs(
        self, job: str, *, since: datetime, until: datetime | None, after: Mark | None, limit: int
    ) -> list[HistoryRow]:
        """Up to `limit` entries of what a SyncJob put right in that time, the newest first, from after a mark."""
        order = (HistoryRow.changed_at, HistoryRow.id)
        statement = select(HistoryRow).where(
            HistoryRow.origin == REPAIR, HistoryRow.actor == actor_of(job), HistoryRow.changed_at >= since
        )
        if until is not None:
            statement = statement.where(HistoryRow.changed_at < until)
        if after is not None:
            statement = statement.where(tuple_(*order) < tuple_(after.at, after.id))
        rows = await self._session.scalars(
            statement.order_by(*(column.desc() for column in order)).limit(limit)
        )
        entries = list(rows)
        for entry in entries:
            changes = self._seals.changes(entry.entity, entry.record_id, entry.changes)
            set_committed_value(entry, "changes", changes)
        return entries

    async def tallies(self, number: int) -> dict[str, list[tuple[str, int]]]:
        """Of one run: fields that are wrong, resolutions of conflicts, and their fields, each with how often."""
        queries = {
            "faults": """SELECT error ->> 'field' AS name, count(DISTINCT entry.id) AS number
                FROM talent_sync.quarantine AS entry, jsonb_array_elements(entry.errors) AS error
                WHERE entry.generation = :number GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50""",
            "resolutions": """SELECT resolution AS name, count(*) AS number FROM talent_sync.sync_conflicts
                WHERE generation = :number GROUP BY 1 ORDER BY 2 DESC, 1""",
            "conflict_fields": """SELECT field AS name, count(*) AS number FROM talent_sync.sync_conflicts
                WHERE generation = :number GROUP BY 1 ORDER BY 2 DESC, 1""",
        }
        found = {}
        for name, query in queries.items():
            rows = await self._session.execute(text(query), {"number": number})
            found[name] = [(row.name, row.number) for row in rows]
        return found
