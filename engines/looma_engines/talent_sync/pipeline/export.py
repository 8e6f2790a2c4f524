"""A person's applications with all their moves, for the export of that person."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from looma_core.api.pipeline import ApplicationHistory

from .repository import ApplicationRepository

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def applications_of(session: AsyncSession, talent_id: UUID) -> list[ApplicationHistory]:
    """All applications of a person, hidden ones too, the oldest first."""
    repository = ApplicationRepository(session)
    rows = await repository.of_person(talent_id)
    return [
        ApplicationHistory(
            **msgspec.structs.asdict(told),
            deleted=row.deleted_at is not None,
            moves=await repository.moves(row.id, after=None, limit=None),
        )
        for row, told in zip(rows, await repository.told(rows), strict=True)
    ]
