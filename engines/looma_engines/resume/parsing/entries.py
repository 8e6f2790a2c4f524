"""Jobs and schools are entries: a date line, the lines of its header, and what follows. Pure.

``find_entries`` cuts a section into entries by its dates and by how its lines look; what a header's
cells mean is up to ``experience`` and ``education``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from looma_engines.resume.parsing.context import Cell, Context, ParsedLine, bullet_width, holes, split_cells
from looma_engines.resume.parsing.dates import DateSpan, find_dates

_VERB_START: Final = re.compile(
    r"^[A-Z][a-z]+(?:ed|ing|es|s)?\s+(?:a|an|the|and|to|with|in|on|for|by|of|our|over|\w+ed|\d)\b"
)
_DESCRIPTION_LABEL: Final = re.compile(
    r"^\s*(?:工作描述|工作内容|工作职责|岗位职责|职责描述|职责|主要职责|工作业绩|业绩|主要工作|"
    r"项目描述|内容|成就|负责|主要负责|项目职责|responsibilities|key responsibilities|"
    r"description|achievements?|duties|environment|technologies|tech stack)\s*(?:[:：]|$)",
    re.IGNORECASE,
)
_ED_VERB: Final = re.compile(
    r"^(?:[A-Z][a-z]+ed|Led|Built|Ran|Cut|Grew|Won|Drove|Made|Wrote|Took|Oversaw|Held|Set|Kept|Taught|"
    r"Sold|Spearheaded|"
    r"Working|Work|Use|Used|Using|Responsible|Assist|Manage|Develop|Create|Conducting|Implementing|"
    r"Applied|Published)\b"
)
_MAX_HEADER_LINES: Final = 2


class Entry(msgspec.Struct, kw_only=True):
    """One job or school: its header's lines (dates taken out), the dates, and the lines of its description."""

    header: list[ParsedLine]
    anchor: ParsedLine | None
    date: DateSpan | None
    body: list[ParsedLine]


def find_entries(
    context: Context,
    lines: Sequence[ParsedLine],
    *,
    is_header: Callable[[str], bool],
    is_field: Callable[[str], bool] = lambda _: False,
) -> list[Entry]:
    """Cut the lines of a section into entries.

    Args:
        context: the document.
        lines: the lines of one section, or of a section that goes on over a page break.
        is_header: whether a piece of a line names what this section is about (a title, a school).
        is_field: whether a line is a row of a form; a header may have any number of them.
    """
    filled = [line for line in lines if line.folded.strip()]
    for line in filled:
        line.dates = list(find_dates(line.folded, offset=line.start))
    anchors = [at for at, line in enumerate(filled) if is_anchor(line, filled, at)]
    if not anchors:
        anchors = [
            at
            for at, line in enumerate(filled)
            if not is_prose(line, filled, at) and any(is_header(c.folded) for c in _cells(context, line))
        ]
        anchors = [at for n, at in enumerate(anchors) if n == 0 or at - anchors[n - 1] > 1] or anchors
    if not anchors and filled:
        # Some lists put a bullet before each job.
        anchors = [
            at for at, line in enumerate(filled) if line.bullet and any(d.is_range for d in line.dates)
        ]
    return _cut(context, filled, anchors, is_header, is_field)


def _cut(
    context: Context,
    filled: list[ParsedLine],
    anchors: list[int],
    is_header: Callable[[str], bool],
    is_field: Callable[[str], bool],
) -> list[Entry]:
    bounds: list[tuple[int, int]] = []
    for number, anchor in enumerate(anchors):
        floor = bounds[-1][1] if bounds else 0
        following = anchors[number + 1] if number + 1 < len(anchors) else len(filled)
        first = _header_start(context, filled, anchor, floor, is_header, first=not bounds)
        last = _header_end(
            context, filled, first=first, anchor=anchor, following=following, is_header=is_header
        )
        bounds.append(_with_fields(filled, (first, last), (floor, following), is_field))
    entries: list[Entry] = []
    for number, (first, last) in enumerate(bounds):
        following = bounds[number + 1][0] if number + 1 < len(bounds) else len(filled)
        dated = filled[anchors[number]]
        entries.append(
            Entry(
                header=filled[first:last],
                anchor=dated,
                date=main_date(dated.dates),
                body=filled[last:following],
            )
        )
    return entries


def main_date(dates: Sequence[DateSpan]) -> DateSpan | None:
    """The range among a line's dates, else its last single date."""
    ranges = [date for date in dates if date.is_range]
    return ranges[0] if ranges else (dates[-1] if dates else None)


