"""Cursors: where the next page begins, as an opaque text.

Pages go by key, not by number: the cursor holds the sort order and the last row's sort value and id, so that a row
added or deleted meanwhile neither repeats nor hides another.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date, datetime
from uuid import UUID

import msgspec

from looma_core.problems import FieldError, ValidationProblem

TIMES = frozenset({"created_at", "updated_at", "since"})
"""Orders whose values are times."""
DAYS = frozenset({"starts_on"})
"""Orders whose values are days; all that are neither are texts. A day that is not known comes before all others."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page: sort order, its sort value as text (times and days in ISO 8601), its id."""

    sort: str
    value: str
    id: UUID

    @property
    def key(self) -> datetime | date | str:
        """The sort value as the column has it."""
        name = self.sort.removeprefix("-")
        if name in DAYS:
            return date.fromisoformat(self.value)
        return datetime.fromisoformat(self.value) if name in TIMES else self.value


def encode(*, sort: str, key: date | str | None, row_id: UUID) -> str:
    """Return the cursor for the page after this row."""
    value = key if isinstance(key, str) else (key or date.min).isoformat()
    packed = msgspec.json.encode(Position(sort=sort, value=value, id=row_id))
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(cursor: str, *, sort: str) -> Position:
    """Read a cursor that was given out for the same order.

    Raises:
        ValidationProblem: it is not one of ours, or belongs to another order.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        position = msgspec.json.decode(urlsafe_b64decode(padded), type=Position)
        _ = position.key
    except (ValueError, msgspec.MsgspecError) as error:
        raise _wrong("give back `next_cursor` of the page before, unchanged") from error
    if "\x00" in position.value:
        raise _wrong("give back `next_cursor` of the page before, unchanged")
    if position.sort != sort:
        raise _wrong(f"belongs to the order {position.sort}; ask with the same `sort`")
    return position


def _wrong(message: str) -> ValidationProblem:
    return ValidationProblem(errors=[FieldError(field="cursor", message=message)])
