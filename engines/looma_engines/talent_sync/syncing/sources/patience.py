"""Reads a source that may be away for a while: it goes on after the last record that it gave."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import TypeVar

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from ..source_row import SourceRow
from .record_source import RecordSource, SourceGoneError

_log = logging.getLogger(__name__)
T = TypeVar("T")


class PatientSource:
    """A source, asked again where it is away.

    Args:
        source: that.
        patience: seconds for which it may be away without giving a record; then its error is the caller's.
    """

    def __init__(self, source: RecordSource, *, patience: float) -> None:
        self.source = source
        self._patience = patience

    def now(self) -> datetime:
        """The time by the source's clock."""
        return self._tried(self.source.now)

    def total(self, *, since: datetime | None) -> int | None:
        """How many records it has, where it says so."""
        return self._tried(lambda: self.source.total(since=since))

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """Its records, each once."""
        last = after
        while True:
            # With the first record, so that a source which only accepts connections does not count as being there.
            rows = self._tried(lambda: _begun(self.source.rows(after=last, since=since)))  # noqa: B023 - done at once
            try:
                for row in rows:
                    yield row
                    last = row.after
            except SourceGoneError as error:
                _log.warning("the source was cut off: %s", error)
                self.source.close()
            else:
                return

    def _tried(self, action: Callable[[], T]) -> T:
        for attempt in Retrying(
            retry=retry_if_exception_type(SourceGoneError),
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            before_sleep=before_sleep_log(_log, logging.WARNING),
            reraise=True,
        ):
            with attempt:
                try:
                    return action()
                except SourceGoneError:
                    self.source.close()
                    raise
        raise AssertionError("unreachable: the last attempt answers or raises")


def _begun(rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
    return chain(list(islice(rows, 1)), rows)
