"""The skills around one, and what a text may mean, inside a session that already knows its tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select, text

from looma_core.api.skill import SkillMatch, SkillMatches, SkillRef, SkillRefs
from looma_core.problems import FieldError, NotFound, ValidationProblem
from looma_engines.talent_sync.skills.models import SkillLinkRow, SkillRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

MOST_AROUND: Final = 500
_REF: Final = (SkillRow.id, SkillRow.key, SkillRow.name_en, SkillRow.name_zh, SkillRow.kind, SkillRow.status)
# Each skill once, by the name that fits best. A retired one is meant by its exact name alone, and stands for the one
# that took its place.
_MATCHES = text("""
    WITH RECURSIVE asked AS (SELECT talent_sync.skill_key(:text) AS key),
    fitting AS (
        SELECT DISTINCT ON (name.skill_id) name.skill_id, name.name, name.language, name.key,
            CASE WHEN name.key = asked.key THEN 'exact'
                WHEN starts_with(name.key, asked.key) THEN 'prefix' ELSE 'part' END AS match
        FROM asked CROSS JOIN LATERAL talent_sync.names_like(asked.key) AS name
        ORDER BY name.skill_id, name.key = asked.key DESC, starts_with(name.key, asked.key) DESC,
            length(name.key), name.place
    ),
    meant (fit, id, steps) AS (
        SELECT skill_id, skill_id, 0 FROM fitting
        UNION ALL SELECT meant.fit, link.above_id, meant.steps + 1 FROM meant JOIN talent_sync.skill_links AS link
            ON link.skill_id = meant.id AND link.how = 'replaced' WHERE meant.steps < 20
    ),
    found AS (
        SELECT DISTINCT ON (skill.id) skill.id, skill.key, skill.name_en, skill.name_zh, skill.kind, skill.status,
            fitting.name, fitting.language, fitting.match, length(fitting.key) AS size
        FROM fitting JOIN (SELECT DISTINCT ON (fit) fit, id FROM meant ORDER BY fit, steps DESC) AS last
            ON last.fit = fitting.skill_id
        JOIN talent_sync.skills AS skill ON skill.id = last.id
        WHERE fitting.match = 'exact' OR skill.status = 'active'
        ORDER BY skill.id, fitting.match = 'exact' DESC, fitting.match = 'prefix' DESC, length(fitting.key)
    )
    SELECT * FROM found ORDER BY match = 'exact' DESC, match = 'prefix' DESC, size, key LIMIT :most
""")
_ANCESTORS = text("""
    WITH RECURSIVE above (id, steps) AS (
        SELECT link.above_id, 1 FROM talent_sync.skill_links AS link
        WHERE link.skill_id = :skill AND link.how = 'parent'
        UNION SELECT link.above_id, above.steps + 1 FROM above JOIN talent_sync.skill_links AS link
            ON link.skill_id = above.id AND link.how = 'parent' WHERE above.steps < 50
    )
    SELECT skill.id, skill.key, skill.name_en, skill.name_zh, skill.kind, skill.status
    FROM (SELECT id, min(steps) AS steps FROM above GROUP BY id) AS nearest
    JOIN talent_sync.skills AS skill ON skill.id = nearest.id AND skill.deleted_at IS NULL
    ORDER BY nearest.steps, skill.key LIMIT :most
""")


class SkillLookups:
    """Reads the taxonomy of the caller's tenant.

    Args:
        database: connection pool.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve(self, principal: Principal, wanted: str, *, limit: int) -> SkillMatches:
        """What a text may mean: skills of just that name first, then those whose names begin with it or have it.

        Raises:
            ValidationProblem: the text has what no text in the database can have.
        """
        if "\x00" in wanted:
            raise ValidationProblem(errors=[FieldError(field="text", message="has a control character")])
        async with self._database.tenant_session(principal) as session:
            return SkillMatches(items=await matches(session, wanted, limit=limit))

    async def children(self, principal: Principal, skill_id: UUID) -> SkillRefs:
        """The skills right below one, by their keys.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        below = (
            select(*_REF)
            .join(SkillLinkRow, SkillLinkRow.skill_id == SkillRow.id)
            .where(SkillLinkRow.above_id == skill_id, SkillLinkRow.how == "parent")
            .order_by(SkillRow.key)
            .limit(MOST_AROUND)
        )
        async with self._database.tenant_session(principal) as session:
            await _there(session, skill_id)
            return _refs((await session.execute(below)).all())

    async def ancestors(self, principal: Principal, skill_id: UUID) -> SkillRefs:
        """All skills above one, the nearest first.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            await _there(session, skill_id)
            return _refs((await session.execute(_ANCESTORS, {"skill": skill_id, "most": MOST_AROUND})).all())


async def matches(session: AsyncSession, wanted: str, *, limit: int) -> list[SkillMatch]:
    """What a text may mean, the best first, in a session that knows its tenant."""
    rows = (await session.execute(_MATCHES, {"text": wanted, "most": limit})).all()
    return [
        SkillMatch(skill=_ref(row), name=row.name, language=row.language, match=row.match) for row in rows
    ]


async def _there(session: AsyncSession, skill_id: UUID) -> None:
    found = select(SkillRow.id).where(SkillRow.id == skill_id, SkillRow.deleted_at.is_(None))
    if await session.scalar(found) is None:
        raise NotFound(f"There is no skill {skill_id}.")


def _refs(rows: Iterable[Any]) -> SkillRefs:
    return SkillRefs(items=[_ref(row) for row in rows])


def _ref(row: Any) -> SkillRef:  # noqa: ANN401 - a row of any of the statements
    return msgspec.convert({name: getattr(row, name) for name in SkillRef.__struct_fields__}, SkillRef)
