"""What sync runs know of a person, given to the one who stays, and back. Inside a session that knows its tenant.

The next run finds a key's record by its state: so it updates the one who stays, and makes no second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update

from looma_core.api.talent import Talent
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sessions import seals_of
from looma_engines.talent_sync.syncing.judging import plain_values
from looma_engines.talent_sync.syncing.models import ConflictRow, StateRow
from looma_engines.talent_sync.syncing.source_row import digest_of
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


SETTLED_BY = "merge"


class KeyState(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of one key of the person who went."""

    origin: str
    key: str
    base: dict[str, Any] | None
    raw_digest: bytes | None


async def give(session: AsyncSession, person: UUID, to: Talent) -> list[KeyState]:
    """Let the person's keys lead to the one who stays; what was known of them before."""
    seals = seals_of(session)
    rows = await session.scalars(
        select(StateRow)
        .where(StateRow.record_id == person, StateRow.entity == TALENTS.name)
        .order_by(StateRow.origin, StateRow.key)
        .with_for_update()
    )
    states = [
        KeyState(
            origin=row.origin,
            key=row.key,
            base=None if row.base is None else seals.opened_base(TALENTS.name, person, row.base),
            raw_digest=row.raw_digest,
        )
        for row in rows
    ]
    for state in states:
        values = {"record_id": to.id, "base": _base(seals, to.id, state), **_written(seals, to)}
        await session.execute(_update(state).values(values))
    return states


async def give_back(session: AsyncSession, states: list[KeyState], *, person: Talent, from_: UUID) -> None:
    """Let the keys lead back. What the source gave since is met again by the next run, with what was there before."""
    seals = seals_of(session)
    for state in states:
        values = {
            "record_id": person.id,
            "base": _base(seals, person.id, state),
            "raw_digest": state.raw_digest,
            **_written(seals, person),
        }
        await session.execute(_update(state).where(StateRow.record_id == from_).values(values))


async def close_conflicts(session: AsyncSession, person: UUID, kept: UUID) -> list[UUID]:
    """Settle what waits for somebody's decision of the person who goes; the ids."""
    found = await session.scalars(
        update(ConflictRow)
        .where(ConflictRow.record_id == person, ConflictRow.resolution == "open")
        .values(
            resolution="target",
            settled_at=func.now(),
            settled_by=SETTLED_BY,
            reason=f"the record was merged into {kept}",
        )
        .returning(ConflictRow.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(found)


async def open_conflicts(session: AsyncSession, conflicts: list[UUID]) -> None:
    """Let them wait again."""
    if conflicts:
        await session.execute(
            update(ConflictRow)
            .where(ConflictRow.id.in_(conflicts), ConflictRow.settled_by == SETTLED_BY)
            .values(resolution="open", settled_at=None, settled_by=None, reason="a person decides")
            .execution_options(synchronize_session=False)
        )


def _base(seals: Seals, record_id: UUID, state: KeyState) -> dict[str, Any] | None:
    # What is sealed is bound to the record that it is of.
    return None if state.base is None else seals.base(TALENTS.name, record_id, state.base)


def _written(seals: Seals, talent: Talent) -> dict[str, Any]:
    digest = digest_of(plain_values(TALENTS, talent))
    return {"written_version": talent.version, "written_digest": seals.digest(digest)}


def _update(state: KeyState) -> Any:  # noqa: ANN401 - SQLAlchemy's own type has no name that helps
    return (
        update(StateRow)
        .where(StateRow.entity == TALENTS.name, StateRow.origin == state.origin, StateRow.key == state.key)
        .execution_options(synchronize_session=False)
    )
