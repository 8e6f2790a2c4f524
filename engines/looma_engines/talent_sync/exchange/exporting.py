"""Exports records as a file that is written while it is sent: neither end holds it all.

One statement reads all records, so the file shows one moment. CSV begins with a byte order mark, since spreadsheets
take a file without one for another encoding, and lines end as RFC 4180 has them.
"""

from __future__ import annotations

import csv
import io
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from looma_core import logging
from looma_core.problems import TooManyRequests
from looma_engines.talent_sync.exchange.columns import header_of, to_columns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from prometheus_client import Counter

    from looma_core.auth import Principal
    from looma_engines.talent_sync.exchange.reading import Format
    from looma_engines.talent_sync.records.service import RecordService

AT_ONCE = 3
"""Exports under way in one process: each has a connection of the pool for as long as its reader takes."""

PART = 200
"""Records between two parts of the answer."""

MEDIA_TYPES: Mapping[Format, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
_RETRY_SECONDS = 5
_encoder = msgspec.json.Encoder()

log = logging.get(__name__)


class Slots:
    """How many exports may begin; shared by all kinds of records of a process."""

    def __init__(self, free: int = AT_ONCE) -> None:
        self._free = free

    def take(self) -> None:
        """Begin one; raises TooManyRequests."""
        if not self._free:
            raise TooManyRequests(
                "Other exports are under way: try again when one has ended.",
                headers={"Retry-After": str(_RETRY_SECONDS)},
            )
        self._free -= 1

    def give_back(self) -> None:
        """End one."""
        self._free += 1


class Exporter:
    """Exports records of one kind.

    Args:
        records: reads them.
        slots: how many may be under way.
        rows: where rows are counted.
    """

    def __init__(self, records: RecordService[Any, Any], *, slots: Slots, rows: Counter) -> None:
        self._records = records
        self._slots = slots
        self._counted = rows

    async def begin(
        self,
        principal: Principal,
        file_format: Format,
        *,
        sort: str,
        q: str | None,
        filters: Mapping[str, object],
    ) -> AsyncGenerator[bytes, None]:
        """The file in parts. What is refused is refused here, before any of it.

        Raises:
            ValidationProblem: the words are wrong.
            TooManyRequests: others are under way.
            NotReady: the database does not answer.
        """
        parts = self._parts(principal, file_format, sort=sort, q=q, filters=filters)
        first = await anext(parts)
        return _all(first, parts)

    async def _parts(
        self,
        principal: Principal,
        file_format: Format,
        *,
        sort: str,
        q: str | None,
        filters: Mapping[str, object],
    ) -> AsyncGenerator[bytes, None]:
        """At least one part: a header, or nothing at all."""
        name = self._records.entity.name
        count, whole = 0, False
        self._slots.take()
        try:
            part: list[Any] = []
            start = _header(name) if file_format == "csv" else b""
            await self._records.note_export(principal, file_format)
            async with aclosing(self._records.stream(principal, sort=sort, q=q, filters=filters)) as records:
                async for record in records:
                    part.append(record)
                    if len(part) == PART:
                        yield start + _written(name, file_format, part)
                        count, part, start = count + len(part), [], b""
            yield start + _written(name, file_format, part)
            count, whole = count + len(part), True
        finally:
            self._slots.give_back()
            self._counted.labels(name, file_format).inc(count)
            log.info("export", entity=name, format=file_format, rows=count, whole=whole)


async def _all(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part


def file_name(kind: str, file_format: Format, *, at: datetime | None = None) -> str:
    """What a browser calls the file: `talents-2026-11-27.csv`."""
    return f"{kind}-{(at or datetime.now(UTC)).date().isoformat()}.{file_format}"


def _header(entity_name: str) -> bytes:
    return "\ufeff".encode() + _lines([header_of(entity_name)])


def _written(entity_name: str, file_format: Format, records: Iterable[Any]) -> bytes:
    if file_format == "jsonl":
        return b"".join(_encoder.encode(record) + b"\n" for record in records)
    return _lines(list(to_columns(entity_name, record).values()) for record in records)


def _lines(rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
