"""Running heads and feet: what repeats at the edge of the pages is not part of the résumé.

Pure. Kept on the first page where it stands at the top (there it is the letter head), dropped elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter

from looma_engines.resume.documents.model import RawLine

# No page has a number of four digits: those are years, and "2014 - 2016" at an edge is the date of a job.
_DIGITS = re.compile(r"(?<!\d)\d{1,3}(?!\d)|[〇一二三四五六七八九十]+(?=页)")
_PAGE_NUMBER = re.compile(
    r"(?:page|p\.|第)?\s*#\s*(?:页|(?:of|/|共|-)\s*#\s*页?)?|#\s*[|/]\s*(?:page|#)|-\s*#\s*-", re.IGNORECASE
)
_EDGE_LINES = 2


def drop_furniture(pages: list[list[RawLine]]) -> list[list[RawLine]]:
    """``pages`` without the lines that repeat at their edges, and without bare page numbers.

    | line                                            | page 1      | other pages |
    | ----------------------------------------------- | ----------- | ----------- |
    | among the first or last two, the same elsewhere  | top kept    | dropped     |
    | a page number alone ("2", "Page 2 of 3", 第2页)   | dropped     | dropped     |
    """
    counts: Counter[str] = Counter()
    for page in pages:
        counts.update({_mask(page[at].text) for at in _edges(page)})
    return [_kept(page, counts=counts, first=number == 0) for number, page in enumerate(pages)]


def _kept(page: list[RawLine], *, counts: Counter[str], first: bool) -> list[RawLine]:
    dropped: set[int] = set()
    filled = [at for at, line in enumerate(page) if line.text]
    for at in _edges(page):
        mask = _mask(page[at].text)
        # A one-page résumé has no page number; its lone number at the bottom is still one, at the top it is not.
        number = bool(_PAGE_NUMBER.fullmatch(mask)) and len(page[at].text) <= 20 and at != filled[0]
        repeated = counts[mask] > 1 and len(mask) > 3
        at_top = at in filled[:_EDGE_LINES]
        if number or (repeated and not (first and at_top)):
            dropped.add(at)
    return [line for at, line in enumerate(page) if at not in dropped]


def _edges(page: list[RawLine]) -> list[int]:
    """Positions of the first and last filled lines of a page."""
    filled = [at for at, line in enumerate(page) if line.text]
    return sorted({*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:]})


def _mask(text: str) -> str:
    return _DIGITS.sub("#", text.strip().lower())
