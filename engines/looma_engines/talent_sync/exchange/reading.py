"""Rows of a CSV or JSON Lines file, one after another: memory does not grow with the file.

A row that cannot be read is a `RowFault` with its line, and the rest goes on; no reason repeats what the row holds.
Only a file without a readable header stops at once.

    lines     physical lines, each with its number and never longer than a row may be
    _csv      rows of cells, by Python's csv in its strict mode
    _jsonl    one object a line
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import msgspec

from looma_core.problems import FieldError, ValidationProblem

Format = Literal["csv", "jsonl"]

MAX_ROW_BYTES = 1024 * 1024
PIECE_BYTES = 64 * 1024

MAX_RECOVERIES = 20
"""How often lines are read anew after a quote that is not closed, each time up to `MAX_ROW_BYTES`."""

GIVEN_UP = "and all after it were not read: too many quotes do not fit"
"""Reason of the last fault of a file that was not read to its end."""

# The module's own limit for a cell is less than a row may have; it is the process's, and nothing else reads CSV.
csv.field_size_limit(MAX_ROW_BYTES)

_BOM = b"\xef\xbb\xbf"
_TOO_LONG = f"is longer than {MAX_ROW_BYTES} bytes"
_NOT_UTF8 = "is not UTF-8: save the file as CSV UTF-8"


class Row(NamedTuple):
    """One row: cells by their columns, or the members of an object."""

    line: int
    values: dict[str, Any]


class RowFault(NamedTuple):
    """A row that cannot be read; `raw` is what stood there, where it is not longer than a row may be."""

    line: int
    reason: str
    raw: bytes = b""


class Line(NamedTuple):
    """One physical line with its end; `data` is None where it is too long."""

    number: int
    data: bytes | None


@runtime_checkable
class Readable(Protocol):
    """A binary file."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes; none at the end."""
        ...


def read_rows(source: Iterable[bytes] | Readable, file_format: Format) -> Iterator[Row | RowFault]:
    """Read a file row by row; empty lines are passed over.

    Args:
        source: a binary file, or its bytes in pieces of any size.
        file_format: `csv` (with a header; comma, semicolon or tab between cells) or `jsonl`.

    Raises:
        ValidationProblem: a CSV file has no readable header; raised when the first row is asked for.
    """
    if file_format == "jsonl":
        return _jsonl(lines(_pieces(source), breaks_at_cr=False))
    return _csv(lines(_pieces(source), breaks_at_cr=True))


def count_rows(source: Iterable[bytes] | Readable, file_format: Format) -> int:
    """How many rows and faults `read_rows` would give; lines of JSON are counted without being read.

    Raises:
        ValidationProblem: as `read_rows`.
    """
    if file_format == "csv":
        return sum(1 for _ in read_rows(source, file_format))
    physical = lines(_pieces(source), breaks_at_cr=False)
    return sum(1 for line in physical if line.data is None or line.data.strip())


def lines(pieces: Iterable[bytes], *, breaks_at_cr: bool) -> Iterator[Line]:
    """Cut pieces into lines, without a byte order mark.

    Args:
        pieces: bytes in pieces of any size.
        breaks_at_cr: whether a carriage return alone ends a line, as in files of some spreadsheets.
    """
    number = 1
    rest = b""
    too_long = False
    for piece in _without_mark(pieces):
        cut = _cut(rest + piece, breaks_at_cr=breaks_at_cr)
        rest = cut.pop()
        for data in cut:
            yield Line(number, None if too_long or len(data) > MAX_ROW_BYTES else data)
            number += 1
            too_long = False
        if len(rest) > MAX_ROW_BYTES:
            # The end of the line is still looked for; a carriage return may be half of it.
            rest, too_long = rest[-1:], True
    if rest:
        yield Line(number, None if too_long else rest)


def _pieces(source: Iterable[bytes] | Readable) -> Iterator[bytes]:
    return iter(lambda: source.read(PIECE_BYTES), b"") if isinstance(source, Readable) else iter(source)


def _without_mark(pieces: Iterable[bytes]) -> Iterator[bytes]:
    start: bytes | None = b""
    for piece in pieces:
        if start is None:
            yield piece
            continue
        start += piece
        if len(start) >= len(_BOM):
            yield start.removeprefix(_BOM)
            start = None
    if start:
        yield start


def _cut(data: bytes, *, breaks_at_cr: bool) -> list[bytes]:
    """Whole lines with their ends, and what is left, maybe empty."""
    cut = data.splitlines(keepends=True) if breaks_at_cr else data.split(b"\n")
    if not breaks_at_cr:
        return [*(line + b"\n" for line in cut[:-1]), cut[-1]]
    # A carriage return at the very end may be the first half of a line's end.
    if not cut or cut[-1].endswith(b"\n"):
        cut.append(b"")
    return cut


