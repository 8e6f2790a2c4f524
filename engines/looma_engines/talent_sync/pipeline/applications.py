"""What can be done with applications: create, read, list, move. One transaction each.

A move names the version that it starts from (`If-Match`), so that of two people who move at once the second is told.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from looma_core import logging
from looma_core.api.page import Count, Page
from looma_core.api.pipeline import Application, ApplicationDraft, ApplicationMove, Move, StageKind
from looma_core.problems import Conflict, FieldError, NotFound, PreconditionFailed, ValidationProblem
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.etag import allows
from looma_engines.talent_sync.models import JobRow, TalentRow

from .deciding import Place, begin, decide
from .models import ApplicationRow
from .repository import ApplicationRepository
from .stages import goal
from .texts import neat

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

    from .metrics import PipelineMetrics

CLOSED = "closed"
LARGEST = 2**31 - 1
OLDEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_BUSY = "The person's applications to this job are being changed at this moment; try again."
log = logging.get(__name__)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The last move of a page: when, and its number."""

    at: Annotated[datetime, Meta(tz=True)]
    number: Annotated[int, Meta(ge=1, le=LARGEST)]


class ApplicationService:
    """Works on the applications of the caller's tenant.

    Args:
        database: connection pool.
        metrics: where moves are counted.
        max_page_size: most items in one answer.
    """

    def __init__(self, database: Database, metrics: PipelineMetrics, *, max_page_size: int) -> None:
        self._database = database
        self._metrics = metrics
        self._max_page_size = max_page_size

    async def create(self, principal: Principal, draft: ApplicationDraft) -> Application:
        """Let a person apply to a job; the relation `applied_to` is made where there is none.

        Raises:
            ValidationProblem: the person or the job is not there, the job is closed, the stage is none to begin in.
            Conflict: the person has an open application to this job.
        """
        texts = neat({"source": draft.source, "owner": draft.owner})
        async with self._database.tenant_session(principal) as session:
            repository = ApplicationRepository(session)
            await _check_ends(session, draft)
            now = datetime.now(UTC)
            step = begin(await goal(session, draft.stage), owner=texts["owner"], now=now)
            if (other := await repository.open_one(draft.talent_id, draft.job_id)) is not None:
                raise Conflict(f"The person has an open application to this job: {other}. Move that one.")
            relation = await repository.tie(draft.talent_id, draft.job_id, now.date())
            if relation is None:
                raise Conflict(_BUSY)
            made = await repository.add(
                relation_id=relation,
                talent_id=draft.talent_id,
                job_id=draft.job_id,
                source=texts["source"],
                step=step,
                by=principal.subject,
            )
            if made is None:
                raise Conflict(_BUSY)
            (answer,) = await repository.told([made])
        self._metrics.count(step)
        log.info("application created", application=str(answer.id), kind=answer.kind)
        return answer

    async def get(self, principal: Principal, application_id: UUID) -> Application:
        """One application.

        Raises:
            NotFound: there is none with this id in the caller's tenant, or its relation was deleted.
        """
        async with self._database.tenant_session(principal) as session:
            repository = ApplicationRepository(session)
            row = _there(await repository.find(application_id), application_id)
            (answer,) = await repository.told([row])
        return answer

    async def page(
        self,
        principal: Principal,
        *,
        sort: str,
        limit: int,
        cursor: str | None,
        filters: Mapping[str, object],
        stale_since: datetime | None,
    ) -> Page[Application]:
        """One page of applications.

        Raises:
            ValidationProblem: the cursor or a filter is wrong.
        """
        _check_filters(filters, stale_since)
        after = cursors.decode(cursor, sort=sort) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            repository = ApplicationRepository(session)
            found = await repository.page(
                sort=sort, filters=filters, stale_since=stale_since, after=after, limit=limit + 1
            )
            items = await repository.told(found[:limit])
        if len(found) <= limit:
            return Page(items=items)
        last = items[-1]
        key = getattr(last, sort.removeprefix("-"))
        return Page(items=items, next_cursor=cursors.encode(sort=sort, key=key, row_id=last.id))

    async def count(
        self, principal: Principal, *, filters: Mapping[str, object], stale_since: datetime | None
    ) -> Count:
        """How many applications a list has in all. Raises ValidationProblem as `page` does."""
        _check_filters(filters, stale_since)
        async with self._database.tenant_session(principal) as session:
            return await ApplicationRepository(session).count(filters=filters, stale_since=stale_since)

    async def move(
        self, principal: Principal, application_id: UUID, asked: Move, *, if_match: str
    ) -> Application:
        """Move an application to another stage, or hand it over.

        Raises:
            NotFound: there is none with this id.
            PreconditionFailed: it was changed since.
            ValidationProblem: the move is not allowed; the field says why.
            Conflict: it would be opened beside another open one of the same person and job.
        """
        texts = neat({"reason": asked.reason, "owner": asked.owner})
        async with self._database.tenant_session(principal) as session:
            repository = ApplicationRepository(session)
            # The stage first, as whoever retires one takes it first and then what is in it.
            where = await goal(session, asked.to)
            row = _there(await repository.find(application_id, lock=True), application_id)
            if not allows(if_match, row.version):
                raise PreconditionFailed(
                    "The application was changed since you read it: read it again, then move it."
                )
            here = place_of(row)
            step = decide(here, where, reason=texts["reason"], owner=texts["owner"], now=datetime.now(UTC))
            try:
                moved = await repository.move(row, step, by=principal.subject)
            except IntegrityError as error:
                raise Conflict(
                    "The person has another open application to this job: move that one."
                ) from error
            (answer,) = await repository.told([moved])
        self._metrics.count(step, before=here)
        log.info("application moved", application=str(application_id), action=step.action, kind=answer.kind)
        return answer

    async def history(
        self, principal: Principal, application_id: UUID, *, limit: int, cursor: str | None
    ) -> Page[ApplicationMove]:
        """The moves of an application, the newest first.

        Raises:
            NotFound: there is none with this id.
            ValidationProblem: the cursor is wrong.
        """
        after = _decoded(cursor) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            repository = ApplicationRepository(session)
            _there(await repository.find(application_id), application_id)
            found = await repository.moves(application_id, after=after, limit=limit + 1)
        if len(found) <= limit:
            return Page(items=found)
        last = found[limit - 1]
        packed = msgspec.json.encode(Mark(at=last.at, number=last.number))
        return Page(items=found[:limit], next_cursor=urlsafe_b64encode(packed).rstrip(b"=").decode())


