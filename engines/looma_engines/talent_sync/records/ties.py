"""What a record has to do with others, asked by the service of every kind in the transaction that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.api.source import Source
    from looma_core.problems import ProblemError

DraftT_contra = TypeVar("DraftT_contra", contravariant=True)
RecordT_contra = TypeVar("RecordT_contra", contravariant=True)


class Ties(Generic[DraftT_contra, RecordT_contra]):
    """Nothing, unless a kind says what. An error undoes the transaction."""

    async def look_around(
        self,
        session: AsyncSession,
        draft: DraftT_contra,
        *,
        record_id: UUID | None,
        before: RecordT_contra | None,
    ) -> object:
        """What the rules that look at others ask for, before a draft is stored; None for nothing.

        It may lock, so that what it saw is still so when the transaction is committed.
        """

    async def refuse_double(
        self, session: AsyncSession, draft: DraftT_contra, *, record_id: UUID | None
    ) -> None:
        """Raise Conflict where a draft would be there twice; `record_id` is the record that it is to replace."""

    async def why_gone(self, session: AsyncSession, record_id: UUID) -> ProblemError | None:
        """What somebody is told who asks for a record that is not there; None for nothing but that."""

    async def stand_in(self, session: AsyncSession, source: Source) -> UUID | None:
        """The record that took the place of the one that came from a source; None where none did."""

    async def let_go(self, session: AsyncSession, record_id: UUID) -> None:
        """See to what refers to a record, after its row was hidden."""
