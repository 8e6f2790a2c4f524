"""Which bytes of a file somebody asks for (RFC 9110, 14.2). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes from the first to the last, both among them."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many."""
        return self.last - self.first + 1


def span_of(asked: str | None, size: int) -> Span | None:
    """The bytes that `Range` asks for; None for the whole, as where it asks for nothing that can be given.

    | Range          | size | answer  |
    | -------------- | ---- | ------- |
    | bytes=0-9      | 100  | 0 to 9  |
    | bytes=90-      | 100  | 90 to 99 |
    | bytes=-10      | 100  | 90 to 99 |
    | bytes=50-500   | 100  | 50 to 99 |
    | bytes=-500     | 100  | 0 to 99 |
    | bytes=100-     | 100  | None    |
    | bytes=9-0      | 100  | None    |
    | bytes=0-1,5-6  | 100  | None    |
    | lines=0-9      | 100  | None    |
    """
    found = _RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        span = Span(max(size - int(found["last"]), 0), size - 1)
    else:
        span = Span(int(found["first"]), min(int(found["last"] or size), size - 1))
    return span if span.first <= span.last else None
