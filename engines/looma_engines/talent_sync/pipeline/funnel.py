"""How far the applications to a job came: counted by the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import UUID

from sqlalchemy import select, text

from looma_core.api.pipeline import Funnel, FunnelStage, StageKind
from looma_core.problems import NotFound
from looma_engines.talent_sync.models import SCHEMA, JobRow

from .stages import stages_of

if TYPE_CHECKING:
    from looma_core.auth import Principal
    from looma_core.db import Database

# A stay lasts from the move to a stage to the next move to another one; a hand-over ends none.
_STAYS = text(f"""
    WITH mine AS (
        SELECT id, stage FROM {SCHEMA}.applications WHERE job_id = :job AND deleted_at IS NULL
    ), stays AS (
        SELECT m.application_id, m.to_stage AS stage, lead(m.moved_at) OVER (
            PARTITION BY m.application_id ORDER BY m.moved_at, m.number) - m.moved_at AS stay
        FROM {SCHEMA}.application_moves m JOIN mine ON mine.id = m.application_id
        WHERE m.action <> 'hand-over'
    ), gone_through AS (
        SELECT stage, count(DISTINCT application_id) AS reached,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM stay) / 86400) AS days
        FROM stays GROUP BY stage
    ), held AS (
        SELECT stage, count(*) AS now FROM mine GROUP BY stage
    )
    SELECT stage, coalesce(held.now, 0), coalesce(gone_through.reached, 0), gone_through.days
    FROM held FULL JOIN gone_through USING (stage)
""")  # noqa: S608 - our own names


class FunnelService:
    """Reads funnels of the caller's tenant.

    Args:
        database: connection pool.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, principal: Principal, job_id: UUID) -> Funnel:
        """The funnel of a job: stages that are in use, and those that an application is or was in.

        Raises:
            NotFound: there is no such job in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            there = select(JobRow.id).where(JobRow.id == job_id, JobRow.deleted_at.is_(None))
            if await session.scalar(there) is None:
                raise NotFound(f"There is no job {job_id}.")
            stages = await stages_of(session)
            rows = await session.execute(_STAYS, {"job": job_id})
            found = {stage: (now, reached, days) for stage, now, reached, days in rows}
        told = []
        for row in stages:
            now, reached, days = found.get(row.key, (0, 0, None))
            if row.retired_at is not None and not (now or reached):
                continue
            told.append(
                FunnelStage(
                    stage=row.key,
                    name_zh=row.name_zh,
                    name_en=row.name_en,
                    kind=cast("StageKind", row.kind),
                    now=now,
                    # Moves of long ago are gone; who is there was there.
                    reached=max(now, reached),
                    median_days=round(float(days), 2) if days is not None else None,
                )
            )
        return Funnel(job_id=job_id, applications=sum(one.now for one in told), stages=told)
