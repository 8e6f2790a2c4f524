"""Rows of keys, pairs, scans and merges, inside a session that already knows its tenant. No decision is made here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    LargeBinary,
    Text,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from looma_core.db import new_id
from looma_engines.talent_sync.duplicates.keys import Key
from looma_engines.talent_sync.duplicates.models import DuplicateRow, KeyRow, MergeRow, ScanRow
from looma_engines.talent_sync.models import TalentRow

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_engines.talent_sync.cursor import Position

Pair = tuple[UUID, UUID]

_ADD_KEYS = text(
    """INSERT INTO talent_sync.duplicate_keys (talent_id, kind, digest)
    SELECT * FROM unnest(:people, :kinds, :digests) ON CONFLICT DO NOTHING"""
).bindparams(
    bindparam("people", type_=ARRAY(Uuid())),
    bindparam("kinds", type_=ARRAY(Text())),
    bindparam("digests", type_=ARRAY(LargeBinary())),
)
# Of a block no more is read than what tells that it is too large.
_BLOCKS = text(
    """SELECT wanted.digest, block.talent_id
    FROM unnest(:digests) AS wanted (digest)
    CROSS JOIN LATERAL (
        SELECT k.talent_id FROM talent_sync.duplicate_keys AS k
        JOIN talent_sync.talents AS t ON t.id = k.talent_id AND t.deleted_at IS NULL
        WHERE k.digest = wanted.digest LIMIT :most
    ) AS block"""
).bindparams(bindparam("digests", type_=ARRAY(LargeBinary())))


def _ids(people: Iterable[UUID]) -> ColumnElement[Any]:
    """One parameter, however many there are."""
    return any_(literal(list(people), ARRAY(Uuid())))


class DuplicateRepository:
    """Reads and writes pairs of the session's tenant.

    Args:
        session: from `Database.tenant_session`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def replace_keys(self, keys: Mapping[UUID, Collection[Key]]) -> None:
        """Write the keys of people anew."""
        people = sorted(keys)
        await self._session.execute(delete(KeyRow).where(KeyRow.talent_id == _ids(people)))
        rows = [(person, key) for person in people for key in sorted(keys[person])]
        if rows:
            await self._session.execute(
                _ADD_KEYS,
                {
                    "people": [person for person, _ in rows],
                    "kinds": [key.kind for _, key in rows],
                    "digests": [key.digest for _, key in rows],
                },
            )

    async def blocks(self, digests: Iterable[bytes], *, most: int) -> dict[bytes, list[UUID]]:
        """The people of each key, at most so many of each."""
        found: dict[bytes, list[UUID]] = {}
        rows = await self._session.execute(_BLOCKS, {"digests": sorted(digests), "most": most})
        for digest, person in rows:
            found.setdefault(bytes(digest), []).append(person)
        return found

    async def pairs_of(self, people: Collection[UUID]) -> list[DuplicateRow]:
        """All pairs that one of these people is in."""
        wanted = _ids(people)
        found = await self._session.scalars(
            select(DuplicateRow)
            .where(or_(DuplicateRow.first_id == wanted, DuplicateRow.second_id == wanted))
            .execution_options(populate_existing=True)
        )
        return list(found)

    async def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store new pairs; one that somebody else stored at this moment stays as it is."""
        if rows:
            values = [{"id": new_id(), "status": "open", **row} for row in rows]
            await self._session.execute(insert(DuplicateRow).values(values).on_conflict_do_nothing())

    async def change(self, pair_id: UUID, **values: Any) -> None:
        """Change a pair."""
        await self._session.execute(
            update(DuplicateRow)
            .where(DuplicateRow.id == pair_id)
            .values(updated_at=func.now(), **values)
            .execution_options(synchronize_session=False)
        )

    async def find(self, pair_id: UUID, *, lock: bool = False) -> DuplicateRow | None:
        """The pair with this id, or None; with `lock` nobody else settles it meanwhile."""
        statement = select(DuplicateRow).where(DuplicateRow.id == pair_id)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(statement)

    async def page(
        self,
        *,
        filters: Mapping[str, object],
        person: UUID | None,
        after: Position | None,
        limit: int,
    ) -> list[DuplicateRow]:
        """Up to `limit` pairs, newest first, from after a position; open ones only while both people are there."""
        row = DuplicateRow
        statement = select(row)
        for name, wanted in filters.items():
            if wanted is not None:
                statement = statement.where(getattr(row, name) == wanted)
        if person is not None:
            statement = statement.where(or_(row.first_id == person, row.second_id == person))
        # Counted pair by pair: for EXISTS beside OR all people would be read into a table of their own.
        there = (
            select(func.count())
            .select_from(TalentRow)
            .where(TalentRow.id.in_([row.first_id, row.second_id]), TalentRow.deleted_at.is_(None))
            .correlate(row)
            .scalar_subquery()
        )
        statement = statement.where(or_(row.status != "open", there == 2))
        if after is not None:
            statement = statement.where(tuple_(row.created_at, row.id) < tuple_(after.key, after.id))
        statement = statement.order_by(row.created_at.desc(), row.id.desc()).limit(limit)
        return list(await self._session.scalars(statement))

    async def lock_people(self, people: Iterable[UUID]) -> None:
        """Keep people from being changed before the transaction's end, in one order for all who do so."""
        await self._session.execute(
            select(TalentRow.id)
            .where(TalentRow.id == _ids(people))
            .order_by(TalentRow.id)
            .with_for_update(key_share=True)
        )

    async def scan(self, *, lock: bool = False) -> ScanRow | None:
        """How far this tenant's people were looked at."""
        statement = select(ScanRow)
        return await self._session.scalar(statement.with_for_update() if lock else statement)

    async def note_scan(self, **values: Any) -> None:
        """Write down how far it came."""
        await self._session.execute(
            update(ScanRow)
            .where(ScanRow.tenant == func.current_setting("looma.tenant"))
            .values(**values)
            .execution_options(synchronize_session=False)
        )

    async def add_merge(self, **values: Any) -> MergeRow:
        """Store a merge."""
        rows = await self._session.scalars(insert(MergeRow).values(**values).returning(MergeRow))
        return rows.one()

    async def find_merge(self, merge_id: UUID, *, lock: bool = False) -> MergeRow | None:
        """The merge with this id, or None."""
        statement = select(MergeRow).where(MergeRow.id == merge_id)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(statement)

    async def end_merge(self, row: MergeRow, *, by: str) -> None:
        """Note that a merge was undone."""
        await self._session.execute(
            update(MergeRow).where(MergeRow.id == row.id).values(undone_at=func.now(), undone_by=by)
        )
        await self._session.refresh(row)