def _jsonl(physical: Iterator[Line]) -> Iterator[Row | RowFault]:
    for number, data in physical:
        if data is None:
            yield RowFault(number, _TOO_LONG)
        elif data.strip():
            yield _object(number, data)


def _object(number: int, data: bytes) -> Row | RowFault:
    try:
        text = data.decode()
        value = msgspec.json.decode(text)
        if not isinstance(value, dict):
            return RowFault(number, "is no JSON object", data)
        # msgspec keeps the last of two members with one name; which one was meant nobody knows.
        if _may_repeat(data, value) and _repeats(text):
            return RowFault(number, "has the same member twice", data)
    except UnicodeDecodeError:
        return RowFault(number, "is not UTF-8", data)
    except RecursionError:
        return RowFault(number, "is nested too deeply", data)
    except ValueError:
        return RowFault(number, "is not JSON", data)
    return Row(number, value)


def _may_repeat(data: bytes, value: object) -> bool:
    """Whether a member may have been lost in reading. No is certain, and takes a tenth of a second reading's time.

    Each member has one colon, and texts keep theirs: written again, what lost a member has fewer. Only a colon that was
    written as a number is none in `data`, and could stand for it.
    """
    return b"\\u003" in data or data.count(b":") != msgspec.json.encode(value).count(b":")


def _repeats(text: str) -> bool:
    """Whether an object in it has two members with one name."""
    repeated = False

    def note(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({name for name, _ in pairs}) < len(pairs)

    json.loads(text, object_pairs_hook=note)
    return repeated


class _RowTooLongError(Exception):
    """A quote was not closed within the bytes that a row may have."""


class _Feed:
    """Gives lines to the csv module and remembers those of the row under way.

    Lines are decoded with surrogates for bytes that are not UTF-8, so that only their own row is lost.
    """

    def __init__(self, physical: Iterator[Line]) -> None:
        self._physical = physical
        self._again: deque[Line] = deque()
        self.taken: list[Line] = []
        self._bytes = 0
        self.whole = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._physical)
        self.taken.append(line)
        if line.data is None:
            self.whole = False
            return "\n"
        self._bytes += len(line.data)
        if self._bytes > MAX_ROW_BYTES:
            raise _RowTooLongError
        return line.data.decode(errors="surrogateescape")

    def begin(self) -> None:
        """A new row begins."""
        self.taken, self._bytes, self.whole = [], 0, True

    def back(self) -> int:
        """Put back what was taken for the row but its first line; returns how many lines."""
        again = self.taken[1:]
        self._again.extendleft(reversed(again))
        return len(again)


def _csv(physical: Iterator[Line]) -> Iterator[Row | RowFault]:
    feed = _Feed(physical)
    names, delimiter = _header(feed)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    recoveries = 0
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _RowTooLongError) as error:
            too_long = isinstance(error, _RowTooLongError)
            line = feed.taken[0].number
            if feed.back():
                recoveries += 1
            yield RowFault(
                line, _TOO_LONG if too_long and len(feed.taken) == 1 else "has quotes that do not fit"
            )
            if recoveries > MAX_RECOVERIES:
                yield RowFault(feed.taken[-1].number, GIVEN_UP)
                return
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            continue
        line = feed.taken[0].number
        if not feed.whole:
            yield RowFault(line, _TOO_LONG)
        elif any(cell.strip() for cell in cells):
            yield _row(line, names, cells)


def _row(line: int, names: list[str], cells: list[str]) -> Row | RowFault:
    if not _is_text(cells):
        return RowFault(line, _NOT_UTF8)
    if any(cells[len(names) :]):
        return RowFault(line, f"has more cells than the header has columns ({len(names)})")
    # Spreadsheets leave out empty cells at a row's end: what is not there is not said.
    return Row(line, dict(zip(names, cells, strict=False)))


def _header(feed: _Feed) -> tuple[list[str], str]:
    """Names of the columns, and what is between cells."""
    while True:
        feed.begin()
        try:
            text = next(feed)
        except StopIteration:
            raise _no_header("is empty") from None
        if not feed.whole:
            raise _no_header(f"has a header that {_TOO_LONG}")
        if text.strip():
            break
    if not _is_text([text]):
        raise _no_header(_NOT_UTF8)
    delimiter = max(",;\t", key=text.count)
    try:
        names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter, strict=True))]
    except csv.Error:
        raise _no_header("has a header whose quotes do not fit") from None
    # A spreadsheet that once had more columns leaves empty ones behind.
    while names and not names[-1]:
        names.pop()
    if len(set(names)) < len(names):
        raise _no_header("has two columns with the same name")
    return names, delimiter


def _is_text(cells: list[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_header(message: str) -> ValidationProblem:
    return ValidationProblem(errors=[FieldError(field="file", message=message)])
