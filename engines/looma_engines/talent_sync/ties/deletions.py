"""What becomes of relations and jobs when what they refer to is deleted.

The row itself was hidden by the statement before, and whoever is about to refer to it waits for that row: so what is
found here is all that there will be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Uuid, any_, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from looma_core.api.company import Company, CompanyDraft
from looma_core.api.job import Job, JobDraft
from looma_core.api.talent import Talent, TalentDraft
from looma_core.problems import Conflict, FieldError, ValidationProblem
from looma_engines.talent_sync.duplicates.survivors import merged_into, survivor, survivor_of_source
from looma_engines.talent_sync.models import CompanyRow, JobRow, RelationRow
from looma_engines.talent_sync.records.ties import Ties

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.api.source import Source
    from looma_core.problems import ProblemError

CLOSED = "closed"


class TalentTies(Ties[TalentDraft, Talent]):
    """A person and the relations that the person is an end of."""

    async def why_gone(self, session: AsyncSession, record_id: UUID) -> ProblemError | None:
        """Name the record that a merged person went into."""
        kept = await survivor(session, record_id)
        return merged_into(record_id, kept) if kept is not None else None

    async def stand_in(self, session: AsyncSession, source: Source) -> UUID | None:
        """The person that the one from a source was merged into: what is sent again makes no second one."""
        return await survivor_of_source(session, source)

    async def let_go(self, session: AsyncSession, record_id: UUID) -> None:
        """Hide the person's relations."""
        either = or_(RelationRow.talent_id == record_id, RelationRow.other_talent_id == record_id)
        await hide_relations(session, either)


class JobTies(Ties[JobDraft, Job]):
    """A job, its company and its relations."""

    async def look_around(
        self, session: AsyncSession, draft: JobDraft, *, record_id: UUID | None, before: Job | None
    ) -> None:
        """Refuse to open a closed job of a company that was deleted meanwhile."""
        if before is None or before.status != CLOSED or draft.status == CLOSED or draft.company_id is None:
            return
        there = select(CompanyRow.id).where(
            CompanyRow.id == draft.company_id, CompanyRow.deleted_at.is_(None)
        )
        if await session.scalar(there.with_for_update(read=True)) is None:
            message = "the company was deleted: name another, or none, before the job is opened again"
            raise ValidationProblem(errors=[FieldError(field="company_id", message=message)])

    async def let_go(self, session: AsyncSession, record_id: UUID) -> None:
        """Hide the job's relations."""
        await hide_relations(session, RelationRow.job_id == record_id)


class CompanyTies(Ties[CompanyDraft, Company]):
    """A company, its jobs and its relations."""

    async def let_go(self, session: AsyncSession, record_id: UUID) -> None:
        """Hide the company's relations; its closed jobs keep its name, one that is not closed keeps it here."""
        of_it = (JobRow.company_id == record_id, JobRow.deleted_at.is_(None))
        count = await session.scalar(
            select(func.count()).select_from(JobRow).where(*of_it, JobRow.status != CLOSED)
        )
        if count:
            raise Conflict(
                f"{count} {'job' if count == 1 else 'jobs'} of this company {'is' if count == 1 else 'are'} not closed:"
                " close or delete them, or give them another company, then delete this one."
            )
        name = select(CompanyRow.name).where(CompanyRow.id == record_id).scalar_subquery()
        await session.execute(
            update(JobRow)
            .where(*of_it, JobRow.company_name.is_(None))
            .values(company_name=name, version=JobRow.version + 1, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
        await hide_relations(session, RelationRow.company_id == record_id)


async def hide_relations(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Hide live relations, as their own deletion would."""
    live = RelationRow.deleted_at.is_(None)
    # In one order, so that two deletions that have relations in common do not wait for each other.
    found = await session.scalars(
        select(RelationRow.id).where(which, live).order_by(RelationRow.id).with_for_update()
    )
    if relations := found.all():
        await session.execute(
            update(RelationRow)
            # One parameter, however many there are.
            .where(RelationRow.id == any_(literal(list(relations), ARRAY(Uuid()))), live)
            .values(version=RelationRow.version + 1, updated_at=func.now(), deleted_at=func.now())
            .execution_options(synchronize_session=False)
        )
