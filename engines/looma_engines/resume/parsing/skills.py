"""Skills by a spaCy PhraseMatcher over our own list, each with its place in the text.

Guarded spellings ("Go", "R", "Make") are taken only where skills are listed: in a section of skills, or
beside other skills between commas. What a section of skills lists and the dictionary lacks is kept too,
with an id of the form ``unlisted:NAME``, since the person wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from spacy.language import Language as Pipeline
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

from looma_core.api.resume import SkillMention
from looma_engines.resume.parsing import gazetteers
from looma_engines.resume.parsing.context import Context, Section
from looma_engines.resume.parsing.gazetteers import Skill

_WORDLIKE: Final = re.compile(r"[A-Za-z0-9_]")
_LIST_SPLIT: Final = re.compile(r"[,;|•\t/、，；。\n]|\s{2,}|\s-\s|(?<=[一-鿿]) (?=[一-鿿])")
_LABEL: Final = re.compile(r"^[^:]{2,40}:\s*")
_LEVELS: Final = re.compile(
    r"\b(?:proficient|fluent|familiar|experienced?|advanced|intermediate|basic|beginner|expert|native|conversational|"
    r"knowledge|working|strong|excellent|good|years?|yrs|including|learning|proficiency|etc|gpa|"
    r"others?|software|tools?)\b|熟悉|精通|掌握|了解|熟练|具备|能够|良好|使用|负责|经验|能力|等",
    re.IGNORECASE,
)
_TECHNICAL: Final = frozenset(
    (
        "programming-language", "frontend", "backend", "mobile", "database", "data-engineering",
        "data-science", "cloud", "devops", "systems", "software-engineering",
    )
)  # fmt: skip
_SENTENCE: Final = re.compile(
    r"[.!?。！？]\s|[.!?。！？]$|\b(?:the|with|and|for|of|to|in|is|was|using|who|that)\b", re.IGNORECASE
)


class SkillFinder:
    """Finds the skills of the list in a ``Doc``. Built once; its answers do not depend on earlier ones."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._free = PhraseMatcher(pipeline.vocab, attr="LOWER")
        self._guarded = PhraseMatcher(pipeline.vocab, attr="ORTH")
        self._skills: dict[str, Skill] = {skill.id: skill for skill in gazetteers.skills()}
        for skill in self._skills.values():
            if skill.spellings:
                self._free.add(skill.id, [pipeline.make_doc(form) for form in skill.spellings])
            if skill.guarded:
                self._guarded.add(skill.id, [pipeline.make_doc(form) for form in skill.guarded])

    def mentions(self, doc: Doc, *, listed: list[tuple[int, int]]) -> list[SkillMention]:
        """Skills by place in the text, without overlaps (the longer wins).

        Args:
            doc: the text, tokenized by the pipeline that this finder was built with.
            listed: offsets of the parts that list skills, where guarded spellings count too.
        """
        text = doc.text
        hits: list[tuple[int, int, str]] = []
        for key, first, last in self._free(doc):
            span = doc[first:last]
            if _stands_alone(text, span.start_char, span.end_char):
                hits.append((span.start_char, span.end_char, doc.vocab.strings[key]))
        free = sorted(hits)
        for key, first, last in self._guarded(doc):
            span = doc[first:last]
            inside = any(low <= span.start_char < high for low, high in listed)
            if (inside or _beside_skill(text, span.start_char, span.end_char, free)) and _stands_alone(
                text, span.start_char, span.end_char
            ):
                hits.append((span.start_char, span.end_char, doc.vocab.strings[key]))
        taken = -1
        out: list[SkillMention] = []
        for start, end, name in sorted(hits, key=lambda hit: (hit[0], -hit[1])):
            if start < taken:
                continue
            taken = end
            skill = self._skills[name]
            out.append(SkillMention(name=skill.name, id=name, category=skill.category, start=start, end=end))
        return out


def listed_ranges(context: Context) -> list[tuple[int, int]]:
    """Offsets of the sections that list skills."""
    return [
        (section.lines[0].start, section.lines[-1].line.end)
        for section in context.of("skills")
        if section.lines
    ]


