"""Whether a piece of a line is a title or an organisation (places: ``recognise_places``). Pure.

Each question is one function over folded text; the lists are in ``data``. Answers are hints with a
strength (0 none, 1 weak, 2 certain), since the same words name teams, products and towns.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from looma_engines.resume.parsing import gazetteers
from looma_engines.resume.parsing.recognise_places import HAN, find_place, is_place, trailing_place

__all__ = [
    "HAN",
    "chinese_companies",
    "chinese_titles",
    "find_place",
    "is_place",
    "organisation_strength",
    "title_strength",
    "trailing_place",
]

_WORD: Final = re.compile(r"[A-Za-zÀ-ÿ][\w.+#/'À-ÿ-]*|&")
_TITLE_END: Final = re.compile(
    r"^\s*(?:$|[,(:;|\[@-]|of\b|for\b|in\b|to\b|at\b|and\b|&|/|\+|[ivx]{1,3}\b|\d|l\d\b)", re.IGNORECASE
)
_PLAIN_COMPANY_WORDS: Final = frozenset(
    [
        "it",
        "lab",
        "labs",
        "studio",
        "center",
        "centre",
        "club",
        "school",
        "college",
        "institute",
        "university",
        "bank",
        "hospital",
        "church",
        "council",
    ]
)


@cache
def _heads() -> frozenset[str]:
    return frozenset(gazetteers.words("titles.txt", "english-heads"))


@cache
def _modifiers() -> frozenset[str]:
    return frozenset(gazetteers.words("titles.txt", "english-modifiers"))


@cache
def _company_words() -> frozenset[str]:
    return frozenset(gazetteers.words("places.txt", "company-suffixes-english"))


@cache
def chinese_titles() -> str:
    """Regular expression of what Chinese titles end with."""
    return gazetteers.alternation(gazetteers.words("titles.txt", "chinese-suffixes"))


@cache
def chinese_companies() -> str:
    """Regular expression of what Chinese organisations end with, two characters and more."""
    return gazetteers.alternation(
        [word for word in gazetteers.words("places.txt", "company-suffixes-chinese") if len(word) > 1]
    )


@cache
def _chinese_title_end() -> re.Pattern[str]:
    return re.compile(rf"{chinese_titles()}(?:[（(][^)）]{{0,12}}[)）])?$", re.IGNORECASE)


@cache
def _chinese_company_end() -> re.Pattern[str]:
    return re.compile(rf"(?:{chinese_companies()}|[厂矿店所])(?:[（(][^)）]{{0,12}}[)）])?$")


def title_strength(folded: str) -> int:
    """How surely ``folded`` is a job title.

    | text                                   | answer |
    | -------------------------------------- | ------ |
    | Senior Software Engineer                | 2      |
    | Director of Sales                       | 2      |
    | 高级Java工程师                           | 2      |
    | Led a team of engineers in the redesign | 0      |
    | Acme Engineering Ltd                    | 0      |
    """
    text = folded.strip()
    if not text or len(text) > 90:
        return 0
    if HAN.search(text):
        if len(text) > 30:
            return 0
        return 2 if _chinese_title_end().search(text) else 0
    words = list(_WORD.finditer(text))
    if not words or len(words) > 14 or text.endswith("."):
        return 0
    best = 0
    for at, found in enumerate(words[:9]):
        word = (
            found.group().lower().rstrip(".'s")
            if found.group().lower() not in _heads()
            else found.group().lower()
        )
        parts = {word, *word.split("/"), *word.split("-")}
        if not parts & _heads():
            continue
        if _TITLE_END.match(text[found.end() :]):
            # A head after lower-case words is a sentence ("worked with engineers").
            before = [w.group() for w in words[: at + 1]]
            small = sum(1 for w in before if w[0].islower() and w not in ("of", "and", "for", "&", "the"))
            sentence_case = before[0][0].isupper() and len(words) <= 4
            best = max(best, 2 if small == 0 or len(before) == small <= 4 or sentence_case else 0)
        elif at < 4 and text[:1].isupper():
            best = max(best, 1)
    if (
        best == 2
        and organisation_strength(text) == 2
        and words[-1].group().lower().rstrip(".") in _hard_suffixes()
    ):
        return 1
    return best


@cache
def _hard_suffixes() -> frozenset[str]:
    return frozenset(
        [
            "inc",
            "inc",
            "corp",
            "corporation",
            "ltd",
            "limited",
            "llc",
            "llp",
            "plc",
            "gmbh",
            "pvt",
            "pte",
            "company",
        ]
    )


def organisation_strength(folded: str) -> int:  # noqa: PLR0911 - early answers in the order a reader asks
    """How surely ``folded`` is an organisation: 2 with a legal or usual ending, 1 with such a word inside."""
    text = folded.strip()
    if not text or len(text) > 100:
        return 0
    if HAN.search(text):
        return 2 if len(text) <= 40 and _chinese_company_end().search(text) else 0
    words = [found.group().lower().rstrip(".,") for found in _WORD.finditer(text)]
    if not words or len(words) > 10:
        return 0
    if not text[0].isupper() and not text[0].isdigit():
        return 0
    last = words[-1]
    if last in _company_words() and len(words) > 1:
        return 2
    if any(word in _company_words() and (word in _PLAIN_COMPANY_WORDS or len(word) > 4) for word in words):
        return 1
    return 0
