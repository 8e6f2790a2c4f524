"""Whether a piece of a line is a place, and where one stands in it. Pure; the lists are in ``data``."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from looma_engines.resume.parsing import gazetteers

HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_WORKPLACE: Final = r"(?:remote|hybrid|on-?site|work from home|wfh|worldwide|远程|居家办公)"
_NAME: Final = (
    r"(?:St\. |Ft\. |Mt\. )?[A-ZÀ-Þ][\wÀ-ÿ'-]*(?:[ -](?:[A-ZÀ-Þ][\wÀ-ÿ'-]*|de|la|of|upon|am|del)){0,2}"
)
_ZIP: Final = (
    r"(?:,?\s+(?:\d{5}(?:-\d{4})?|[A-Z]\d[A-Z]\s?\d[A-Z]\d|[A-Z]{1,2}\d{1,2}[A-Z]?\s?\d[A-Z]{2}|\d{6}))?"
)
_STREET: Final = re.compile(
    r"\b(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|way|place|pl|apt|"
    r"suite|floor|unit|highway|square)\b\.?",
    re.IGNORECASE,
)


@cache
def _area() -> str:
    states = gazetteers.alternation(gazetteers.words("places.txt", "us-states"))
    regions = gazetteers.alternation(
        gazetteers.words("places.txt", "regions-english")
        + gazetteers.words("places.txt", "countries-english")
    )
    return rf"(?:{states}|(?i:{regions})|S\.?\s?Korea)"


@cache
def _cities() -> str:
    return gazetteers.alternation(gazetteers.words("places.txt", "cities-english"))


@cache
def _place() -> re.Pattern[str]:
    area = _area()
    return re.compile(
        rf"(?<!\w)(?:{_NAME},\s*{_NAME},\s*{area}{_ZIP}|{_NAME},\s*{area}{_ZIP}(?:,\s*{area})?"
        rf"|(?i:{_cities()})(?:,\s*{area}{_ZIP}(?:,\s*{area})?)?|(?i:{_WORKPLACE}))(?!\w)"
    )


@cache
def _country() -> re.Pattern[str]:
    words = gazetteers.words("places.txt", "countries-english") + gazetteers.words(
        "places.txt", "regions-english"
    )
    return re.compile(gazetteers.alternation([word for word in words if len(word) > 1]), re.IGNORECASE)


@cache
def _known_city() -> re.Pattern[str]:
    return re.compile(_cities(), re.IGNORECASE)


@cache
def _company_word() -> re.Pattern[str]:
    words = [
        word
        for word in gazetteers.words("places.txt", "company-suffixes-english")
        if word not in ("as", "sa", "ag", "co", "co.", "ab", "oy", "bv", "nv")
    ]
    words += ["of", "university", "univ"]
    return re.compile(rf"(?<!\w)(?:{gazetteers.alternation(words)})(?!\w)", re.IGNORECASE)


@cache
def chinese_place() -> re.Pattern[str]:
    """Province, city and district, each of them optional."""
    provinces = gazetteers.alternation(gazetteers.words("places.txt", "provinces-chinese"))
    cities = gazetteers.alternation(gazetteers.words("places.txt", "cities-chinese"))
    return re.compile(
        rf"(?:中国)?(?:{provinces}(?:省|市|自治区|壮族自治区|回族自治区|维吾尔自治区|特别行政区)?[-•·/ ]?)?"
        rf"(?:{cities}(?:市|地区|州)?[-•·/ ]?)?(?:[\u4e00-\u9fff]{{1,4}}(?:区|县|新区|开发区))?"
    )


def is_place(folded: str) -> bool:
    """Whether all of ``folded`` names a place of work: a town, a region, a country, or "Remote".

    | text                      | answer |
    | ------------------------- | ------ |
    | Austin, TX                | yes    |
    | Palo Alto, CA & Ithaca, NY | yes    |
    | Northwind Bank, India     | no     |
    | 上海市浦东新区               | yes    |
    """
    text = folded.strip(" .,;()")
    if not 2 <= len(text) <= 60:
        return False
    if HAN.search(text):
        return bool(chinese_place().fullmatch(text)) or bool(re.fullmatch(_WORKPLACE, text))
    pieces = [
        piece.strip()
        for piece in re.split(r"\s+(?:&|and|/|or)\s+|\s*/\s*|\s*\(|\)\s*", text)
        if piece.strip()
    ]
    return bool(pieces) and all(_is_one_place(piece) for piece in pieces)


def _is_one_place(piece: str) -> bool:
    if _country().fullmatch(piece) or _known_city().fullmatch(piece):
        return True
    return bool(_place().fullmatch(piece)) and not _company_word().search(piece.split(",", maxsplit=1)[0])


def trailing_place(folded: str) -> int | None:
    """Where a place at the end of ``folded`` begins, behind a separator or a known town; None without one.

    | text                                    | the place      |
    | --------------------------------------- | -------------- |
    | Initech Robotics, Denver, CO             | Denver, CO     |
    | Globex Corporation Austin, TX            | Austin, TX     |
    | Northwind Bank, India                    | India          |
    | Northwind Technology. San Jose, California | San Jose, California |
    """
    text = folded.rstrip(" .,;)")
    if HAN.search(text):
        return None
    # The shortest end that is a place for sure, then one piece more if that is a town.
    starts = [found.end() for found in re.finditer(r"(?:[,.;|(]|\s-|\s•)\s+|\(", text) if found.start() > 1]
    best: int | None = None
    for at in reversed(starts):
        rest = text[at:]
        if is_place(rest):
            if best is None or _extends(rest, text[best:]):
                best = at
        elif best is not None and rest.count(",") > 2:
            break
    if best is not None:
        return best
    known = re.search(rf"\s({_cities()},\s*{_area()}(?:,\s*{_area()})?)$", text)
    return known.start(1) if known else None


def _extends(longer: str, shorter: str) -> bool:
    """Whether the piece before a place is its town and not a company: known, or before a state's code."""
    town = longer[: len(longer) - len(shorter)].rstrip(", ")
    if _known_city().fullmatch(town) or _country().fullmatch(town):
        return True
    states = gazetteers.words("places.txt", "us-states")
    return shorter.split(maxsplit=1)[0].strip(",") in states or shorter in gazetteers.words(
        "places.txt", "regions-english"
    )


def find_place(folded: str) -> tuple[int, int] | None:
    """The first place in ``folded`` that names a town with its region, or a Chinese town; no street."""
    if HAN.search(folded):
        for found in chinese_place().finditer(folded):
            if len(found.group().strip("•·-/ ")) >= 2:
                return found.span()
        return None
    best: tuple[int, int] | None = None
    for found in _place().finditer(folded):
        start, end = found.span()
        head, comma, rest = found.group().partition(",")
        # "12 Example Way, Springfield, IL" begins with a street.
        if comma and rest.count(",") and (_STREET.search(head) or re.search(r"\d\s*$", folded[:start])):
            start += len(head) + 1 + (len(rest) - len(rest.lstrip()))
        if best is None or ("," in folded[start:end] and "," not in folded[best[0] : best[1]]):
            best = (start, end)
    return best