def is_anchor(line: ParsedLine, filled: Sequence[ParsedLine], at: int) -> bool:
    """Whether the line's date is the date of an entry, not one that a sentence mentions.

    | line                                      | answer |
    | ----------------------------------------- | ------ |
    | Staff Engineer<tab>Jan 2020 - Present       | yes    |
    | Globex, Denver — 2015                      | yes    |
    | • Migrated the ledger in 2019              | no     |
    | Awarded best paper in 2018 by the committee | no     |
    """
    if not line.dates or line.bullet or _DESCRIPTION_LABEL.match(line.folded):
        return False
    ranges = [date for date in line.dates if date.is_range]
    rest = "".join(line.folded[a - line.start : b - line.start] for a, b in _free(line))
    if ranges:
        return len(rest) <= 130 and not (is_prose(line, filled, at) and len(rest.split()) > 12)
    date = line.dates[-1]
    at_edge = date.start - line.start <= 2 or line.line.end - date.end <= 12 or "\t" in line.folded
    return (
        at_edge
        and len(rest.split()) <= 12
        and not is_prose(line, filled, at)
        and not _is_continuation(line, filled, at)
    )


def is_prose(line: ParsedLine, filled: Sequence[ParsedLine], at: int) -> bool:
    """Whether the line is a sentence or goes on with one."""
    text = line.folded.strip()
    if line.bullet or _DESCRIPTION_LABEL.match(text) or _is_continuation(line, filled, at):
        return True
    if "\t" in text or " | " in text:
        return False
    count = len(text.split())
    if any("\u4e00" <= char <= "\u9fff" for char in text):
        return (
            len(text) > 45
            or text.endswith(("。", "；", ";"))
            or (len(text) > 24 and ("，" in text or "," in text) and not line.dates)
        )
    if text.endswith(".") and count > 7:
        return True
    return (
        (count > 6 and bool(_ED_VERB.match(text)))
        or (count > 8 and bool(_VERB_START.match(text)))
        or count > 18
    )


def _is_continuation(line: ParsedLine, filled: Sequence[ParsedLine], at: int) -> bool:
    """Whether the line goes on with the bullet or sentence before it."""
    if at == 0:
        return False
    before = filled[at - 1]
    text = line.folded.strip()
    if text[:1].islower() and not line.dates:
        return True
    if (
        not before.bullet
        or line.line.page != before.line.page
        or line.line.box is None
        or before.line.box is None
    ):
        return False
    # Text under a bullet stands right of the bullet itself; a new header stands at or left of it.
    return line.line.box[0] > before.line.box[0] + 4 and not line.line.bold and not line.dates


def _header_start(
    context: Context,
    filled: Sequence[ParsedLine],
    anchor: int,
    floor: int,
    is_header: Callable[[str], bool],
    *,
    first: bool,
) -> int:
    """The first line of the header: up to two lines above the date that are no prose."""
    start = anchor
    names = _text_left(filled[anchor])
    while start > floor and anchor - start < _MAX_HEADER_LINES:
        line = filled[start - 1]
        if line.bullet or is_prose(line, filled, start - 1) or len(line.text) > 100 or line.dates:
            break
        known = any(is_header(cell.folded) for cell in _cells(context, line))
        # A gap parts entries, unless the date line has nothing of its own to say or the format marks a heading.
        if (
            _gap_between(context, line, filled[start])
            and len(names) > 3
            and not first
            and not (known and line.line.heading)
        ):
            break
        alone = len(names) <= 3 or first
        if not known and not alone and not _looks_like_header(line, filled[anchor]):
            break
        start -= 1
    return start


def _looks_like_header(line: ParsedLine, anchor: ParsedLine) -> bool:
    """Whether a line above the date is set at the same left edge, short, and begins with a capital."""
    text = line.text.strip()
    if len(text) > 70 or not (text[:1].isupper() or text[:1].isdigit() or text[:1] > "z"):
        return False
    if line.line.box is None or anchor.line.box is None:
        return True
    return abs(line.line.box[0] - anchor.line.box[0]) < 6


