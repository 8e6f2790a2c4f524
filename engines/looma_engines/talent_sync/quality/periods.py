"""Months, and how two times lie to each other. Pure.

A time is a month `YYYY-MM` or a year `YYYY`. A year alone is each of its months: a fault is only what is one whatever
month was meant.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from looma_core.api.person import Education, Experience

MONTHS = 12
_GOES_ON = re.compile(r"\b(?:present|now|current(?:ly)?|today|ongoing)\b|至今|现在|目前|迄今", re.IGNORECASE)


class Period(NamedTuple):
    """Months since year 0, both ends included: all that it holds for certain. `last` may lie before `first`."""

    first: int
    last: int

    @property
    def months(self) -> int:
        """How long it lasts at least; 0 or less where that is not known."""
        return self.last - self.first + 1


# There are few months that people work in, and five rules ask for each.
@lru_cache(maxsize=4096)
def earliest(time: str) -> int:
    """The first month that a time can mean."""
    year, _, month = time.partition("-")
    return int(year) * MONTHS + (int(month) - 1 if month else 0)


@lru_cache(maxsize=4096)
def latest(time: str) -> int:
    """The last month that a time can mean."""
    year, _, month = time.partition("-")
    return int(year) * MONTHS + (int(month) - 1 if month else MONTHS - 1)


def month_of(day: date) -> int:
    """The month of a day."""
    return day.year * MONTHS + day.month - 1


def goes_on(entry: Experience | Education) -> bool:
    """Whether the entry says that it has not ended: that it names no end says so only with its words."""
    return entry.end is None and bool(entry.dates and _GOES_ON.search(entry.dates))


def certain(entry: Experience | Education, today: date) -> Period | None:
    """The months that an entry holds for certain; None where its beginning or its end is not known.

    | start   | end     | dates          | answer              |
    | ------- | ------- | -------------- | ------------------- |
    | 2020-03 | 2021-02 |                | 2020-03 to 2021-02  |
    | 2020    | 2022    |                | 2020-12 to 2022-01  |
    | 2020-03 |         | 2020 - Present | 2020-03 to today    |
    | 2020-03 |         |                | None                |
    """
    if entry.start is None:
        return None
    if entry.end is not None:
        return Period(latest(entry.start), earliest(entry.end))
    return Period(latest(entry.start), month_of(today)) if goes_on(entry) else None


def overlap(one: Period, other: Period) -> int:
    """How many months two periods have in common."""
    return max(0, min(one.last, other.last) - max(one.first, other.first) + 1)
