"""Relations that go from one person to another, and back. The rules of relations decide which can."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select, update

from looma_core.api.relation import Relation, RelationDraft
from looma_core.problems import Conflict
from looma_engines.talent_sync.models import RelationRow
from looma_engines.talent_sync.pipeline.following import hang_back, hang_on_double, would_be_open_twice
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.relations import RELATIONS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

Fate = Literal["moved", "doubled", "own", "refused"]
_ENDS = ("talent_id", "other_talent_id")


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one relation: `ends` are those that named the person, `version` is what it has since.

    `applications` hung on it and go on by the one that it doubled.
    """

    id: UUID
    fate: Fate
    ends: list[str]
    version: int
    applications: list[UUID] = msgspec.field(default_factory=list)


class Ends:
    """Moves relations, inside a session that already knows its tenant.

    Args:
        session: from `Database.tenant_session`; nobody else changes the two people meanwhile.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._relations: RecordRepository[RelationDraft, Relation] = RecordRepository(session, RELATIONS)

    async def move(self, person: UUID, to: UUID) -> list[Moved]:
        """Give a person's relations to another one; those that cannot be there are hidden."""
        found = await self._session.scalars(
            select(RelationRow.id)
            .where(
                or_(RelationRow.talent_id == person, RelationRow.other_talent_id == person),
                RelationRow.deleted_at.is_(None),
            )
            .order_by(RelationRow.id)
            .with_for_update()
        )
        return [
            await self._one(relation, person, to) for relation in await self._relations.several(found.all())
        ]

    async def back(self, moved: list[Moved], *, person: UUID, from_: UUID) -> None:
        """Give them back. What was deleted since stays so, and all else that was changed since."""
        for one in moved:
            if one.fate == "moved":
                await self._give_back(one, person=person, from_=from_)
        for one in moved:
            if one.fate != "moved":
                await self._session.execute(
                    update(RelationRow)
                    .where(
                        RelationRow.id == one.id,
                        RelationRow.deleted_at.is_not(None),
                        RelationRow.version == one.version,
                    )
                    .values(version=one.version + 1, updated_at=func.now(), deleted_at=None)
                    .execution_options(synchronize_session=False)
                )
                await hang_back(self._session, one.applications, relation=one.id, person=person)

    async def _one(self, relation: Relation, person: UUID, to: UUID) -> Moved:
        ends = [name for name in _ENDS if getattr(relation, name) == person]
        draft = _draft(relation, dict.fromkeys(ends, to))
        fate = await self._fate(draft, relation)
        applications = await hang_on_double(self._session, relation.id, to) if fate == "doubled" else []
        if fate == "moved":
            changed = await self._relations.replace(relation.id, version=relation.version, draft=draft)
            is_done = changed is not None
        else:
            is_done = await self._relations.delete(relation.id, version=relation.version)
        if not is_done:
            raise Conflict("A relation of the two is being changed at this moment; try again.")
        return Moved(
            id=relation.id, fate=fate, ends=ends, version=relation.version + 1, applications=applications
        )

    async def _fate(self, draft: RelationDraft, relation: Relation) -> Fate:
        if draft.talent_id == draft.other_talent_id:
            return "own"
        try:
            await RELATIONS.ties.refuse_double(self._session, draft, record_id=relation.id)
        except Conflict:
            return "doubled"
        if await would_be_open_twice(self._session, relation.id, draft.talent_id):
            return "doubled"
        beside = await RELATIONS.ties.look_around(
            self._session, draft, record_id=relation.id, before=relation
        )
        today = datetime.now(UTC).date()
        wrong = beside is not None and refusals(draft, today=today, rules=RELATIONS.rules, beside=beside)
        return "refused" if wrong else "moved"

    async def _give_back(self, one: Moved, *, person: UUID, from_: UUID) -> None:
        now = await self._relations.find(one.id)
        if now is None:
            return
        ends = {name: person for name in one.ends if getattr(now, name) == from_}
        if ends and (
            await self._relations.replace(now.id, version=now.version, draft=_draft(now, ends)) is None
        ):
            raise Conflict("A relation of the two is being changed at this moment; try again.")


def _draft(relation: Relation, ends: dict[str, UUID]) -> RelationDraft:
    values: dict[str, Any] = {name: getattr(relation, name) for name in (*RELATIONS.settable, "source")}
    return RelationDraft(**{**values, **ends})