def _header_end(
    context: Context,
    filled: Sequence[ParsedLine],
    *,
    first: int,
    anchor: int,
    following: int,
    is_header: Callable[[str], bool],
) -> int:
    """Past the header's last line: up to two short lines below the date."""
    end = anchor + 1
    while end < following and end - anchor <= _MAX_HEADER_LINES:
        line = filled[end]
        if line.bullet or is_prose(line, filled, end) or len(line.text) > 100:
            break
        if _gap_between(context, filled[end - 1], line) and end - first >= 2:
            break
        # The line right above the next date belongs to that date if both entries open the same way.
        if following - end <= anchor - first and following < len(filled):
            break
        if (
            end - first >= 2
            and not any(is_header(c.folded) for c in _cells(context, line))
            and not _short(line)
        ):
            break
        end += 1
    if following < len(filled) and end == following and anchor == first and end - anchor > 2:
        end = anchor + 2
    return end


def _with_fields(
    filled: Sequence[ParsedLine],
    header: tuple[int, int],
    room: tuple[int, int],
    is_field: Callable[[str], bool],
) -> tuple[int, int]:
    """The header with every row of its form that lies in ``room``.

    A form whose rows stand above the date leaves those below to the next entry.
    """
    first, last = header
    if is_field(filled[first].folded):
        while first > room[0] and is_field(filled[first - 1].folded):
            first -= 1
    else:
        while last < room[1] and is_field(filled[last].folded):
            last += 1
    return first, last


def _short(line: ParsedLine) -> bool:
    return len(line.text) <= 50


def _gap_between(context: Context, before: ParsedLine, after: ParsedLine) -> bool:
    return any(context.lines[number].blank for number in range(before.number + 1, after.number))


def _text_left(line: ParsedLine) -> str:
    return "".join(line.folded[a - line.start : b - line.start] for a, b in _free(line)).strip(" \t|,-•()")


def _free(line: ParsedLine) -> list[tuple[int, int]]:
    # What a heading on the same line took is blank in the folded view only.
    blank = len(line.folded) - len(line.folded.lstrip())
    return holes(
        line.start + blank, line.start + len(line.folded), [(date.start, date.end) for date in line.dates]
    )


def _cells(context: Context, line: ParsedLine) -> list[Cell]:
    return header_cells(context, line)


def header_cells(context: Context, line: ParsedLine) -> list[Cell]:
    """The cells of a header line without its bullet and dates, and without words that only introduce dates."""
    cells: list[Cell] = []
    width = bullet_width(line.folded) if line.bullet else 0
    for low, high in _free(line):
        for cell in split_cells(context, max(low, line.start + width), high):
            text = cell.folded.strip()
            if text and not _DATE_WORDS.fullmatch(text) and any(char.isalnum() for char in text):
                cells.append(cell)
    return cells


_DATE_WORDS: Final = re.compile(
    r"(?:graduat(?:ed|ion|ing)|expected|anticipated|grad|class of|completed|graduation date|date|"
    r"dates?|from|to|since|until|in|"
    r"expected graduation|duration|period|year|years?|\d{1,2}\s*(?:months?|mos?|years?|yrs?).*|"
    r"full[- ]time|part[- ]time|contract|"
    r"时间|起止时间|工作时间|在校时间|就读时间|任职时间|毕业时间|毕业|入学|全职|兼职|\d+年\d*个?月?|"
    r"至今|届|-|to present)[.:：]?",
    re.IGNORECASE,
)


def body_text(lines: Sequence[ParsedLine]) -> str | None:
    """The lines of a description as paragraphs: a bullet each, wrapped lines joined, hyphens at breaks healed."""
    out: list[str] = []
    for at, line in enumerate(lines):
        text = line.text.strip()
        if not text:
            continue
        glued = out and not line.bullet and (is_prose_continuation(line, lines, at))
        if glued:
            previous = out[-1]
            if previous.endswith("-") and text[:1].islower():
                out[-1] = (
                    previous[:-1] + text if len(previous) > 2 and previous[-2].islower() else previous + text
                )
            else:
                joint = "" if previous[-1:] > "\u2e80" and text[:1] > "\u2e80" else " "
                out[-1] = previous + joint + text
        else:
            out.append(text)
    return "\n".join(out) or None


def is_prose_continuation(line: ParsedLine, lines: Sequence[ParsedLine], at: int) -> bool:
    """Whether a line of a description goes on with the line before it."""
    before = lines[at - 1]
    text = before.text.rstrip()
    if line.text[:1].islower() or _is_continuation(line, lines, at):
        return True
    return (
        before.number + 1 == line.number
        and len(text) > 60
        and not text.endswith((".", "。", ":", "：", ";", "；"))
    )
