"""Degrees in English text, by our own list of how they are written. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from looma_engines.resume.parsing import gazetteers


@cache
def _degree_pattern() -> re.Pattern[str]:
    spellings = gazetteers.alternation(list(gazetteers.degrees()))
    return re.compile(rf"(?<![\w.])(?:{spellings})(?![\w])", re.IGNORECASE)


_UPPER_ONLY: Final = frozenset(
    ["ms", "ma", "me", "be", "ba", "bs", "as", "a.s", "aa", "ed", "bse", "hnd", "ged", "mca", "bca"]
)


def find_degree(folded: str) -> tuple[int, int, str] | None:
    """The first degree in ``folded``: its offsets and its name as the list says it.

    Two-letter forms count only in capitals ("MS", "B.E."), since "as" and "me" are words.
    """
    for found in _degree_pattern().finditer(folded):
        word = found.group()
        key = word.lower()
        if key in _UPPER_ONLY and not word.replace(".", "").isupper():
            continue
        if key in (
            "minor",
            "certificate",
            "intermediate",
            "master",
            "associate",
            "associates",
            "bachelor",
            "diploma",
        ) and not _degree_context(folded, found):
            continue
        end = found.end()
        if folded[end : end + 1] == "." and "." in word:
            end += 1
        return found.start(), end, gazetteers.degrees()[key]
    return None


def _degree_context(folded: str, found: re.Match[str]) -> bool:
    if found.group().lower() == "minor":
        return False
    after = folded[found.end() :]
    # "Scrum Master, Acme" is a title.
    if re.search(r"[A-Za-z] $", folded[: found.start()]):
        return False
    return found.start() < 3 or bool(
        re.match(r"(?:'s)?\s*(?:,|in|of|degree|$|-|program|\()", after, re.IGNORECASE)
    )
