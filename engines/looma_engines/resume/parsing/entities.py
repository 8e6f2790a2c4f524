"""Named spans of the whole text, from what the other components found and from rules of their own.

``collect`` gathers, ``resolve`` drops overlaps. Chinese running text ("历任某公司董事、总经理") has rules of its
own in ``narrative``; English text has titles by a spaCy Matcher-like pattern over our list of heads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from looma_core.api.resume import Entity
from looma_engines.resume.parsing import gazetteers
from looma_engines.resume.parsing.context import Context, Found
from looma_engines.resume.parsing.dates import find_dates
from looma_engines.resume.parsing.degrees import find_degree
from looma_engines.resume.parsing.narrative import chinese_entities

_MAX_ENTITIES: Final = 5_000


def collect(context: Context) -> list[Found]:
    """Everything that any rule takes for an entity, overlaps included."""
    found = list(context.found)
    found += [Found(skill.start, skill.end, "SKILL", 6, 0.8) for skill in context.skills]
    found += [Found(date.start, date.end, "DATE", 3, 0.95) for date in find_dates(context.folded)]
    if context.language == "zh":
        found += chinese_entities(context.folded)
    else:
        found += _english(context)
    return found


def resolve(found: Iterable[Found], text: str) -> list[Entity]:
    """Entities without overlaps: the surer rule wins, then the longer span."""
    kept: list[Found] = []
    taken: list[tuple[int, int]] = []
    for item in sorted(found, key=lambda f: (f.source, -(f.end - f.start), f.start)):
        if item.end <= item.start or any(
            low < item.end and item.start < high for low, high in _near(taken, item)
        ):
            continue
        kept.append(item)
        taken.append((item.start, item.end))
    return [
        Entity(
            start=item.start,
            end=item.end,
            label=item.label,
            text=text[item.start : item.end],
            score=item.score,
        )
        for item in sorted(kept)[:_MAX_ENTITIES]
    ]


def _near(taken: Sequence[tuple[int, int]], item: Found) -> Sequence[tuple[int, int]]:
    return [span for span in taken if span[0] < item.end and item.start < span[1]]


@cache
def _nationality() -> re.Pattern[str]:
    words = gazetteers.words("places.txt", "nationalities-english")
    return re.compile(
        rf"(?:nationality|citizenship)\s*[:：]\s*({gazetteers.alternation(words)}|[A-Z][a-z]+)", re.IGNORECASE
    )


@cache
def _title_pattern() -> re.Pattern[str]:
    heads = [
        w for w in gazetteers.words("titles.txt", "english-heads") if len(w) > 3 and w not in _COMMON_HEADS
    ]
    modifiers = gazetteers.words("titles.txt", "english-modifiers")
    head = gazetteers.alternation([w.capitalize() for w in heads])
    before = rf"(?:(?:{gazetteers.alternation([m for m in modifiers if m[0].isalpha()])})[ /-]+){{0,4}}"
    return re.compile(
        rf"(?<![\w-]){before}{head}(?![\w-])|"
        rf"(?<![\w-])(?i:{before}(?<=[ /-]){gazetteers.alternation(heads)})(?![\w-])",
        re.IGNORECASE,
    )


_COMMON_HEADS: Final = frozenset(
    [
        "lead",
        "head",
        "member",
        "members",
        "staff",
        "crew",
        "hand",
        "agent",
        "author",
        "model",
        "host",
        "partner",
        "owner",
        "fellow",
        "judge",
        "guard",
        "operator",
        "driver",
        "assistant",
        "associate",
        "keeper",
        "master",
        "contributor",
        "volunteer",
        "scholar",
        "mentor",
        "chair",
        "server",
        "handler",
        "helper",
        "major",
        "principal",
        "builder",
        "reporter",
        "actor",
    ]
)


def _english(context: Context) -> Iterable[Found]:
    for match in _nationality().finditer(context.folded):
        yield Found(match.start(1), match.end(1), "CONT", 1, 0.9)
    for match in re.finditer(
        r"(?:ethnicity|race)\s*[:：]\s*([A-Za-z][A-Za-z -]{2,30})", context.folded, re.IGNORECASE
    ):
        yield Found(match.start(1), match.end(1), "RACE", 1, 0.8)
    for section in context.of("education"):
        for line in section.lines:
            degree = find_degree(line.folded)
            if degree:
                yield Found(line.start + degree[0], line.start + degree[1], "EDU", 4, 0.8)
    for match in _title_pattern().finditer(context.folded):
        if match.group()[:1].isupper() and " " in match.group():
            yield Found(match.start(), match.end(), "TITLE", 7, 0.6)
