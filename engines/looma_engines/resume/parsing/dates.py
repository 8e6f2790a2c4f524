"""Dates and ranges of dates in Chinese and English. Pure.

Works on folded text (see ``documents.cleaning.fold``), so that every dash is "-".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb", "febr"), ("march", "mar"), ("april", "apr"), ("may",),
            ("june", "jun"), ("july", "jul"), ("august", "aug"), ("september", "sept", "sep"), ("october", "oct"),
            ("november", "nov"), ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip
_MONTH: Final = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_SEASON: Final = r"(?:spring|summer|fall|autumn|winter)"
_YEAR: Final = r"(?:19[5-9]\d|20[0-4]\d)"
_EDGE: Final = r"(?<![\d./])"
_POINT: Final = (
    rf"(?:{_MONTH},?\s*(?:\d{{1,2}}(?:st|nd|rd|th)?,\s*)?{_YEAR}"  # May 2020, May 3, 2020
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[ ]{_MONTH},?\s*{_YEAR}"  # 3 May 2020
    rf"|{_MONTH}\s*'\d\d"  # May '20
    rf"|{_SEASON}(?:\s+of)?,?\s+{_YEAR}"
    rf"|{_YEAR}\s*年\s*(?:\d{{1,2}}\s*月(?:\s*\d{{1,2}}\s*日)?(?:份|初|底|中旬)?)?(?:初|底)?"
    rf"|{_YEAR}\s?[-./]\s?(?:1[0-2]|0?[1-9])(?:\s?[-./]\s?(?:3[01]|[12]\d|0?[1-9])(?!\d))?(?!\d)"
    rf"|(?:3[01]|[12]\d|0?[1-9])[./](?:3[01]|[12]\d|0?[1-9])[./]{_YEAR}"  # 05/03/2020
    rf"|(?:1[0-2]|0?[1-9])\s?[-./]\s?{_YEAR}"  # 05/2020
    rf"|{_MONTH}\s+{_YEAR}"
    rf"|{_YEAR})(?!\d)"
)
_PRESENT: Final = (
    r"(?:(?:till\s+|until\s+)?(?:present|current(?:ly)?|now|today|to\s+date|ongoing)\b|至今|现在|目前|今)"
)
_SEPARATOR: Final = r"(?:\s*(?:-{1,3}|~|→|>|至|到|\bto\b|\buntil\b|\bthrough\b)\s*)"
_OPEN: Final = rf"(?:since|自|从)\s*({_POINT})(?:\s*(?:起|开始|至今))?(?!{_SEPARATOR}(?:\d|[a-z]))"
_RANGE: Final = re.compile(
    rf"{_EDGE}({_POINT}|{_MONTH}(?=\s*-)|\d{{1,2}}\s*月)(?:{_SEPARATOR})({_POINT}|{_PRESENT})|{_OPEN}|"
    rf"{_EDGE}({_POINT})(至今)?"
    rf"|{_EDGE}({_YEAR})-(\d\d)(?!\d)",
    re.IGNORECASE,
)
# "2016-18" must be tried before the lone year would take its first half.
_SHORT_RANGE: Final = re.compile(rf"(?<![\d./-])({_YEAR})\s?-\s?(\d\d)(?![\d./])")


class Point(msgspec.Struct, frozen=True):
    """A month, or a year whose month the text does not say."""

    year: int
    month: int | None = None

    def iso(self) -> str:
        """``YYYY-MM``, or ``YYYY`` without a month."""
        return f"{self.year:04d}" if self.month is None else f"{self.year:04d}-{self.month:02d}"


class DateSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A date or a range at ``start``..``end`` of the text it was found in.

    ``first`` is None for a lone "至今"; ``last`` is None for an open end or a single date.
    """

    start: int
    end: int
    first: Point | None
    last: Point | None
    present: bool = False
    is_range: bool = False


