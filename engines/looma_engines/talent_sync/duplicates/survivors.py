"""Where a person went who was merged into another. The services of records ask; so little is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from looma_core.problems import ProblemError
from looma_engines.talent_sync.duplicates.models import MergeRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.api.source import Source


class Merged(ProblemError):
    """The record is there no more: it was merged into another, which `detail` names."""

    name, status, title = "merged", 410, "The record was merged into another"


async def survivor(session: AsyncSession, person: UUID) -> UUID | None:
    """Who has what a person had, through as many merges as there were; None for one who was never merged."""
    found = person
    seen = {person}
    while (
        kept := await session.scalar(
            select(MergeRow.kept_id).where(MergeRow.other_id == found, MergeRow.undone_at.is_(None))
        )
    ) is not None and kept not in seen:
        seen.add(kept)
        found = kept
    return found if found != person else None


async def survivor_of_source(session: AsyncSession, source: Source) -> UUID | None:
    """Who has what the record of a source had, where that record was merged."""
    if source.ref is None:
        return None
    person = await session.scalar(
        select(MergeRow.other_id).where(
            MergeRow.other_source_type == source.type,
            MergeRow.other_source_ref == source.ref,
            MergeRow.undone_at.is_(None),
        )
    )
    return None if person is None else await survivor(session, person)


def merged_into(person: UUID, kept: UUID) -> Merged:
    """What somebody is told who asks for a person that was merged."""
    return Merged(f"The talent {person} was merged into {kept}: ask for that one.")
