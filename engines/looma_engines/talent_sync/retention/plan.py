"""Which partitions a table needs today, and which are past their time. Pure.

A month is the date of its first day; all times are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

AHEAD = 3
"""Months that are made ahead: as long may the upkeep fail without a row in the default partition."""

_ENDING = re.compile(r"_(?P<year>\d{4})_(?P<month>0[1-9]|1[0-2])")


@dataclass(frozen=True, kw_only=True)
class Partitioned:
    """A table with a partition for each month, by the time in one of its columns."""

    table: str
    column: str

    @property
    def default(self) -> str:
        """Takes what no other partition does, so that no write fails for want of one."""
        return f"{self.table}_default"


HISTORY = Partitioned(table="record_history", column="changed_at")
AUDIT = Partitioned(table="audit_events", column="at")
MOVES = Partitioned(table="application_moves", column="moved_at")
DEFAULT = HISTORY.default


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done.

    Args:
        create: months that get a partition, the oldest first.
        drop: names of partitions that go, the oldest first.
        oldest: the first month that is kept; rows before it go from the default partition too.
    """

    create: tuple[date, ...]
    drop: tuple[str, ...]
    oldest: date


def month_of(day: date) -> date:
    """The month that a day is in."""
    return day.replace(day=1)


def moved(month: date, by: int) -> date:
    """The month so many later, or earlier."""
    count = month.year * 12 + month.month - 1 + by
    return date(count // 12, count % 12 + 1, 1)


def name_of(month: date, of: Partitioned = HISTORY) -> str:
    """Name of a month's partition: that of November 2026 is `record_history_2026_11`."""
    return f"{of.table}_{month.year:04}_{month.month:02}"


def month_named(name: str, of: Partitioned = HISTORY) -> date | None:
    """The month of a partition by its name; None for the default one, and for what is none of ours."""
    match = _ENDING.fullmatch(name.removeprefix(of.table)) if name.startswith(of.table) else None
    if match is None or int(match["year"]) == 0:
        return None
    return date(int(match["year"]), int(match["month"]), 1)


def plan(
    existing: Iterable[str],
    *,
    today: date,
    months: int,
    stray: Collection[date] = (),
    of: Partitioned = HISTORY,
) -> Plan:
    """What to do so that this month and the next ones have a partition and nothing old has.

    | partition of                          | answer                            |
    | ------------------------------------- | --------------------------------- |
    | this month, one of the next `AHEAD`   | made, if it is not there          |
    | a month of a row in the default one   | made, unless it is too old        |
    | up to `months` months before this one | stays                             |
    | a month before these                  | dropped                           |
    | no month, by its name                 | stays: somebody made it by hand   |

    Args:
        existing: names of the partitions that are there.
        today: the day, in UTC.
        months: how many whole months before this one are kept.
        stray: months of the rows in the default partition.
        of: the table.
    """
    this = month_of(today)
    oldest = moved(this, -months)
    there = {month: name for name in existing if (month := month_named(name, of)) is not None}
    wanted = {moved(this, ahead) for ahead in range(AHEAD + 1)} | {
        month for month in stray if month >= oldest
    }
    return Plan(
        create=tuple(sorted(wanted - there.keys())),
        drop=tuple(there[month] for month in sorted(there) if month < oldest),
        oldest=oldest,
    )
