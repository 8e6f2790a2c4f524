"""Reads and writes applications and their moves, inside a session that already knows its tenant. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sqlalchemy import Select, Uuid, any_, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from looma_core.api.page import Count
from looma_core.api.pipeline import Application, ApplicationMove
from looma_core.api.relation import RelationDraft
from looma_core.db import new_id
from looma_engines.talent_sync.models import JobRow, RelationRow, TalentRow
from looma_engines.talent_sync.records.counting import MOST_COUNTED, Explained, counted
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.relations import RELATIONS

from .deciding import Step
from .models import ApplicationRow, MoveRow

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_engines.talent_sync.cursor import Position

APPLIED = "applied_to"
SORTS = {"created_at": ApplicationRow.created_at, "since": ApplicationRow.since}
_PLAIN = tuple(name for name in Application.__struct_fields__ if name not in ("talent_name", "job_title"))


class ApplicationRepository:
    """Reads and writes applications of the session's tenant.

    Args:
        session: from `Database.tenant_session`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, application_id: UUID, *, lock: bool = False) -> ApplicationRow | None:
        """The application with this id, or None; with `lock` nobody else moves it meanwhile."""
        row = ApplicationRow
        statement = select(row).where(row.id == application_id, row.deleted_at.is_(None))
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(statement)

    async def open_one(self, talent_id: UUID, job_id: UUID) -> UUID | None:
        """The open application of a person to a job."""
        row = ApplicationRow
        return await self._session.scalar(
            select(row.id).where(
                row.talent_id == talent_id,
                row.job_id == job_id,
                row.kind == "open",
                row.deleted_at.is_(None),
            )
        )

    async def tie(self, talent_id: UUID, job_id: UUID, today: date) -> UUID | None:
        """The latest relation `applied_to` between the two, made where there is none; it stays meanwhile.

        None where somebody else makes or deletes it at this moment.
        """
        row = RelationRow
        latest = (
            select(row.id)
            .where(
                row.talent_id == talent_id,
                row.job_id == job_id,
                row.kind == APPLIED,
                row.deleted_at.is_(None),
            )
            .order_by(row.begins.desc(), row.created_at.desc(), row.id.desc())
            .limit(1)
            .with_for_update(read=True)
        )
        found = await self._session.scalar(latest)
        if found is not None:
            return found
        draft = RelationDraft(kind="applied_to", talent_id=talent_id, job_id=job_id, starts_on=today)
        made = await RecordRepository(self._session, RELATIONS).add(draft)
        return made.id if made is not None else None

    async def add(
        self, *, relation_id: UUID, talent_id: UUID, job_id: UUID, source: str | None, step: Step, by: str
    ) -> ApplicationRow | None:
        """Store a new application and how it began; None where the person has an open one to the job."""
        made = await self._session.scalar(
            insert(ApplicationRow)
            .values(
                id=new_id(),
                relation_id=relation_id,
                talent_id=talent_id,
                job_id=job_id,
                source=source,
                reason=step.reason,
                **_placed(step),
            )
            .on_conflict_do_nothing()
            .returning(ApplicationRow)
        )
        if made is not None:
            await self._note([made], from_=None, step=step, by=by)
        return made

    async def move(self, row: ApplicationRow, step: Step, *, by: str) -> ApplicationRow:
        """Take a step with a row that is locked, and write it down."""
        before = row.stage
        moved = await self._session.scalars(
            update(ApplicationRow)
            .where(ApplicationRow.id == row.id)
            .values(
                version=ApplicationRow.version + 1,
                reason=row.reason if step.action == "hand-over" else step.reason,
                **_placed(step),
            )
            .returning(ApplicationRow)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        after = moved.one()
        await self._note([after], from_=before, step=step, by=by)
        return after

    async def move_all(self, *, from_: str, to: str, by: str, reason: str, now: datetime) -> int:
        """Take all that is in one stage, hidden or not, to another of its kind, with an entry for each."""
        row = ApplicationRow
        moved = await self._session.execute(
            update(row)
            .where(row.stage == from_)
            .values(
                stage=to,
                since=func.greatest(row.updated_at, now),
                reason=reason,
                version=row.version + 1,
                updated_at=func.greatest(row.updated_at, now),
            )
            .returning(row.id, row.since, row.version, row.kind, row.owner)
            .execution_options(synchronize_session=False)
        )
        entries = [
            {
                "application_id": application_id,
                "moved_at": since,
                "number": version,
                "action": "move",
                "from_stage": from_,
                "to_stage": to,
                "kind": kind,
                "moved_by": by,
                "reason": reason,
                "owner": owner,
            }
            for application_id, since, version, kind, owner in moved.tuples()
        ]
        if entries:
            await self._session.execute(insert(MoveRow), entries)
        return len(entries)

    async def page(
        self,
        *,
        sort: str,
        filters: Mapping[str, object],
        stale_since: datetime | None,
        after: Position | None,
        limit: int,
    ) -> list[ApplicationRow]:
        """Up to `limit` applications in order, from after a position."""
        column, row = SORTS[sort.removeprefix("-")], ApplicationRow
        statement = _wanted(filters, stale_since)
        if after is not None:
            here, there = tuple_(column, row.id), tuple_(after.key, after.id)
            statement = statement.where(here < there if sort.startswith("-") else here > there)
        order = (column.desc(), row.id.desc()) if sort.startswith("-") else (column, row.id)
        return list(await self._session.scalars(statement.order_by(*order).limit(limit)))

    async def count(self, *, filters: Mapping[str, object], stale_since: datetime | None) -> Count:
        """How many applications a list has: exact up to a thousand, an estimate beyond."""
        ids = _wanted(filters, stale_since).with_only_columns(ApplicationRow.id)
        some = ids.limit(MOST_COUNTED + 1).subquery()
        number = await self._session.scalar(select(func.count()).select_from(some)) or 0
        if number <= MOST_COUNTED:
            return counted(number, expected=0)
        (plan,) = await self._session.scalar(Explained(ids))
        return counted(number, expected=int(plan["Plan"]["Plan Rows"]))

    async def of_person(self, talent_id: UUID) -> list[ApplicationRow]:
        """All applications of a person, hidden ones too, the oldest first."""
        row = ApplicationRow
        statement = select(row).where(row.talent_id == talent_id).order_by(row.created_at, row.id)
        return list(await self._session.scalars(statement))

    async def moves(
        self, application_id: UUID, *, after: tuple[datetime, int] | None, limit: int | None
    ) -> list[ApplicationMove]:
        """Up to `limit` moves of an application, the newest first, from after a moment and number."""
        row = MoveRow
        statement = select(row).where(row.application_id == application_id)
        if after is not None:
            statement = statement.where(tuple_(row.moved_at, row.number) < tuple_(*after))
        statement = statement.order_by(row.moved_at.desc(), row.number.desc())
        found = await self._session.scalars(statement.limit(limit) if limit is not None else statement)
        return [
            ApplicationMove(
                number=one.number,
                action=cast("Any", one.action),
                from_stage=one.from_stage,
                to_stage=one.to_stage,
                kind=cast("Any", one.kind),
                at=one.moved_at.astimezone(UTC),
                by=one.moved_by,
                reason=one.reason,
                owner=one.owner,
            )
            for one in found
        ]

    async def told(self, rows: Sequence[ApplicationRow]) -> list[Application]:
        """Rows as the API answers them, with the names of today."""
        people = await self._names(TalentRow.id, TalentRow.full_name, (row.talent_id for row in rows))
        jobs = await self._names(JobRow.id, JobRow.title, (row.job_id for row in rows))
        return [
            Application(
                **{name: getattr(row, name) for name in _PLAIN},
                talent_name=people.get(row.talent_id),
                job_title=jobs.get(row.job_id),
            )
            for row in rows
        ]

    async def _names(self, key: Any, name: Any, ids: Iterable[UUID]) -> dict[UUID, str]:  # noqa: ANN401 - columns
        wanted = set(ids)
        if not wanted:
            return {}
        found = await self._session.execute(
            select(key, name).where(key == any_(literal(list(wanted), ARRAY(Uuid()))))
        )
        return {one: called for one, called in found.tuples()}  # noqa: C416 - dict() takes a result for a mapping

    async def _note(self, rows: Sequence[ApplicationRow], *, from_: str | None, step: Step, by: str) -> None:
        entries = [
            {
                "application_id": row.id,
                "moved_at": step.place.changed,
                "number": row.version,
                "action": step.action,
                "from_stage": from_,
                "to_stage": step.place.stage,
                "kind": step.place.kind,
                "moved_by": by,
                "reason": step.reason,
                "owner": step.place.owner,
            }
            for row in rows
        ]
        await self._session.execute(insert(MoveRow), entries)


def _placed(step: Step) -> dict[str, Any]:
    place = step.place
    return {
        "stage": place.stage,
        "kind": place.kind,
        "since": place.since,
        "updated_at": place.changed,
        "owner": place.owner,
    }


def _wanted(filters: Mapping[str, object], stale_since: datetime | None) -> Select[ApplicationRow]:
    row = ApplicationRow
    conditions: list[ColumnElement[bool]] = [row.deleted_at.is_(None)]
    conditions += [getattr(row, name) == value for name, value in filters.items() if value is not None]
    if stale_since is not None:
        conditions.append(row.since < stale_since)
    return select(row).where(*conditions)
