"""The reading order of a PDF page, decided from boxes alone. Pure.

Words become segments (pieces of a line without a wide gap), segments become blocks by looking for
gutters, blocks become lines. What a gutter parts is one of three things, and ``judge_gutter`` says
which: two columns (read one, then the other), a rail of labels beside what they label (read each
label before its rows), or rows whose right part is a date or a place (read across).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import Enum
from statistics import median

import msgspec

from looma_engines.resume.documents.model import RawLine

_SAME_ROW = 0.5
_WIDE_GAP = 1.1
_GUTTER = 6.0
_MIN_ROWS = 3
#: Characters without which a column is no column but a grid of skills or figures.
_MIN_COLUMN_TEXT = 50
_MAX_DEPTH = 6


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word with its box; ``index`` is its place in the file's content stream."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool = False
    upright: bool = True
    index: int = 0


class Segment(msgspec.Struct, kw_only=True):
    """Words that stand together on one base line."""

    words: list[Word]
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Height of the box in points, never 0."""
        return max(self.bottom - self.top, 1.0)

    @property
    def length(self) -> int:
        """Characters without spaces."""
        return sum(len(word.text) for word in self.words)


Row = list[Segment]


class Gutter(Enum):
    """What a vertical strip without text parts."""

    COLUMNS = "columns"
    RAIL = "rail"
    ROWS = "rows"


def page_lines(words: Sequence[Word], *, page: int, height: float) -> list[RawLine]:
    """Lines of one page in reading order, an empty line where paragraphs part.

    Args:
        words: the page's words in content order.
        page: the page's number, from 1.
        height: the page's height in points; text outside of the page is left out.
    """
    visible = [word for word in words if -5 <= word.top <= height + 5]
    upright = [word for word in visible if word.upright]
    lines: list[RawLine] = []
    for block in order_blocks(_segments(upright)):
        if lines and block:
            lines.append(RawLine(text="", page=page))
        lines.extend(_block_lines(block, page=page))
    turned = [word for word in visible if not word.upright]
    if turned:
        # Text along the margin has no place in the order; it is kept, after everything else.
        lines.append(RawLine(text="", page=page))
        lines.append(RawLine(text=_turned_text(turned), page=page))
    return lines


def _turned_text(words: Sequence[Word]) -> str:
    """Words set upwards or downwards; each of their letters came as a word, a space is a gap in the stream."""
    parts = [words[0].text]
    for previous, word in itertools.pairwise(words):
        goes_on = word.index == previous.index + len(previous.text)
        parts.append(word.text if goes_on else " " + word.text)
    return "".join(parts)


def order_blocks(segments: Sequence[Segment], *, depth: int = 0) -> list[list[Row]]:
    """Blocks of rows in reading order."""
    rows = group_rows(segments)
    found = find_gutter(rows) if depth < _MAX_DEPTH else None
    if found is None:
        return [rows] if rows else []
    at, first, last, kind = found
    inside = [segment for row in rows[first:last] for segment in row]
    left = [segment for segment in inside if segment.right <= at + 1]
    right = [segment for segment in inside if segment.right > at + 1]
    blocks: list[list[Row]] = []
    if first:
        blocks += order_blocks([s for row in rows[:first] for s in row], depth=depth + 1)
    if kind is Gutter.COLUMNS:
        blocks += order_blocks(left, depth=depth + 1) + order_blocks(right, depth=depth + 1)
    else:
        blocks += _rail_blocks(left, right)
    if last < len(rows):
        blocks += order_blocks([s for row in rows[last:] for s in row], depth=depth + 1)
    return blocks


def group_rows(segments: Sequence[Segment]) -> list[Row]:
    """Segments that share a base line, top to bottom, each row left to right."""
    rows: list[Row] = []
    for segment in sorted(segments, key=lambda s: ((s.top + s.bottom) / 2, s.left)):
        if rows and _overlap(rows[-1], segment) >= _SAME_ROW:
            rows[-1].append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda s: s.left)
    return rows


def find_gutter(rows: Sequence[Row]) -> tuple[float, int, int, Gutter] | None:
    """The gutter that parts the most text into columns or a rail: its place and its rows [first, last).

    None if the rows are read across.
    """
    best: tuple[float, tuple[float, int, int, Gutter]] | None = None
    for at in _candidates(rows):
        for first, last in _clear_runs(rows, at):
            run = rows[first:last]
            kind = judge_gutter(run, at)
            if kind is Gutter.ROWS:
                continue
            sides = [
                sum(s.length for row in run for s in row if (s.right <= at + 1) is side)
                for side in (True, False)
            ]
            weight = (last - first) + min(sides) / 10
            if best is None or weight > best[0]:
                best = (weight, (at, first, last, kind))
    return best[1] if best else None


