"""A tenant's stages: made on first use, added, put in order, renamed, retired. One transaction each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

from sqlalchemy import Update, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from looma_core import logging
from looma_core.api.pipeline import (
    MOST_STAGES,
    Retirement,
    Stage,
    StageDraft,
    StageKind,
    StageNames,
    StageOrder,
    Stages,
)
from looma_core.db import new_id
from looma_core.problems import Conflict, NotFound, PreconditionFailed
from looma_engines.talent_sync.etag import allows

from .deciding import DEFAULTS, Goal, check_order, check_retirement, with_one_more
from .models import ApplicationRow, StageRow
from .repository import ApplicationRepository
from .texts import neat

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('looma.stages ' || current_setting('looma.tenant'), 0))"
)
RETIRED = "The stage was retired."
log = logging.get(__name__)


class StageService:
    """Works on the stages of the caller's tenant.

    Args:
        database: connection pool.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, principal: Principal) -> Stages:
        """All stages, in their order; those that were retired come last."""
        async with self._database.tenant_session(principal) as session:
            return Stages(items=await _told(session, await stages_of(session)))

    async def create(self, principal: Principal, draft: StageDraft) -> Stage:
        """Add a stage, after the last one of its kind.

        Raises:
            Conflict: there is one with this key, or was one; or there are too many.
            ValidationProblem: a name is none.
        """
        names = _named(draft)
        async with self._database.tenant_session(principal) as session:
            used = await _locked(session)
            if len(used) >= MOST_STAGES:
                raise Conflict(f"There are {MOST_STAGES} stages in use: retire one first.")
            made = await session.scalar(
                insert(StageRow)
                .values(id=new_id(), key=draft.key, kind=draft.kind, place=len(used), **names)
                .on_conflict_do_nothing()
                .returning(StageRow)
            )
            if made is None:
                raise Conflict(f"There is a stage {draft.key}, or was one: take another key.")
            known = [(row.key, cast("StageKind", row.kind)) for row in used]
            await _place(session, with_one_more(known, draft.key, draft.kind))
            answer = await _one(session, made.id)
        log.info("stage added", kind=draft.kind)
        return answer

    async def order(self, principal: Principal, asked: StageOrder) -> Stages:
        """Put the stages that are in use in another order.

        Raises:
            ValidationProblem: the order does not name each of them once.
        """
        async with self._database.tenant_session(principal) as session:
            check_order(asked.order, [row.key for row in await _locked(session)])
            await _place(session, asked.order)
            return Stages(items=await _told(session, await stages_of(session)))

    async def rename(
        self, principal: Principal, stage_id: UUID, asked: StageNames, *, if_match: str
    ) -> Stage:
        """Call a stage otherwise. Its key stays.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
            PreconditionFailed: it was changed since.
            ValidationProblem: a name is none.
        """
        names = _named(asked)
        async with self._database.tenant_session(principal) as session:
            row = await _expected(session, stage_id, if_match)
            await session.execute(_changed(row).values(**names))
            return await _one(session, stage_id)

    async def retire(
        self, principal: Principal, stage_id: UUID, asked: Retirement, *, if_match: str
    ) -> Stage:
        """Use a stage no more. Its applications go to the target, each with an entry in its history.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
            PreconditionFailed: it was changed since.
            ValidationProblem: it is the last one of its kind, or the target cannot be.
        """
        async with self._database.tenant_session(principal) as session:
            row = await _expected(session, stage_id, if_match)
            rows = {one.key: one for one in await stages_of(session)}
            target = rows.get(asked.target) if asked.target is not None else None
            in_use = {key: cast("StageKind", one.kind) for key, one in rows.items() if one.retired_at is None}
            # First, so that whoever is on the way in is through, and nobody comes after.
            await session.execute(_changed(row).values(retired_at=func.now()))
            check_retirement(
                goal_of(row),
                goal_of(target) if target is not None else None,
                asked=asked.target is not None,
                held=await _held(session, row.key),
                kinds=in_use,
            )
            moved = 0
            if target is not None:
                moved = await ApplicationRepository(session).move_all(
                    from_=row.key,
                    to=target.key,
                    by=principal.subject,
                    reason=RETIRED,
                    now=datetime.now(UTC),
                )
            await _place(session, [key for key in in_use if key != row.key])
            answer = await _one(session, stage_id)
        log.info("stage retired", kind=row.kind, moved=moved)
        return answer


