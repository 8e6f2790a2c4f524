"""Erasures over HTTP: carried out, read again, and lifted. One transaction each, with an event of the audit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from looma_core import logging
from looma_core.api.page import Page
from looma_core.api.rights import Erasure, ErasureRequest, Lift, LiftRequest, Proof
from looma_core.problems import Conflict, FieldError, NotFound, NotReady, ValidationProblem
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.privacy.sessions import seals_of

from .audit import note
from .consenting import OLDEST
from .erasing import Erased, Wanted, erase, merged_with
from .opening import Opens
from .rows import ErasureRow, LiftRow

if TYPE_CHECKING:
    from prometheus_client import Counter
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.crypto import FileCipher
    from looma_core.db import Database

    from .ledger import LedgerKey

SORT = "-created_at"
CLOCKS = timedelta(minutes=5)
"""By how much the clock of whoever asks may be ahead."""
log = logging.get(__name__)


class ErasureService:
    """Erases people of the caller's tenant.

    Args:
        database: connection pool.
        key: makes the ledger's digests; None refuses every erasure.
        cipher: reads kept answers.
        erased: counts erasures, by kind of record, reason and whether nothing was left.
        max_page_size: most items in one answer.
    """

    def __init__(
        self,
        database: Database,
        *,
        key: LedgerKey | None,
        cipher: FileCipher,
        erased: Counter,
        max_page_size: int,
    ) -> None:
        self._database = database
        self._key = key
        self._cipher = cipher
        self._erased = erased
        self._max_page_size = max_page_size

    async def erase(self, principal: Principal, talent_id: UUID, asked: ErasureRequest) -> Erasure:
        """Erase a person, deleted or not, in every store.

        Raises:
            NotFound: there is no trace of one with this id in the caller's tenant.
            NotReady: the engine has no key for the ledger.
            ValidationProblem: it was asked for in the future.
        """
        now = datetime.now(UTC)
        if asked.requested_at is not None and not OLDEST <= asked.requested_at <= now + CLOCKS:
            message = f"lies in the future, or before {OLDEST.year}"
            raise ValidationProblem(errors=[FieldError(field="requested_at", message=message)])
        if self._key is None:
            raise NotReady("Nothing is erased without a ledger: give the engines LOOMA_LEDGER_KEY first.")
        key = self._key
        wanted = Wanted(
            entity="talent",
            record_id=talent_id,
            reason=asked.reason,
            reference=asked.reference,
            origin="api",
            erased_by=principal.subject,
            requested_at=asked.requested_at or now,
        )

        def work(session: Session, opens: Opens) -> Erased | None:
            connection = session.connection()
            # Who was merged is one person: their other records go first, and the proof is for all of them.
            others = [
                erase(
                    connection,
                    principal.tenant,
                    replace(wanted, record_id=other),
                    key=key,
                    answers=self._cipher,
                    searched=False,
                    opens=opens,
                )
                for other in merged_with(connection, talent_id)
            ]
            return erase(
                connection,
                principal.tenant,
                wanted,
                key=key,
                answers=self._cipher,
                opens=opens,
                also=[other.traces for other in others if other is not None],
            )

        async with self._database.tenant_session(principal) as session:
            done = await session.run_sync(work, seals_of(session))
            if done is None:
                raise NotFound(f"There is no talent {talent_id}, and nothing of one.")
            detail = {"of": "talent", "rows": sum(done.counts.values()), "reference": asked.reference}
            await note(session, "erase", "erasure", done.id, reason=asked.reason, detail=detail)
            answer = await self._read(session, done.id)
        self._erased.labels("talent", asked.reason, str(bool(answer.complete)).lower()).inc()
        # No id of the person: the log would hold it longer than the database.
        log.info("erased", erasure=str(answer.id), reason=asked.reason, complete=answer.complete)
        return answer

    async def get(self, principal: Principal, erasure_id: UUID) -> Erasure:
        """One entry of the ledger, with its proof.

        Raises:
            NotFound: the caller's tenant has none with this id.
        """
        async with self._database.tenant_session(principal) as session:
            return await self._read(session, erasure_id)

    async def page(self, principal: Principal, *, limit: int, cursor: str | None) -> Page[Erasure]:
        """Entries of the ledger without their proofs, the newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        after = cursors.decode(cursor, sort=SORT) if cursor else None
        limit = min(limit, self._max_page_size)
        statement = _entries().order_by(ErasureRow.created_at.desc(), ErasureRow.id.desc()).limit(limit + 1)
        if after is not None:
            statement = statement.where(
                tuple_(ErasureRow.created_at, ErasureRow.id) < tuple_(after.key, after.id)
            )
        async with self._database.tenant_session(principal) as session:
            rows = (await session.execute(statement)).all()
        items = [_told(row, lift, with_proof=False) for row, lift in rows[:limit]]
        if len(rows) <= limit:
            return Page(items=items)
        last = items[-1]
        return Page(items=items, next_cursor=cursors.encode(sort=SORT, key=last.erased_at, row_id=last.id))

    async def lift(self, principal: Principal, erasure_id: UUID, asked: LiftRequest) -> Erasure:
        """Let syncs bring the person in again, on a new basis that is kept.

        Raises:
            NotFound: there is no such erasure.
            Conflict: it was lifted before.
            ValidationProblem: the basis was given in the future, or before the erasure.
        """
        async with self._database.tenant_session(principal) as session:
            erasure = await self._read(session, erasure_id)
            if erasure.lift is not None:
                raise Conflict("This erasure was lifted before; the entry says when and on which basis.")
            if not erasure.erased_at <= asked.given_at <= datetime.now(UTC) + CLOCKS:
                message = (
                    "must lie after the erasure, and not in the future: what was agreed to before is over"
                )
                raise ValidationProblem(errors=[FieldError(field="given_at", message=message)])
            session.add(
                LiftRow(
                    erasure_id=erasure_id,
                    basis=asked.basis,
                    purposes=list(dict.fromkeys(asked.purposes)),
                    reference=asked.reference,
                    lifted_by=principal.subject,
                    given_at=asked.given_at,
                )
            )
            try:
                await session.flush()
            except IntegrityError as error:
                raise Conflict("This erasure was lifted at this moment.") from error
            await note(session, "lift-erasure", "erasure", erasure_id, reason=asked.basis)
            return await self._read(session, erasure_id)

    async def _read(self, session: AsyncSession, erasure_id: UUID) -> Erasure:
        found = (await session.execute(_entries().where(ErasureRow.id == erasure_id))).one_or_none()
        if found is None:
            raise NotFound(f"There is no erasure {erasure_id}.")
        return _told(found[0], found[1], with_proof=True)


def _entries() -> Any:  # noqa: ANN401 - a select of two kinds of rows
    return select(ErasureRow, LiftRow).outerjoin(LiftRow, LiftRow.erasure_id == ErasureRow.id)


def _told(row: ErasureRow, lift: LiftRow | None, *, with_proof: bool) -> Erasure:
    proof = msgspec.convert(row.proof, Proof) if row.proof is not None else None
    return Erasure(
        id=row.id,
        entity=row.entity,
        reason=cast("Any", row.reason),
        reference=row.reference,
        requested_at=row.requested_at,
        erased_at=row.created_at,
        erased_by=row.erased_by,
        origin=row.origin,
        counts=row.counts,
        complete=proof.is_complete if proof else None,
        proof=proof if with_proof else None,
        lift=Lift(
            lifted_at=lift.created_at,
            lifted_by=lift.lifted_by,
            basis=cast("Any", lift.basis),
            purposes=cast("Any", lift.purposes),
            given_at=lift.given_at,
            reference=lift.reference,
        )
        if lift
        else None,
    )
