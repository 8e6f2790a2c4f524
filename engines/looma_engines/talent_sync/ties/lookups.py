"""Relations beside one, inside a session that already knows its tenant. No decision is made here."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.orm import aliased

from looma_engines.talent_sync.models import RelationRow, TalentRow
from looma_engines.talent_sync.quality.relations import Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.api.relation import RelationDraft

UNKNOWN_BEGINNING = date(1, 1, 1)
"""What the column `begins` has where no beginning is known."""
_NUMBER = "hashtextextended('looma.relations ' || current_setting('looma.tenant') || ' ' || :what, 0)"
_LOCK = text(f"SELECT pg_advisory_xact_lock({_NUMBER})")
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_NUMBER})")


class RelationLookups:
    """Reads what is beside a relation that is to be stored.

    Args:
        session: from `Database.tenant_session`.
        draft: the relation.
        record_id: the one that it is to replace, which is not beside it.
    """

    def __init__(self, session: AsyncSession, draft: RelationDraft, record_id: UUID | None) -> None:
        self._session = session
        self._draft = draft
        self._record_id = record_id

    async def lock(self, what: str) -> None:
        """Wait for all other transactions of the tenant that locked the same, and keep later ones waiting."""
        await self._session.execute(_LOCK, {"what": what})

    async def share(self, what: str) -> None:
        """Wait for whoever locked the same for all, as a sync job's batch does, and keep such waiting."""
        await self._session.execute(_SHARE, {"what": what})

    async def other_work(self) -> list[Span]:
        """When else the person works at the company, but for the beginning that the draft itself has."""
        row = RelationRow
        found = await self._session.execute(
            select(row.starts_on, row.ends_on)
            .where(
                row.talent_id == self._draft.talent_id,
                row.company_id == self._draft.company_id,
                row.kind == "works_at",
                row.begins != (self._draft.starts_on or UNKNOWN_BEGINNING),
                *self._others(row),
            )
            .order_by(row.begins)
        )
        return [Span(starts_on, ends_on) for starts_on, ends_on in found]

    async def chain(self, *, at_the_same_time: bool) -> list[tuple[UUID, UUID]]:
        """All relations of the draft's kind that lead on from its other person, up to its first one.

        Args:
            at_the_same_time: leave out those that have no day in common with the draft.
        """
        first, step = RelationRow, aliased(RelationRow)

        def asked(row: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401 - the row's class, or an alias of it
            found = [row.kind == self._draft.kind, *self._others(row)]
            return [*found, *self._meanwhile(row)] if at_the_same_time else found

        reached = (
            select(first.talent_id, first.other_talent_id)
            .where(first.talent_id == self._draft.other_talent_id, *asked(first))
            .cte("reached", recursive=True)
        )
        # UNION keeps each relation once, so that a circle that is there already does not run for ever.
        reached = reached.union(
            select(step.talent_id, step.other_talent_id)
            .join(reached, step.talent_id == reached.c.other_talent_id)
            .where(reached.c.other_talent_id != self._draft.talent_id, *asked(step))
        )
        found = await self._session.execute(select(reached.c.talent_id, reached.c.other_talent_id))
        return [(one, other) for one, other in found]

    async def names(self, people: Iterable[UUID]) -> dict[UUID, str]:
        """What people are called."""
        found = await self._session.execute(
            select(TalentRow.id, TalentRow.full_name).where(TalentRow.id.in_(set(people)))
        )
        return {talent: name for talent, name in found.tuples()}  # noqa: C416 - dict() takes a result for a mapping

    async def double(self) -> UUID | None:
        """The relation of the same kind, ends and beginning; of two who know each other, either way round."""
        row, draft = RelationRow, self._draft
        ends = and_(
            row.talent_id == draft.talent_id,
            func.coalesce(row.company_id, row.job_id, row.other_talent_id)
            == (draft.company_id or draft.job_id or draft.other_talent_id),
        )
        if draft.kind == "knows":
            turned = and_(row.talent_id == draft.other_talent_id, row.other_talent_id == draft.talent_id)
            ends = or_(ends, turned)
        statement = select(row.id).where(
            ends,
            row.kind == draft.kind,
            row.begins == (draft.starts_on or UNKNOWN_BEGINNING),
            row.deleted_at.is_(None),
        )
        if self._record_id is not None:
            statement = statement.where(row.id != self._record_id)
        return await self._session.scalar(statement)

    def _others(self, row: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
        """Live ones, but for the draft itself: by its id, or by its source if it was sent before."""
        found: list[ColumnElement[bool]] = [row.deleted_at.is_(None)]
        if self._record_id is not None:
            found.append(row.id != self._record_id)
        elif self._draft.source.ref is not None:
            source = self._draft.source
            found.append(
                or_(row.source_ref.is_(None), row.source_ref != source.ref, row.source_type != source.type)
            )
        return found

    def _meanwhile(self, row: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
        found: list[ColumnElement[bool]] = []
        if self._draft.ends_on is not None:
            found.append(row.begins <= self._draft.ends_on)
        if self._draft.starts_on is not None:
            found.append(or_(row.ends_on.is_(None), row.ends_on >= self._draft.starts_on))
        return found
