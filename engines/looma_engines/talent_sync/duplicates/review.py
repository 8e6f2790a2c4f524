"""What people do with pairs: list them, look at one, say that they are two, have one person's looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import func

from looma_core import logging
from looma_core.api.duplicates import (
    Duplicate,
    DuplicateDetail,
    DuplicatePerson,
    DuplicateReason,
    DuplicateScan,
)
from looma_core.api.page import Page
from looma_core.api.talent import Talent, TalentDraft
from looma_core.problems import Conflict, FieldError, NotFound, ValidationProblem
from looma_engines.talent_sync import cursor as cursors
from looma_engines.talent_sync.duplicates.features import features_of
from looma_engines.talent_sync.duplicates.metrics import DuplicateMetrics
from looma_engines.talent_sync.duplicates.models import DuplicateRow
from looma_engines.talent_sync.duplicates.repository import DuplicateRepository
from looma_engines.talent_sync.duplicates.scanning import Scanner
from looma_engines.talent_sync.duplicates.scoring import judge
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.auth import Principal
    from looma_core.db import Database

SORT: Final = "-created_at"
SAYS: Final[Mapping[tuple[str, str], str]] = {
    ("name", "same"): "The name is the same.",
    ("name", "transliterated"): "The name is the same in another script.",
    ("name", "close"): "The names differ by a slip, or by a part that is left out.",
    ("name", "initials"): "One name has a letter where the other has a word.",
    ("name", "part"): "A part of the name is the same.",
    ("name", "different"): "The names are different.",
    ("email", "same"): "The address of mail is the same.",
    ("email", "mailbox"): "The address of mail is the same at another host.",
    ("email", "different"): "The addresses of mail are different.",
    ("phone", "same"): "The telephone number is the same.",
    ("phone", "different"): "The telephone numbers are different.",
    ("experience", "together"): "Both were at the same company at the same time.",
    ("experience", "company"): "Both were at the same company.",
    ("experience", "different"): "They were at different companies.",
    ("education", "same"): "Both were at the same school.",
    ("education", "different"): "They were at different schools.",
    ("location", "same"): "The place is the same.",
    ("location", "different"): "The places are different.",
}
"""What an outcome is to a person."""
log = logging.get(__name__)


class DuplicateReviews:
    """Works on pairs of the caller's tenant.

    Args:
        database: connection pool.
        scanner: looks for pairs.
        metrics: where pairs are counted.
        max_page_size: most pairs in one answer.
    """

    def __init__(
        self, database: Database, scanner: Scanner, metrics: DuplicateMetrics, *, max_page_size: int
    ) -> None:
        self._database = database
        self._scanner = scanner
        self._metrics = metrics
        self._max_page_size = max_page_size

    async def page(
        self,
        principal: Principal,
        *,
        filters: Mapping[str, object],
        person: UUID | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Duplicate]:
        """A page of pairs, newest first.

        Raises:
            ValidationProblem: the cursor is wrong.
        """
        after = cursors.decode(cursor, sort=SORT) if cursor else None
        limit = min(limit, self._max_page_size)
        async with self._database.tenant_session(principal) as session:
            found = await DuplicateRepository(session).page(
                filters=filters, person=person, after=after, limit=limit + 1
            )
            items = await self._items(session, found[:limit])
        if len(found) <= limit:
            return Page(items=items)
        last = found[limit - 1]
        return Page(items=items, next_cursor=cursors.encode(sort=SORT, key=last.created_at, row_id=last.id))

    async def read(self, principal: Principal, pair_id: UUID) -> DuplicateDetail:
        """One pair, both records and what each field says of them.

        Raises:
            NotFound: there is none with this id in the caller's tenant.
        """
        async with self._database.tenant_session(principal) as session:
            row = there(await DuplicateRepository(session).find(pair_id), pair_id)
            talents = await _people(session).several(row.pair)
        return DuplicateDetail(**_fields(row, talents), records=talents, reasons=reasons_of(talents))

    async def dismiss(self, principal: Principal, pair_id: UUID) -> Duplicate:
        """Say that they are two. It stays so until one of them changes in a field that is compared.

        Raises:
            NotFound: there is no such pair.
            Conflict: it is settled, or one of the two is gone.
        """
        async with self._database.tenant_session(principal) as session:
            repository = DuplicateRepository(session)
            row = there(await repository.find(pair_id, lock=True), pair_id)
            if row.status != "open":
                raise Conflict(f"The pair is {row.status}: only one that is open can be dismissed.")
            talents = await _people(session).several(row.pair)
            if len(talents) < 2:
                raise Conflict("One of the two was deleted: there is nothing to dismiss.")
            await repository.change(
                row.id,
                status="dismissed",
                compared=self._scanner.compared(*talents),
                settled_at=func.now(),
                settled_by=principal.subject,
            )
            await session.refresh(row)
            answer = Duplicate(**_fields(row, talents))
        self._metrics.settled.labels("dismissed").inc()
        log.info("duplicate dismissed", duplicate=str(pair_id))
        return answer

    async def look(self, principal: Principal, person: UUID) -> Page[Duplicate]:
        """Look for one person's duplicates at once; the pairs that the person is in.

        Raises:
            ValidationProblem: there is no such person.
        """
        async with self._database.tenant_session(principal) as session:
            talent = await _people(session).find(person)
            if talent is None:
                message = "there is none with this id"
                raise ValidationProblem(errors=[FieldError(field="talent_id", message=message)])
            seen = await self._scanner.look(session, principal.tenant, [talent])
            found = await DuplicateRepository(session).page(
                filters={}, person=person, after=None, limit=self._max_page_size
            )
            items = await self._items(session, found)
        self._metrics.count(seen)
        log.info("duplicates looked for", found=sum(seen.found.values()), skipped=sum(seen.skipped.values()))
        return Page(items=items)

    async def scan(self, principal: Principal) -> DuplicateScan:
        """What the last look at everybody who was changed came to."""
        async with self._database.tenant_session(principal) as session:
            row = await DuplicateRepository(session).scan()
        if row is None or row.ended_at is None:
            return DuplicateScan()
        return DuplicateScan(
            ended_at=row.ended_at, people=row.people, found=row.found, skipped=dict(row.skipped)
        )

    async def _items(self, session: AsyncSession, rows: Sequence[DuplicateRow]) -> list[Duplicate]:
        wanted = {person for row in rows for person in row.pair}
        talents = await _people(session).several(wanted) if wanted else []
        return [Duplicate(**_fields(row, talents)) for row in rows]


def there(row: DuplicateRow | None, pair_id: UUID) -> DuplicateRow:
    """The row; raises NotFound where there is none."""
    if row is None:
        raise NotFound(f"There is no pair {pair_id}.")
    return row


def reasons_of(talents: Sequence[Talent]) -> list[DuplicateReason]:
    """What each field says of two people, what weighs most first; nothing where there are not two."""
    if len(talents) < 2:
        return []
    one, other = (features_of(talent) for talent in talents)
    found = judge(one, other, today=datetime.now(UTC).date()).reasons
    return [
        DuplicateReason(
            field="full_name" if reason.field == "name" else reason.field,
            outcome=reason.outcome,
            weight=reason.weight,
            says=SAYS[reason.field, reason.outcome],
        )
        for reason in sorted(found, key=lambda reason: -abs(reason.weight))
    ]


def _people(session: AsyncSession) -> RecordRepository[TalentDraft, Talent]:
    return RecordRepository(session, TALENTS)


def _fields(row: DuplicateRow, talents: Sequence[Talent]) -> dict[str, Any]:
    known = {talent.id: talent for talent in talents}
    return {
        "id": row.id,
        "verdict": row.verdict,
        "weight": row.weight,
        "status": row.status,
        "people": [_person(person, known.get(person)) for person in row.pair],
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "settled_at": row.settled_at,
        "settled_by": row.settled_by,
        "merge_id": row.merge_id,
    }


def _person(person: UUID, talent: Talent | None) -> DuplicatePerson:
    if talent is None:
        return DuplicatePerson(id=person)
    return DuplicatePerson(
        id=person, full_name=talent.full_name, headline=talent.headline, location=talent.location
    )
