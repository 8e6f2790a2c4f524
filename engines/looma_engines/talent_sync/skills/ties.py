"""What keeps a skill from being stored beside others: looked up here, decided by the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from looma_core.api.skill import Skill, SkillDraft
from looma_core.problems import Conflict
from looma_engines.talent_sync.quality.chains import find_cycle
from looma_engines.talent_sync.quality.skills import Beside
from looma_engines.talent_sync.records.ties import Ties
from looma_engines.talent_sync.skills.models import SkillLinkRow, SkillRow

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('looma.skills ' || current_setting('looma.tenant'), 0))"
)
_ABOVE = text("""
    WITH RECURSIVE above (id) AS (
        SELECT unnest(CAST(:first AS uuid[]))
        UNION SELECT link.above_id FROM above JOIN talent_sync.skill_links AS link ON link.skill_id = above.id
    )
    SELECT link.skill_id, link.above_id FROM above JOIN talent_sync.skill_links AS link ON link.skill_id = above.id
""")


async def lock(session: AsyncSession) -> None:
    """Wait for all other transactions that write the tenant's taxonomy, and keep later ones waiting.

    Of two changes that together close a circle the second waits, and sees the first.
    """
    await session.execute(_LOCK)


class SkillTies(Ties[SkillDraft, Skill]):
    """A skill beside the others of its tenant."""

    async def look_around(
        self, session: AsyncSession, draft: SkillDraft, *, record_id: UUID | None, before: Skill | None
    ) -> Beside:
        """The key so far, parents that are not there, and the circle that the skill would close."""
        await lock(session)
        known = set(before.parents) if before is not None else set()
        wanted = [parent for parent in draft.parents if parent not in known]
        there = await session.scalars(
            select(SkillRow.id).where(SkillRow.id.in_(wanted), SkillRow.deleted_at.is_(None))
        )
        missing = set(wanted) - set(there) if wanted else set()
        key = before.key if before is not None else None
        if record_id is None:
            # Nothing is below a skill that is not there yet.
            return Beside(key=key, missing=_in_order(wanted, missing))
        above = dict.fromkeys(wanted, "parents")
        if draft.replaced_by is not None:
            above[draft.replaced_by] = "replaced_by"
        edges = (await session.execute(_ABOVE, {"first": list(above)})).tuples().all() if above else []
        for one, field in above.items():
            circle = find_cycle(edges, (record_id, one))
            if circle is not None:
                keys = await _keys(session, circle)
                path = tuple(keys.get(number, str(number)) for number in circle)
                return Beside(key=key, missing=_in_order(wanted, missing), circle=path, closed_by=field)
        return Beside(key=key, missing=_in_order(wanted, missing))

    async def refuse_double(
        self, session: AsyncSession, draft: SkillDraft, *, record_id: UUID | None
    ) -> None:
        """Raise Conflict where the key was given before, also to a skill that is deleted."""
        found = select(SkillRow.id, SkillRow.deleted_at).where(SkillRow.key == draft.key)
        if record_id is not None:
            found = found.where(SkillRow.id != record_id)
        other = (await session.execute(found)).first()
        if other is not None:
            state = "was deleted: restore that one" if other.deleted_at else "is there: change that one"
            raise Conflict(f"The key {draft.key} is of {other.id}, which {state}, or give another key.")

    async def let_go(self, session: AsyncSession, record_id: UUID) -> None:
        """Refuse to delete what others are under, or were replaced by."""
        count = await session.scalar(
            select(func.count()).select_from(SkillLinkRow).where(SkillLinkRow.above_id == record_id)
        )
        if count:
            raise Conflict(
                f"{count} {'skill is' if count == 1 else 'skills are'} below this one, or replaced by it:"
                " move them first, or retire this one instead."
            )


def _in_order(wanted: list[UUID], missing: set[UUID]) -> tuple[UUID, ...]:
    return tuple(number for number in wanted if number in missing)


async def _keys(session: AsyncSession, ids: tuple[UUID, ...]) -> dict[UUID, str]:
    found = await session.execute(select(SkillRow.id, SkillRow.key).where(SkillRow.id.in_(set(ids))))
    return {number: key for number, key in found.tuples()}  # noqa: C416 - dict() takes a result for a mapping