def place_of(row: ApplicationRow) -> Place:
    """Where an application is, as the decisions know it."""
    kind = cast("StageKind", row.kind)
    return Place(stage=row.stage, kind=kind, since=row.since, changed=row.updated_at, owner=row.owner)


async def _check_ends(session: AsyncSession, draft: ApplicationDraft) -> None:
    """Both must be there, and stay until the transaction is over."""
    person = select(TalentRow.id).where(TalentRow.id == draft.talent_id, TalentRow.deleted_at.is_(None))
    job = select(JobRow.status).where(JobRow.id == draft.job_id, JobRow.deleted_at.is_(None))
    wrong = []
    if await session.scalar(person.with_for_update(read=True)) is None:
        wrong.append(FieldError(field="talent_id", message="there is none with this id"))
    status = await session.scalar(job.with_for_update(read=True))
    if status is None:
        wrong.append(FieldError(field="job_id", message="there is none with this id"))
    elif status == CLOSED:
        wrong.append(FieldError(field="job_id", message="this job is closed: open it again first"))
    if wrong:
        raise ValidationProblem(errors=wrong)


def _there(row: ApplicationRow | None, application_id: UUID) -> ApplicationRow:
    if row is None:
        raise NotFound(f"There is no application {application_id}.")
    return row


def _check_filters(filters: Mapping[str, object], stale_since: datetime | None) -> None:
    wrong = [
        FieldError(field=name, message="has a control character")
        for name, value in filters.items()
        if isinstance(value, str) and "\x00" in value
    ]
    if stale_since is not None and (stale_since.tzinfo is None or not OLDEST <= stale_since <= LATEST):
        message = f"write a time with its zone between {OLDEST.year} and {LATEST.year}"
        wrong.append(FieldError(field="stale_since", message=message))
    if wrong:
        raise ValidationProblem(errors=wrong)


def _decoded(cursor: str) -> tuple[datetime, int]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        mark = msgspec.json.decode(urlsafe_b64decode(padded), type=Mark)
    except (ValueError, msgspec.MsgspecError) as error:
        message = "give back `next_cursor` of the page before, unchanged"
        raise ValidationProblem(errors=[FieldError(field="cursor", message=message)]) from error
    return mark.at, mark.number
