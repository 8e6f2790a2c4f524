"""What an answer of a source means, and how long to wait before the question is asked again. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

LONGEST_WAIT_SECONDS = 300.0
"""A source that asks for more is not waited for: the pod ends, and the next one tries."""
_LATER = frozenset({408, 421, 425, 429, 500, 502, 503, 504})


class Meaning(Enum):
    """What an answer means."""

    TAKEN = "taken"
    LATER = "later"
    NO_TOKEN = "no token"  # noqa: S105 - what an answer means
    REFUSED = "refused"


def meaning_of(status: int) -> Meaning:
    """What a status means for the question that was asked.

    | status                                      | meaning  | what follows                                    |
    | ------------------------------------------- | -------- | ----------------------------------------------- |
    | 200, 206                                    | TAKEN    | the answer is read                              |
    | 401                                         | NO_TOKEN | another token, once; then the run fails         |
    | 408, 421, 425, 429, 500, 502, 503, 504      | LATER    | the question is asked again                     |
    | any other                                   | REFUSED  | the run fails: asking again would end the same  |
    """
    if status in (200, 206):
        return Meaning.TAKEN
    if status == 401:
        return Meaning.NO_TOKEN
    return Meaning.LATER if status in _LATER else Meaning.REFUSED


def asked_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """Seconds that a source asks to be left alone for; None if it does not say, or nothing that can be read.

    | Retry-After                     | at 2026-05-01 12:00:00 UTC | seconds |
    | ------------------------------- | -------------------------- | ------- |
    | `120`                           |                            | 120     |
    | `Fri, 01 May 2026 12:00:30 GMT` |                            | 30      |
    | `Fri, 01 May 2026 11:00:00 GMT` |                            | 0       |
    | `soon`, `-5`, nothing           |                            | None    |
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def pause_before(tries: int, jitter: float) -> float:
    """Seconds before the next try of a source that did not say how long: 0.2 to 10, twice as long each time.

    Args:
        tries: how many there were.
        jitter: 0 to 1; the workers of a run must not all come at once.
    """
    return min(10.0, 0.2 * math.pow(2, min(tries, 10) - 1)) * (0.5 + jitter / 2)


def refresh_at(expires_in: float) -> float:
    """Seconds after which a token is renewed that is good for so long: a minute before, or a fifth of a short life."""
    return expires_in - min(60.0, expires_in / 5)