def find_dates(folded: str, *, offset: int = 0) -> Iterator[DateSpan]:
    """Dates and ranges in ``folded``, left to right, ranges before the single dates in them.

    | text                  | first   | last    | present |
    | --------------------- | ------- | ------- | ------- |
    | Jan 2020 - Present     | 2020-01 |         | yes     |
    | 2018.07-2021.03       | 2018-07 | 2021-03 |         |
    | 2019年3月至今           | 2019-03 |         | yes     |
    | March - May 2019       | 2019-03 | 2019-05 |         |
    | 2016-18               | 2016    | 2018    |         |
    | Summer 2022           | 2022    |         |         |
    """
    position = 0
    while found := _RANGE.search(folded, position):
        span = _span(found, folded, offset)
        position = max(found.end(), position + 1)
        if span is not None:
            position = span.end - offset
            yield span


def _span(found: re.Match[str], folded: str, offset: int) -> DateSpan | None:  # noqa: PLR0911 - one return for each row of the table
    left, right, opened, single, until_now = found.group(1, 2, 3, 4, 5)
    start, end = found.start() + offset, found.end() + offset
    if right is not None:
        last = parse_point(right)
        first = parse_point(left, year=last.year if last else None)
        present = last is None
        if first is None or (
            last is not None and (last.year, last.month or 12) < (first.year, first.month or 1)
        ):
            # Not a range: the left side alone is taken, the right side is looked at next.
            return (
                DateSpan(start=start, end=start + len(left.rstrip()), first=first, last=None)
                if first
                else None
            )
        return DateSpan(start=start, end=end, first=first, last=last, present=present, is_range=True)
    if opened is not None:
        return DateSpan(
            start=start, end=end, first=parse_point(opened), last=None, present=True, is_range=True
        )
    if single is None:
        return None
    short = _SHORT_RANGE.match(folded, found.start())
    if short and len(single) <= 7:
        first_year, last_year = int(short.group(1)), int(short.group(1)[:2] + short.group(2))
        # 2019-05 is a month, 2016-18 cannot be one.
        if int(short.group(2)) > 12 and last_year >= first_year:
            return DateSpan(
                start=start,
                end=offset + short.end(),
                first=Point(first_year),
                last=Point(last_year),
                is_range=True,
            )
    point = parse_point(single)
    if point is None:
        return None
    width = len(single.rstrip(" .")) if until_now is None else found.end() - found.start()
    return DateSpan(
        start=start,
        end=start + width,
        first=point,
        last=None,
        present=bool(until_now),
        is_range=bool(until_now),
    )


_YEAR_RE: Final = re.compile(_YEAR)
_SHORT_YEAR: Final = re.compile(r"'(\d\d)")
_NUMERIC: Final = re.compile(rf"({_YEAR})\s*(?:年|[-./])\s*(\d{{1,2}})")
_NUMERIC_LAST: Final = re.compile(rf"(?:(\d{{1,2}})[./])?(\d{{1,2}})\s?[-./]\s?({_YEAR})")
_WORD: Final = re.compile(r"[a-z]+", re.IGNORECASE)


def parse_point(text: str, *, year: int | None = None) -> Point | None:
    """The month or year that ``text`` names, or None.

    Args:
        text: one date, as ``find_dates`` isolates it.
        year: the year of a month that stands without one ("March - May 2019").
    """
    found = _YEAR_RE.search(text)
    short = _SHORT_YEAR.search(text)
    named = int(found.group()) if found else (2000 + int(short.group(1)) if short else year)
    if named is None:
        return None
    for word in _WORD.findall(text):
        if word.lower() in _MONTHS:
            return Point(named, _MONTHS[word.lower()])
    numeric = _NUMERIC.search(text)
    if numeric:
        return _checked(named, int(numeric.group(2)))
    turned = _NUMERIC_LAST.search(text)
    if turned:
        first, second = turned.group(1), int(turned.group(2))
        month = second if first is None else int(first)
        return _checked(named, month if month <= 12 else second)
    month_only = re.match(r"\s*(\d{1,2})\s*月", text)
    if month_only and found is None:
        return _checked(named, int(month_only.group(1)))
    return Point(named)


def _checked(year: int, month: int) -> Point:
    return Point(year, month) if 1 <= month <= 12 else Point(year)