def judge_gutter(rows: Sequence[Row], at: float) -> Gutter:  # noqa: PLR0911 - one return for each row of the table
    """What the strip left of ``at`` parts in these rows.

    | left and right                                             | answer  |
    | ---------------------------------------------------------- | ------- |
    | fewer than three rows on a side, or the right edge ragged   | ROWS    |
    | few short texts left, each level with a row on the right    | RAIL    |
    | few texts right, each level with a row on the left          | ROWS    |
    | hardly any text on a side                                   | ROWS    |
    | written one side after the other, or not level              | COLUMNS |
    | level and written across                                   | ROWS    |
    """
    left = [[s for s in row if s.right <= at + 1] for row in rows]
    right = [[s for s in row if s.right > at + 1] for row in rows]
    left_rows = sum(1 for row in left if row)
    right_rows = sum(1 for row in right if row)
    if min(left_rows, right_rows) < _MIN_ROWS and not _is_short_rail(left_rows, right_rows):
        return Gutter.ROWS
    starts = [row[0].left for row in right if row]
    flush = sum(1 for x in starts if x - at <= 8) / len(starts)
    near = sum(1 for x in starts if x - at <= 45) / len(starts)
    if flush < 0.4 or near < 0.75:
        return Gutter.ROWS
    both = sum(1 for a, b in zip(left, right, strict=True) if a and b)
    level = both / min(left_rows, right_rows)
    width = max(s.right for row in rows for s in row) - min(s.left for row in rows for s in row)
    rail_width = max(s.right for row in left for s in row) - min(s.left for row in left for s in row)
    left_length = median(sum(s.length for s in row) for row in left if row)
    rail_like = rail_width < 0.36 * width and left_length <= 24
    if rail_like and level >= 0.7 and left_rows <= 0.6 * right_rows:
        return Gutter.RAIL
    if left_rows < _MIN_ROWS or right_rows < _MIN_ROWS:
        return Gutter.ROWS
    if level >= 0.7 and right_rows <= 0.55 * left_rows:
        return Gutter.ROWS
    if min(_amount(left), _amount(right)) < _MIN_COLUMN_TEXT:
        return Gutter.ROWS
    switches = _switches(rows, at) / (2 * min(left_rows, right_rows))
    if switches < 0.35 or level < 0.6:
        return Gutter.COLUMNS
    return Gutter.ROWS


def _amount(side: Sequence[Row]) -> int:
    return sum(s.length for row in side for s in row)


def _is_short_rail(left_rows: int, right_rows: int) -> bool:
    return 2 <= left_rows < _MIN_ROWS and right_rows >= 3 * left_rows


def _switches(rows: Sequence[Row], at: float) -> int:
    """How often the content stream jumps over the gutter."""
    order = sorted((s.words[0].index, s.right <= at + 1) for row in rows for s in row)
    return sum(1 for (_, a), (_, b) in itertools.pairwise(order) if a is not b)


def _candidates(rows: Sequence[Row]) -> list[float]:
    """Left edges that at least three segments share, where something stands further left."""
    edges = sorted(segment.left for row in rows for segment in row)
    if len(edges) < 2 * _MIN_ROWS:
        return []
    leftmost = edges[0]
    found: list[float] = []
    for edge in edges:
        if edge - leftmost < 40 or (found and edge - found[-1] < 3):
            continue
        if sum(1 for other in edges if -1 <= other - edge < 4) >= _MIN_ROWS:
            found.append(edge - 1)
    return found