async def stages_of(session: AsyncSession) -> Sequence[StageRow]:
    """All stages, in their order, those that were retired last; a tenant that has none gets the usual ones."""
    found = await _rows(session)
    if not found:
        made = [
            {"id": new_id(), "key": key, "name_zh": zh, "name_en": en, "kind": kind, "place": place}
            for place, (key, zh, en, kind) in enumerate(DEFAULTS)
        ]
        # Two who come first at once make them once.
        await session.execute(insert(StageRow).values(made).on_conflict_do_nothing())
        found = await _rows(session)
    return found


async def goal(session: AsyncSession, key: str | None) -> Goal | None:
    """A stage to go to, or the first open one; it is not retired before the transaction is over."""
    await stages_of(session)
    row = StageRow
    statement = select(row).order_by(row.place, row.id).limit(1)
    if key is None:
        statement = statement.where(row.kind == "open", row.retired_at.is_(None))
    else:
        statement = statement.where(row.key == key)
    found = await session.scalar(
        statement.with_for_update(read=True).execution_options(populate_existing=True)
    )
    return goal_of(found) if found is not None else None


def goal_of(row: StageRow) -> Goal:
    """A stage as the decisions know it."""
    kind = cast("StageKind", row.kind)
    return Goal(stage=row.key, kind=kind, retired=row.retired_at is not None)


async def _rows(session: AsyncSession) -> Sequence[StageRow]:
    row = StageRow
    found = await session.scalars(
        select(row)
        .order_by(row.retired_at.is_not(None), row.place, row.id)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def _locked(session: AsyncSession) -> list[StageRow]:
    """The stages that are in use, with nobody else changing any of them meanwhile."""
    await session.execute(_LOCK)
    return [row for row in await stages_of(session) if row.retired_at is None]


async def _expected(session: AsyncSession, stage_id: UUID, if_match: str) -> StageRow:
    await session.execute(_LOCK)
    row = await session.scalar(select(StageRow).where(StageRow.id == stage_id))
    if row is None:
        raise NotFound(f"There is no stage {stage_id}.")
    if not allows(if_match, row.version):
        raise PreconditionFailed("The stage was changed since you read it: read it again, then change it.")
    return row


def _changed(row: StageRow) -> Update:
    return (
        update(StageRow)
        .where(StageRow.id == row.id)
        .values(version=StageRow.version + 1)
        .execution_options(synchronize_session=False)
    )


async def _place(session: AsyncSession, keys: Sequence[str]) -> None:
    for place, key in enumerate(keys):
        await session.execute(
            update(StageRow)
            .where(StageRow.key == key, StageRow.place != place)
            .values(place=place, version=StageRow.version + 1)
            .execution_options(synchronize_session=False)
        )


async def _held(session: AsyncSession, key: str) -> int:
    row = ApplicationRow
    statement = select(func.count()).select_from(row).where(row.stage == key, row.deleted_at.is_(None))
    return await session.scalar(statement) or 0


async def _one(session: AsyncSession, stage_id: UUID) -> Stage:
    (row,) = [row for row in await _rows(session) if row.id == stage_id]
    (answer,) = await _told(session, [row])
    return answer


async def _told(session: AsyncSession, rows: Sequence[StageRow]) -> list[Stage]:
    row = ApplicationRow
    counted = await session.execute(
        select(row.stage, func.count()).where(row.deleted_at.is_(None)).group_by(row.stage)
    )
    held = {key: number for key, number in counted.tuples()}  # noqa: C416 - dict() takes a result for a mapping
    return [
        Stage(
            id=one.id,
            key=one.key,
            name_zh=one.name_zh,
            name_en=one.name_en,
            kind=cast("StageKind", one.kind),
            place=one.place,
            version=one.version,
            applications=held.get(one.key, 0),
            created_at=one.created_at,
            retired_at=one.retired_at,
        )
        for one in rows
    ]


def _named(asked: StageNames) -> dict[str, str]:
    names = {"name_zh": asked.name_zh, "name_en": asked.name_en}
    return {name: value or "" for name, value in neat(names, needed=frozenset(names)).items()}
