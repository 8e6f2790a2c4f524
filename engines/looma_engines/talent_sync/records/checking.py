"""What is asked of every draft beside other records before it is stored, whoever stores it.

Asked in the transaction that writes: what a draft refers to stays there until it is over.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.records.entity import DraftT, Entity, RecordT
from looma_engines.talent_sync.records.repository import RecordRepository

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def check_beside(
    session: AsyncSession, entity: Entity[DraftT, RecordT], draft: DraftT, *, before: RecordT | None = None
) -> None:
    """Refuse a draft that refers to what is not there, or that the rules refuse beside other records.

    Args:
        session: from `Database.tenant_session`.
        entity: the kind of the draft.
        draft: tidied, and taken by the rules that look at it alone.
        before: the record that it is to replace; None where it is a new one.

    Raises:
        ValidationProblem: fields are wrong.
    """
    await _check_references(RecordRepository(session, entity), entity, draft, before=before)
    record_id = before.id if before is not None else None
    beside = await entity.ties.look_around(session, draft, record_id=record_id, before=before)
    if beside is None:
        return
    if errors := refusals(draft, today=datetime.now(UTC).date(), rules=entity.rules, beside=beside):
        raise ValidationProblem(errors=errors)


async def _check_references(
    repository: RecordRepository[DraftT, RecordT],
    entity: Entity[DraftT, RecordT],
    draft: DraftT,
    *,
    before: RecordT | None,
) -> None:
    """What a field refers to must be there; what it referred to before may be gone since."""
    wrong = []
    for name, row in entity.references.items():
        wanted = getattr(draft, name)
        if wanted is None or (before is not None and getattr(before, name) == wanted):
            continue
        if not await repository.is_there(row, wanted):
            wrong.append(FieldError(field=name, message="there is none with this id"))
    if wrong:
        raise ValidationProblem(errors=wrong)
