"""Reads the records of a file: one JSON object a line, or CSV with a first line of names.

What is no record becomes a row with a fault, and the rest goes on. Memory does not grow with the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import BinaryIO

from looma_core.api.syncjob import CsvSource, JsonlSource
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.talent_sync.exchange.reading import GIVEN_UP, Format, RowFault, count_rows, read_rows

from ..source_row import SourceRow
from .making import row_of


class FileRecords:
    """A file below the data folder. The position of a record is the line that it begins on, and its cursor too.

    Args:
        inputs: what the pod was told.
        source: the file.
        entity: what its records are to be.
        now: the clock.
    """

    live = False
    incremental = False

    def __init__(
        self,
        inputs: Inputs,
        source: JsonlSource | CsvSource,
        entity: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._inputs = inputs
        self._source = source
        self._entity = entity
        self._now = now
        self._shortfall = ""

    def now(self) -> datetime:
        """A file has no clock: this machine's."""
        return self._now()

    def total(self, *, since: datetime | None) -> int | None:
        """How many rows it has, of whatever worth.

        Raises:
            BadInputError: it cannot be read, or is no CSV with a first line of names.
        """
        del since
        with self._opened() as file:
            return count_rows(file, self._format)

    def rows(self, *, after: str, since: datetime | None) -> Iterator[SourceRow]:
        """The records of the file.

        Raises:
            BadInputError: it cannot be read, or is no CSV with a first line of names.
        """
        del since
        if after and not after.isdecimal():
            raise BadInputError(
                "the source was another one when this run began: cancel it, and ask for a new one"
            )
        behind = int(after or 0)
        for row in self._read():
            if row.position > behind:
                yield row

    def shortfall(self) -> str:
        """A file that whoever wrote it did not finish has no end of its last line."""
        return self._shortfall

    def close(self) -> None:
        """Nothing is open between two readings."""

    @property
    def _format(self) -> Format:
        return "csv" if isinstance(self._source, CsvSource) else "jsonl"

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """The file; what is wrong with it is wrong with the input."""
        path = self._source.path
        try:
            with self._inputs.file.open("rb") as file:
                yield file
        except OSError as error:
            raise BadInputError(f"source.path {path} cannot be read: {error.strerror}") from error
        except ValidationProblem as problem:
            wrong = "; ".join(f"{fault.field} {fault.message}" for fault in problem.errors)
            raise BadInputError(f"source.path {path} cannot be read: {wrong}") from problem

    def _read(self) -> Iterator[SourceRow]:
        given_up = False
        cells = self._format == "csv"
        with self._opened() as file:
            for found in read_rows(file, self._format):
                if isinstance(found, RowFault):
                    given_up = found.reason == GIVEN_UP
                    yield _faulty(found)
                else:
                    yield row_of(
                        found.values,
                        position=found.line,
                        source=self._source,
                        entity=self._entity,
                        cells=cells,
                    )
            self._shortfall = "not all of the file could be read" if given_up else _unfinished(file)


def _unfinished(file: BinaryIO) -> str:
    if file.seek(0, os.SEEK_END) == 0:
        return "the file is empty: it may be one that is yet to be written"
    file.seek(-1, os.SEEK_END)
    if file.read(1) in (b"\n", b"\r"):
        return ""
    return "the file's last line has no end: it may be one that was cut short"


def _faulty(fault: RowFault) -> SourceRow:
    return SourceRow(
        position=fault.line,
        key="",
        values={},
        faults=(FieldError(field="record", message=fault.reason),),
        raw=fault.raw,
    )