def _clear_runs(rows: Sequence[Row], at: float) -> list[tuple[int, int]]:
    """Runs of rows that nothing crosses at ``at``, trimmed to where both sides have text."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for position, row in enumerate([*rows, None]):
        if row is not None and not any(
            s.left < at - _GUTTER < s.right or s.left < at < s.right - 1 for s in row
        ):
            start = position if start is None else start
            continue
        if start is not None:
            runs += _trim(rows, start, position, at)
            start = None
    return runs


def _trim(rows: Sequence[Row], start: int, stop: int, at: float) -> list[tuple[int, int]]:
    """The run without rows at its top that only have text on the left (a header above the columns)."""
    while start < stop and not any(s.right > at + 1 for s in rows[start]):
        start += 1
    # A label or a sidebar may begin above the first row of the right side by less than a line.
    while start < stop and not any(s.right <= at + 1 for s in rows[start]) and start + 1 < stop:
        if any(s.right <= at + 1 for row in rows[start : start + 3] for s in row):
            break
        start += 1
    return [(start, stop)] if stop - start >= _MIN_ROWS else []


def _rail_blocks(left: Sequence[Segment], right: Sequence[Segment]) -> list[list[Row]]:
    """Each label (its lines joined) before the rows beside it."""
    labels: list[list[Segment]] = []
    for row in group_rows(left):
        previous = labels[-1][-1] if labels else None
        if previous is not None and row[0].top - previous.bottom < 0.5 * previous.height:
            labels[-1].extend(row)
        else:
            labels.append(list(row))
    tops = [min(s.top for s in label) for label in labels]
    blocks: list[list[Row]] = []
    for at, label in enumerate(labels):
        low = tops[at] if at else float("-inf")
        high = tops[at + 1] if at + 1 < len(tops) else float("inf")
        beside = [s for s in right if low - 0.5 * s.height <= s.top < high - 0.5 * s.height]
        merged = Segment(
            words=[word for s in label for word in s.words],
            left=label[0].left,
            top=label[0].top,
            right=max(s.right for s in label),
            bottom=label[0].bottom,
        )
        blocks.append([[merged], *group_rows(beside)])
    return blocks


def _segments(words: Sequence[Word]) -> list[Segment]:
    segments: list[Segment] = []
    for word in words:
        last = segments[-1] if segments else None
        if last is not None and _continues(last, word):
            last.words.append(word)
            last.right = max(last.right, word.right)
            last.top, last.bottom = min(last.top, word.top), max(last.bottom, word.bottom)
        else:
            segments.append(
                Segment(words=[word], left=word.left, top=word.top, right=word.right, bottom=word.bottom)
            )
    return segments


def _continues(segment: Segment, word: Word) -> bool:
    previous = segment.words[-1]
    height = max(min(previous.bottom - previous.top, word.bottom - word.top), 1.0)
    level = abs((previous.top + previous.bottom) - (word.top + word.bottom)) / 2 < 0.35 * height
    gap = word.left - previous.right
    return level and -0.5 * height < gap < _WIDE_GAP * height


def _overlap(row: Row, segment: Segment) -> float:
    """Share of the lower of the two heights on which the row and the segment stand side by side."""
    top = median(s.top for s in row)
    bottom = median(s.bottom for s in row)
    shared = min(bottom, segment.bottom) - max(top, segment.top)
    return shared / max(min(bottom - top, segment.height), 1.0)


def _block_lines(rows: Sequence[Row], *, page: int) -> list[RawLine]:
    lines: list[RawLine] = []
    gaps = [b[0].top - a[0].top for a, b in itertools.pairwise(rows) if b[0].top > a[0].top]
    usual = median(gaps) if gaps else 0.0
    for at, row in enumerate(rows):
        if at and usual:
            step = row[0].top - rows[at - 1][0].top
            if step > 1.45 * usual and step > 1.6 * rows[at - 1][0].height:
                lines.append(RawLine(text="", page=page))
        lines.append(_row_line(row, page=page))
    return lines


def _row_line(row: Row, *, page: int) -> RawLine:
    words = [word for segment in row for word in segment.words]
    text = (
        _letter_spaced(words)
        if _is_letter_spaced(words)
        else "\t".join(_segment_text(s) for s in _joined(row))
    )
    letters = sum(len(word.text) for word in words)
    bold = sum(len(word.text) for word in words if word.bold)
    return RawLine(
        text=text,
        page=page,
        box=(
            round(row[0].left, 1),
            round(min(s.top for s in row), 1),
            round(max(s.right for s in row), 1),
            round(max(s.bottom for s in row), 1),
        ),
        size=round(max((word.size for word in words), default=0.0), 1),
        bold=bold > 0.6 * letters,
    )


def _joined(row: Row) -> Row:
    """Neighbours without a wide gap become one segment again (content order had parted them)."""
    joined: Row = []
    for segment in row:
        last = joined[-1] if joined else None
        if last is not None and segment.left - last.right < _WIDE_GAP * min(last.height, segment.height):
            joined[-1] = Segment(
                words=[*last.words, *segment.words],
                left=last.left,
                top=min(last.top, segment.top),
                right=max(last.right, segment.right),
                bottom=max(last.bottom, segment.bottom),
            )
        else:
            joined.append(segment)
    return joined


def _segment_text(segment: Segment) -> str:
    words = segment.words
    if _is_letter_spaced(words):
        return _letter_spaced(words)
    parts: list[str] = []
    for at, word in enumerate(words):
        if at and _spaced(words[at - 1], word):
            parts.append(" ")
        parts.append(word.text)
    return "".join(parts)


def _spaced(previous: Word, word: Word) -> bool:
    """Whether a space belongs between two words; Chinese text has none unless the gap shows one."""
    gap = word.left - previous.right
    height = max(word.bottom - word.top, 1.0)
    if _is_han(previous.text[-1]) and _is_han(word.text[0]):
        return gap > 0.3 * height
    return gap > 0.08 * height or word.index > previous.index + len(previous.text)


def _is_han(char: str) -> bool:
    return "\u3000" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef"


def _is_letter_spaced(words: Sequence[Word]) -> bool:
    single = sum(1 for word in words if len(word.text) == 1 and word.text.isascii() and word.text.isalpha())
    return len(words) >= 5 and single >= 0.9 * len(words)


def _letter_spaced(words: Sequence[Word]) -> str:
    """Text set with spaces between its letters ("J O R D A N  R E Y E S") as words."""
    gaps = [b.left - a.right for a, b in itertools.pairwise(words)]
    usual = median(gaps)
    out = [words[0].text]
    for word, gap in zip(words[1:], gaps, strict=True):
        out.append((" " if gap > max(1.6 * usual, usual + 1.0) else "") + word.text)
    return "".join(out)
