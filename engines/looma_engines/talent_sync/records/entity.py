"""What tells one kind of record from another. No work is done here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from looma_engines.talent_sync.records.kind import DraftT, Kind
from looma_engines.talent_sync.records.ties import Ties

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

    from looma_core.api.source import Source
    from looma_engines.talent_sync.records.rows import RecordRow


__all__ = ["DraftT", "Entity", "Lookup", "RecordT", "Recorded"]


class Recorded(Protocol):
    """What every record has that is stored."""

    id: UUID
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Held:
    """What records must hold for a filter that was looked up.

    Args:
        marks: one of these (`talent_sync.record_skills`); without any no record holds it.
        condition: the same of a record by its tenant and its id.
    """

    marks: tuple[int, ...]
    condition: Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[bool]]


class Lookup(Protocol):
    """A filter of a list that asks the database before the list does."""

    async def held(self, session: AsyncSession, value: Any) -> Held:  # noqa: ANN401 - a filter's value
        """What a record must hold."""

    async def expected(self, session: AsyncSession, held: Held) -> int:
        """How many records hold it, by the database's statistics."""


RecordT = TypeVar("RecordT", bound=Recorded)


@dataclass(frozen=True, kw_only=True)
class Entity(Kind[DraftT], Generic[DraftT, RecordT]):
    """One kind of record, with how it is found and changed.

    Args:
        record: what it gets.
        row: the table's class.
        sorts: orders of a list by their names, each with its column.
        references: fields that hold the id of another record, each with that one's row.
        names: fields of a record that say what it refers to is called: the field with the id, and the name's column.
        conditions: filters of a list that are no plain comparison, each with what it asks for.
        lookups: filters of a list for which something is looked up first.
        ties: what one of them has to do with other records.
    """

    record: type[RecordT]
    row: type[RecordRow]
    sorts: Mapping[str, InstrumentedAttribute[Any]]
    references: Mapping[str, type[RecordRow]]
    names: Mapping[str, tuple[str, InstrumentedAttribute[str]]] = field(default_factory=dict)
    conditions: Mapping[str, Callable[[Any], ColumnElement[bool]]] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    ties: Ties[DraftT, RecordT] = field(default_factory=Ties)
