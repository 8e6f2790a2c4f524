"""Stores a record as a person decided that it is: put right, or with the source's side of a conflict.

It is asked all that one is which comes over the API; the person is told in its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.exc import IntegrityError

from looma_core.api.reading import read
from looma_core.api.source import Source
from looma_core.problems import Conflict, FieldError, ValidationProblem
from looma_engines.talent_sync.quality.assessing import refusals
from looma_engines.talent_sync.records.checking import check_beside
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.rights.naming import read_id

from .batch import SOURCE_TYPE
from .deciding import DELETED
from .judging import plain_values
from .models import ConflictRow
from .referring import ENTITIES
from .review_repository import ReviewRepository

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

_BUSY = "The record is being changed at this moment; try again."


def accepted(entity: Entity[Any, Any], values: Mapping[str, Any], source: Source) -> Any:  # noqa: ANN401 - of any kind
    """A draft of plain values, tidied.

    Raises:
        ValidationProblem: the rules refuse it.
    """
    neat = entity.tidy(read({**values, "source": msgspec.to_builtins(source)}, entity.draft))
    if errors := refusals(neat, today=datetime.now(UTC).date(), rules=entity.rules):
        raise ValidationProblem(errors=errors)
    return neat


async def with_ids(
    reviews: ReviewRepository, entity: Entity[Any, Any], draft: Mapping[str, Any]
) -> dict[str, Any]:
    """The draft with Looma's ids where it names other records as the source did, by that source's keys.

    Whose keys these are the SyncJob alone knows, so a key must be one record's whatever source it is of.

    Raises:
        ValidationProblem: a key is that of no record that is here, or of several.
    """
    found, wrong = dict(draft), []
    for name, row in entity.references.items():
        value = draft.get(name)
        if not isinstance(value, str | int) or isinstance(value, bool) or read_id(str(value)):
            continue
        ids = await reviews.records_of(ENTITIES[row.__tablename__], row, str(value).strip())
        if len(ids) == 1:
            found[name] = str(ids[0])
        elif ids:
            wrong.append(
                FieldError(field=name, message="is the key of several records: write Looma's id of one")
            )
        else:
            wrong.append(
                FieldError(field=name, message="is the key of no record that is here: write Looma's id")
            )
    if wrong:
        raise ValidationProblem(errors=wrong)
    return found


@contextmanager
def named_in_draft() -> Iterator[None]:
    """Have a problem name the fields as whoever sent them under `draft` does."""
    try:
        yield
    except ValidationProblem as problem:
        errors = [FieldError(field=f"draft.{error.field}", message=error.message) for error in problem.errors]
        raise ValidationProblem(errors=errors) from problem


async def store(session: AsyncSession, entity: Entity[Any, Any], draft: Any, *, current: Any) -> Any:  # noqa: ANN401
    """Store a draft that the rules take, in place of `current` or, where that is None, as a new record.

    Raises:
        ValidationProblem: it refers to what is not there, or does not fit beside other records.
        Conflict: it is there already as another record, or is being changed.
    """
    repository = RecordRepository(session, entity)
    await check_beside(session, entity, draft, before=current)
    await entity.ties.refuse_double(session, draft, record_id=current.id if current is not None else None)
    with _alone(entity):
        record = (
            await repository.add(draft)
            if current is None
            else await repository.replace(current.id, version=current.version, draft=draft)
        )
    if record is None:
        raise Conflict(_BUSY)
    return record


async def take_source(
    session: AsyncSession, reviews: ReviewRepository, entity: Entity[Any, Any], row: ConflictRow
) -> None:
    """Give a conflict's record the source's value, or bring it back as the source last gave it.

    Raises:
        ValidationProblem, Conflict: as `store`; also where there is nothing to give, or no record.
    """
    repository = RecordRepository(session, entity)
    source = Source(type=SOURCE_TYPE, ref=f"{row.origin}:{row.key}")
    if row.field == DELETED:
        base = await reviews.base_of(row)
        if base is None:
            raise Conflict("The source's record is not known any more: wait for the next run.")
        draft = read({**base, "source": source}, entity.draft)
        await check_beside(session, entity, draft)
        await entity.ties.refuse_double(session, draft, record_id=row.record_id)
        with _alone(entity):
            if not await repository.restore(row.record_id, draft):
                raise Conflict("The record is there again, or being changed at this moment.")
        return
    current = await repository.find(row.record_id)
    if current is None:
        raise Conflict("The record was deleted since: there is nothing to settle but by taking `target`.")
    values = {**plain_values(entity, current), row.field: row.source}
    await store(session, entity, accepted(entity, values, source), current=current)


@contextmanager
def _alone(entity: Entity[Any, Any]) -> Iterator[None]:
    """Have the database's refusal of a second record of one kind said in words."""
    try:
        yield
    except IntegrityError as error:
        # Somebody stored the same since it was looked for.
        raise Conflict(f"Such a {entity.name} came at this moment; look at it.") from error
