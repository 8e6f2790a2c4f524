"""What a source is that can be written to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from ..source_row import SourceRow

GONE: Final = "the source has it no more"
CHANGED: Final = "the source changed it meanwhile"
DOUBLE: Final = "the source has more than one of this key"
MARKED: Final = "the source has it marked already"


class Outcome(StrEnum):
    """What became of a write.

    `dropped` is one that nobody carried out, since its worker ended before; a later one took its place.
    """

    WRITTEN = "written"
    REFUSED = "refused"
    MOVED = "moved"
    DROPPED = "dropped"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Fields of one record of the source, as they are to be.

    Args:
        key: the source's own id.
        values: the fields.
        base: the record's fields as the source last gave them.
        is_as_read: whether a record of the source is what it last gave.
    """

    key: str
    values: Mapping[str, Any]
    base: Mapping[str, Any]
    is_as_read: Callable[[SourceRow], bool]


@dataclass(frozen=True, kw_only=True)
class Creation:
    """A record of here that the source is to have: its id here, and its fields that have a value."""

    record_id: UUID
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """A record that the source is to have no more, or marked.

    Args:
        key: the source's own id.
        is_as_read: whether a record of the source is what it last gave.
    """

    key: str
    is_as_read: Callable[[SourceRow], bool]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of a write, and what the source has now; None where it has no such record.

    `reason` is for people and holds nothing of a record.
    """

    outcome: Outcome
    row: SourceRow | None = None
    reason: str = ""


class WritableSource(Protocol):
    """A source of one kind, opened when it is first asked.

    As of `RecordSource`: what no later try would mend is a `BadInputError`, what one may mend a `SourceGoneError`.
    """

    def places(self, settable: Collection[str]) -> frozenset[str]:
        """Which of a record's fields the source has a place for."""
        ...

    def write(self, change: Change) -> Written:
        """Write, if the source still has what was read, and in no other case.

        To write the same again is no harm: by then the source has something else than was read.
        """
        ...

    def find(self, record_id: UUID) -> SourceRow | None:
        """What the source has of a record that was made there for one of here, by the id of that one."""
        ...

    def create(self, creation: Creation) -> Written:
        """Make a record, unless it was made before: then what the source has of it.

        However often it is asked, and by however many workers, there is one.
        """
        ...

    def delete(self, deletion: Deletion) -> Written:
        """Delete a record, or mark it, if the source still has what was read; one that is gone is deleted."""
        ...

    def close(self) -> None:
        """Give back what is open; whatever is asked next opens it again."""
        ...


def places_of(
    fields: Mapping[str, str], settable: Collection[str], also: Collection[str] | None
) -> frozenset[str]:
    """Fields that have a place.

    Args:
        fields: `spec.source.fields`.
        settable: fields of the kind of record.
        also: without `fields`, names that the source has; None where it takes any.
    """
    if fields:
        named = {target.partition("[")[0].partition(".")[0] for target in fields}
        return frozenset(named & set(settable))
    return frozenset(settable if also is None else set(settable) & set(also))
