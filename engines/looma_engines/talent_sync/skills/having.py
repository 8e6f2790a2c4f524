"""Who has a skill, by whatever name: the condition `skill` of the lists of people and of jobs.

Few who have it are looked up; of many the list is walked along in its order, and each record asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    String,
    Uuid,
    any_,
    bindparam,
    cast,
    false,
    func,
    literal,
    select,
    text,
)

from looma_engines.talent_sync.records.searching import MOST_LOOKED_UP
from looma_engines.talent_sync.skills.models import RecordSkillsRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_engines.talent_sync.records.rows import RecordRow

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
_WITH = text("SELECT talent_sync.with_marks(:marks, :most)::text").bindparams(
    bindparam("marks", type_=ARRAY(BigInteger))
)
_COUNT = text("SELECT talent_sync.count_marks(:marks)").bindparams(
    bindparam("marks", type_=ARRAY(BigInteger))
)


class HasSkill:
    """Looks up who has a skill.

    Args:
        entity: the kind of record that is asked for.
        row: its table's class.
    """

    def __init__(self, entity: str, row: type[RecordRow]) -> None:
        self._entity = entity
        self._row = row

    async def condition(self, session: AsyncSession, value: UUID) -> ColumnElement[bool]:
        """What records must be that have this skill; none is, where there is no such skill."""
        marks = await self._marks(session, value)
        if not marks:
            return false()
        ids = await session.scalar(_WITH, {"marks": marks, "most": MOST_LOOKED_UP})
        if ids is not None:
            # As the database wrote them: thousands of ids are not worth being read here.
            return self._row.id == any_(cast(literal(ids, String), ARRAY(Uuid)))
        having = RecordSkillsRow
        its_marks = (
            select(having.marks)
            .where(having.tenant == self._row.tenant, having.record_id == self._row.id)
            .scalar_subquery()
        )
        has = its_marks.bool_op("&&")(literal(marks, ARRAY(BigInteger)))
        # Of the operator alone the planner expects one in two hundred, too few to walk for, and puts the whole tenant
        # in order. Of this it expects a half, so it walks.
        return func.coalesce(has, false())

    async def matching(self, session: AsyncSession, value: UUID) -> int:
        """How many records have this skill."""
        marks = await self._marks(session, value)
        return int(await session.scalar(_COUNT, {"marks": marks}) or 0) if marks else 0

    async def _marks(self, session: AsyncSession, skill: UUID) -> list[int]:
        return list(await session.scalar(_MARKS, {"skill": skill, "entity": self._entity}) or ())