def unlisted(context: Context, mentions: list[SkillMention]) -> Iterator[SkillMention]:
    """Items of the sections of skills that the list lacks: short, and between list marks."""
    taken = [(mention.start, mention.end) for mention in mentions]
    seen: set[str] = set()
    for section in context.of("skills"):
        for start, end in _items(context, section):
            cell = context.cell(start, end)
            if not _is_item(cell.folded) or any(low < cell.end and cell.start < high for low, high in taken):
                continue
            key = gazetteers.slug(cell.folded)
            if key and key not in seen and key not in _languages():
                seen.add(key)
                yield SkillMention(
                    name=cell.text, id=f"unlisted:{key}", category="unlisted", start=cell.start, end=cell.end
                )


@cache
def _languages() -> frozenset[str]:
    """Languages that people speak: they have a field of their own."""
    words = gazetteers.words("places.txt", "languages-english") + gazetteers.words(
        "places.txt", "languages-chinese"
    )
    return frozenset(gazetteers.slug(word) for word in words)


def outside_names(context: Context, mentions: list[SkillMention]) -> list[SkillMention]:
    """``mentions`` without those that are a part of a person's, company's or school's name ("Tailspin Consulting").

    A title keeps what is technical ("Java Developer"); "sales" in "Sales Manager" says nothing of its own.
    """
    names = [(f.start, f.end) for f in context.found if f.label in ("NAME", "ORG", "SCHOOL", "EMAIL", "LOC")]
    titles = [(f.start, f.end) for f in context.found if f.label == "TITLE"]
    return [
        mention
        for mention in mentions
        if not any(low <= mention.start and mention.end <= high for low, high in names)
        and (
            mention.category in _TECHNICAL
            or not any(low <= mention.start and mention.end <= high for low, high in titles)
        )
    ]


def _items(context: Context, section: Section) -> Iterator[tuple[int, int]]:
    for line in section.lines:
        folded = line.folded
        label = _LABEL.match(folded)
        position = label.end() if label else 0
        for found in _LIST_SPLIT.finditer(folded, position):
            yield line.start + position, line.start + found.start()
            position = found.end()
        yield line.start + position, line.start + len(folded)


def _is_item(folded: str) -> bool:
    """Whether a piece of a list reads like the name of a skill: one to three words, no sentence, no level."""
    if not 2 <= len(folded) <= 28 or len(folded.split()) > 3:
        return False
    if not any(char.isalpha() for char in folded) or _LEVELS.search(folded) or _SENTENCE.search(folded):
        return False
    han = sum(1 for char in folded if "\u4e00" <= char <= "\u9fff")
    if han > 8 or "(" in folded or ")" in folded or "@" in folded:
        return False
    return bool(han) or folded[0].isupper() or folded[0].isdigit() or any(char.isupper() for char in folded)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether the match is not a part of a longer Latin word or name ("Java" in "JavaFX", "C" in "C-17")."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if _WORDLIKE.match(text[start]) and (_WORDLIKE.match(before) or before in "@#"):
        return False
    if _WORDLIKE.match(text[end - 1]) and (_WORDLIKE.match(after) or after in "+#@"):
        return False
    if end - start == 1 and ((after in "&'.-" and text[end + 1 : end + 2].isalnum()) or before in "&'-."):
        return False
    # An address or a domain is no skill.
    return not (after == "." and re.match(r"\.(?:com|org|net|io|cn|edu)\b", text[end : end + 5]))


def _beside_skill(text: str, start: int, end: int, free: list[tuple[int, int, str]]) -> bool:
    """Whether a certain skill stands next to it, with only a list mark between."""
    for low, high, _ in free:
        gap = text[high:start] if high <= start else text[end:low] if low >= end else "?"
        if len(gap) <= 3 and gap.strip() in {",", "/", "、", "，", "|", "•", "·", "&", "+"}:
            return True
        if low > end + 3:
            break
    return False
