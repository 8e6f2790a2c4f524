"""Consents over HTTP: given, withdrawn and read. Nothing is overwritten: what was once given stays to be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select, update

from looma_core.api.rights import Consent, ConsentDraft, Consents
from looma_core.problems import Conflict, NotFound, ValidationProblem
from looma_engines.talent_sync.models import TalentRow
from looma_engines.talent_sync.quality.assessing import refusals

from .audit import note
from .consenting import RULES, allowed_and_barred, standing_of
from .rows import ConsentRow

if TYPE_CHECKING:
    from prometheus_client import Counter
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database


class ConsentService:
    """Works on the consents of the caller's tenant.

    Args:
        database: connection pool.
        changed: counts what was given and withdrawn, by purpose and action.
    """

    def __init__(self, database: Database, *, changed: Counter) -> None:
        self._database = database
        self._changed = changed

    async def of(self, principal: Principal, talent_id: UUID) -> Consents:
        """All bases of a person, the newest first, and what they come to.

        Raises:
            NotFound: there is no such person.
        """
        async with self._database.tenant_session(principal) as session:
            await _person(session, talent_id)
            items = await consents_of(session, talent_id)
        allowed, barred = allowed_and_barred(items)
        return Consents(items=items, allowed=allowed, barred=barred)

    async def give(self, principal: Principal, talent_id: UUID, draft: ConsentDraft) -> Consent:
        """Keep a basis. One for the same purpose that is in force stays beside it.

        Raises:
            NotFound: there is no such person.
            ValidationProblem: the rules refuse it.
        """
        now = datetime.now(UTC)
        if errors := refusals(draft, today=now.date(), rules=RULES):
            raise ValidationProblem(errors=errors)
        async with self._database.tenant_session(principal) as session:
            await _person(session, talent_id)
            row = ConsentRow(
                talent_id=talent_id,
                purpose=draft.purpose,
                basis=draft.basis,
                source=draft.source,
                evidence=(draft.evidence or "").strip() or None,
                recorded_by=principal.subject,
                given_at=draft.given_at or now,
                expires_at=draft.expires_at,
            )
            session.add(row)
            await session.flush()
            await session.refresh(row)
            detail = {"purpose": draft.purpose, "basis": draft.basis}
            await note(session, "give-consent", "talent", talent_id, detail=detail)
            answer = consent_of(row)
        self._changed.labels(draft.purpose, "given").inc()
        return answer

    async def withdraw(self, principal: Principal, talent_id: UUID, consent_id: UUID) -> Consent:
        """End a basis now.

        Raises:
            NotFound: the person has no such basis.
            Conflict: it was withdrawn before.
        """
        async with self._database.tenant_session(principal) as session:
            row = await session.scalar(
                update(ConsentRow)
                .where(
                    ConsentRow.id == consent_id,
                    ConsentRow.talent_id == talent_id,
                    ConsentRow.withdrawn_at.is_(None),
                )
                .values(
                    withdrawn_at=func.now(), withdrawn_by=principal.subject, version=ConsentRow.version + 1
                )
                .returning(ConsentRow)
                .execution_options(synchronize_session=False)
            )
            if row is None:
                there = select(ConsentRow.id).where(
                    ConsentRow.id == consent_id, ConsentRow.talent_id == talent_id
                )
                if await session.scalar(there) is None:
                    raise NotFound(f"The talent {talent_id} has no consent {consent_id}.")
                raise Conflict("This consent was withdrawn before; the list says when.")
            answer = consent_of(row)
            await note(session, "withdraw-consent", "talent", talent_id, detail={"purpose": answer.purpose})
        self._changed.labels(answer.purpose, "withdrawn").inc()
        return answer


async def consents_of(session: AsyncSession, talent_id: UUID) -> list[Consent]:
    """All bases of a person, the newest first."""
    rows = await session.scalars(
        select(ConsentRow)
        .where(ConsentRow.talent_id == talent_id)
        .order_by(ConsentRow.given_at.desc(), ConsentRow.id.desc())
    )
    return [consent_of(row) for row in rows]


def consent_of(row: ConsentRow) -> Consent:
    """A row as the API answers it."""
    fields: dict[str, Any] = {
        name: getattr(row, name) for name in Consent.__struct_fields__ if name != "standing"
    }
    standing = standing_of(withdrawn_at=row.withdrawn_at, expires_at=row.expires_at, now=datetime.now(UTC))
    return Consent(**fields, standing=standing)


async def _person(session: AsyncSession, talent_id: UUID) -> None:
    """Whoever erases the person waits until the transaction is over."""
    found = select(TalentRow.id).where(TalentRow.id == talent_id, TalentRow.deleted_at.is_(None))
    if await session.scalar(found.with_for_update(read=True)) is None:
        raise NotFound(f"There is no talent {talent_id}.")
