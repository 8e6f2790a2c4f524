"""Who has a skill, by whatever name: the condition `skill` of the lists of people and of jobs.

Few who have it are looked up; of many the list is walked along in its order, and each record asked
(`records.looking_up`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ColumnElement, bindparam, false, func, literal, select, text

from looma_engines.talent_sync.records.entity import Held
from looma_engines.talent_sync.skills.models import RecordSkillsRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

# What took a skill's place has its names, and so does each that is above it.
_MARKS = text("""
    WITH RECURSIVE meant (id) AS (
        SELECT skill.id FROM talent_sync.skills AS skill WHERE skill.id = :skill AND skill.deleted_at IS NULL
        UNION SELECT link.above_id FROM meant JOIN talent_sync.skill_links AS link
            ON link.skill_id = meant.id AND link.how = 'replaced'
    ), below (id) AS (
        SELECT id FROM meant
        UNION SELECT link.skill_id FROM below JOIN talent_sync.skill_links AS link ON link.above_id = below.id
    )
    SELECT array_agg(DISTINCT
        talent_sync.skill_mark(current_setting('looma.tenant') || '/' || :entity, name.key))
    FROM below JOIN talent_sync.skill_names AS name ON name.skill_id = below.id
""")
_EXPECTED = text("SELECT talent_sync.expect_marks(:marks)").bindparams(
    bindparam("marks", type_=ARRAY(BigInteger))
)


class HasSkill:
    """Looks up what whoever has a skill is marked with.

    Args:
        entity: the kind of record that is asked for.
    """

    def __init__(self, entity: str) -> None:
        self._entity = entity

    async def held(self, session: AsyncSession, value: UUID) -> Held:
        """What records that have this skill hold; nothing, where there is no such skill."""
        found = await session.scalar(_MARKS, {"skill": value, "entity": self._entity})
        marks = tuple(found or ())

        def condition(tenant: ColumnElement[Any], record_id: ColumnElement[Any]) -> ColumnElement[bool]:
            having = RecordSkillsRow
            its_marks = (
                select(having.marks)
                .where(having.tenant == tenant, having.record_id == record_id)
                .scalar_subquery()
            )
            has = its_marks.bool_op("&&")(literal(list(marks), ARRAY(BigInteger)))
            # Of the operator alone the planner expects one in two hundred, too few to walk for, and puts the whole
            # tenant in order. Of this it expects a half, so it walks.
            return func.coalesce(has, false())

        return Held(marks=marks, condition=condition)

    async def expected(self, session: AsyncSession, held: Held) -> int:
        """How many records have it, by the database's statistics; it counts none of them."""
        return int(await session.scalar(_EXPECTED, {"marks": list(held.marks)}) or 0)
