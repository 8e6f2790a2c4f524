"""What a source is to the worker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, runtime_checkable

from looma_engines.sync_worker.frame import Asked

from ..source_row import SourceRow


class SourceGoneError(Exception):
    """The source is away, was cut off or took too long: it is tried again, from the last record that was read.

    The message holds neither a record nor credentials.
    """


@runtime_checkable
class AsksOverHttp(Protocol):
    """A source that counts its questions."""

    def asked(self) -> Asked:
        """What it asked so far."""
        ...


class RecordSource(Protocol):
    """A source of one kind, opened when it is first asked.

    What no later try would mend is a `BadInputError`, what one may mend a `SourceGoneError`; of all methods. A record
    that is wrong is neither: it is a row with faults, and the rest goes on.
    """

    live: bool
    """Whether records may change between two readings of one run."""
    incremental: bool
    """Whether `since` may be asked for."""

    def now(self) -> datetime:
        """The time by the source's own clock."""
        ...

    def total(self, *, since: datetime | None) -> int | None:
        """How many records `rows` would give from the beginning, None where asking costs as much as reading."""
        ...

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """The records in an order that stays the same, each with a cursor of this source's own kind.

        All shards read all of it: the worker takes what belongs to its own.

        Args:
            after: cursor of the row that the next one follows; empty for the beginning.
            since: with a time, only what was changed then or later, or has no time.
        """
        ...

    def shortfall(self) -> str:
        """Why what was read to its end may not have been all of the source; empty where it was."""
        ...

    def close(self) -> None:
        """Give back what is open; whatever is asked next opens it again."""
        ...
