"""The person's own name, in Chinese and English. Pure.

``find_name`` looks where a résumé has it: behind a label, else among the first lines, where size,
capitals and a known surname speak for a line and words of headings and titles against it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from looma_engines.resume.parsing import gazetteers, recognise
from looma_engines.resume.parsing.context import Cell, Context, ParsedLine
from looma_engines.resume.parsing.sections import heading_kind

_CHINESE_LABEL: Final = re.compile(
    r"(?:姓\s*名|名\s*字)\s*[:：]?\s*([\u4e00-\u9fff•·]{2,8}|[A-Za-z][A-Za-z .'-]{2,40})"
)
_ENGLISH_LABEL: Final = re.compile(
    r"^\s*(?:full\s+)?name\s*[:：]\s*([^\t|,:]{3,50}?)\s*(?:$|[\t|,])", re.IGNORECASE
)
_DOCUMENT_WORDS: Final = re.compile(
    r"\b(?:r[eé]sum[eé]|curriculum|vitae|cv|page|sample|template|functional|updated|confidential|"
    r"profile|portfolio)\b|简历|求职",
    re.IGNORECASE,
)
_NAME_WORD: Final = re.compile(
    r"[A-ZÀ-ÞŁŚŻÇĞİŞ][\wÀ-ÿąćęłńóśźżğış'.-]*|(?:de|da|di|van|von|der|den|la|le|bin|al|el|del|dos|y)"
)
_SUFFIX: Final = re.compile(
    r"[,\s]+(?:ph\.?d\.?|md|m\.d\.|mba|jr\.?|sr\.?|iii?|iv|cpa|pmp|p\.?e\.?|rn|esq\.?|cfa|m\.?s\.?)(?=$|[,\s])",
    re.IGNORECASE,
)
_CHINESE_NAME: Final = re.compile(r"[\u4e00-\u9fff]{2,4}(?:[•·][\u4e00-\u9fff]{2,6})?")
_LINES: Final = 12


def is_chinese_name(text: str) -> bool:
    """Whether ``text`` is built like a Chinese name: a known surname and one or two characters more."""
    singles, doubles = gazetteers.surnames()
    if text in gazetteers.not_names() or text[:2] in ("自我", "个人", "工作", "教育"):
        return False
    if "·" in text or "•" in text:
        return 4 <= len(text) <= 12
    if text[:2] in doubles:
        return 3 <= len(text) <= 4
    return text[:1] in singles and 2 <= len(text) <= 3


def find_name(context: Context) -> Cell | None:
    """The name of the person whose résumé it is, or None."""
    return _labelled(context) or _from_lines(context)


def _labelled(context: Context) -> Cell | None:
    for line in context.lines[:60]:
        for pattern in (_CHINESE_LABEL, _ENGLISH_LABEL):
            found = pattern.search(line.folded)
            if found:
                cell = context.cell(line.start + found.start(1), line.start + found.end(1))
                han = _CHINESE_NAME.match(cell.folded)
                if han and not is_chinese_name(cell.folded):
                    cell = _cut_chinese(context, cell) or cell
                return cell
    return None


def _cut_chinese(context: Context, cell: Cell) -> Cell | None:
    """The name at the start of a run of characters ("张伟性" of "姓名：张伟性别：男")."""
    for length in (4, 3, 2):
        if (
            is_chinese_name(cell.folded[:length])
            and cell.folded[length : length + 1] in "性年电联出民籍求现手邮男女学"
        ):
            return context.cell(cell.start, cell.start + length)
    return None


def _from_lines(context: Context) -> Cell | None:
    filled = [line for line in context.lines if not line.blank]
    top = filled[:_LINES]
    biggest = max((line.line.size for line in filled[:40]), default=0.0)
    # In a page with a sidebar the name may come after it; its size gives it away.
    large = [line for line in filled[:80] if biggest and line.line.size >= biggest - 0.3 and line not in top]
    stacked = _stacked(context, filled, biggest)
    if stacked is not None:
        return stacked
    best: tuple[float, Cell] | None = None
    for at, line in enumerate([*top, *large[:3]]):
        for cell in _candidates(context, line):
            score = _score(cell, line, at, biggest, filled)
            if score > 0 and (best is None or score > best[0]):
                best = (score, cell)
    return best[1] if best else None


def _stacked(context: Context, filled: Sequence[ParsedLine], biggest: float) -> Cell | None:
    """A name set on two lines of one word each, in the largest size of the page."""
    for line, below in pairwise(filled[:_LINES]):
        alone = all(
            len(item.text.split()) == 1 and _NAME_WORD.fullmatch(item.folded) for item in (line, below)
        )
        largest = biggest > 12 and all(item.line.size >= biggest - 0.3 for item in (line, below))
        if alone and largest and _is_western_name(f"{line.folded} {below.folded}"):
            return context.cell(line.start, below.line.end)
    return None


def _candidates(context: Context, line: ParsedLine) -> list[Cell]:
    cells: list[Cell] = []
    position = 0
    for found in re.finditer(
        r"\t|\s{2,}|\s*[|•,，:：(（]\s*|\s+-\s+|\s/\s|简历|的个人|\d|@", line.folded + "\t"
    ):
        cell = context.cell(line.start + position, line.start + min(found.start(), len(line.folded)))
        if cell.text:
            cells.append(cell)
        position = found.end()
    whole = context.cell(line.start, line.start + len(line.folded))
    suffix = _SUFFIX.search(whole.folded)
    if suffix and not any(char in whole.folded for char in "|\t@"):
        cells.append(context.cell(whole.start, whole.start + suffix.start()))
    if _is_one_chinese_name(whole.folded):
        cells.insert(0, whole)
    return cells[:6]


def _is_one_chinese_name(folded: str) -> bool:
    """Whether spaces or a dot in the line are within one name: "张  伟", "欧阳 锋", "阿依古丽·买买提"."""
    first, *rest = re.split(r"\s+", folded)
    if not rest:
        return "•" in folded and _CHINESE_NAME.fullmatch(folded) is not None
    surname = len(first) == 1 or first in gazetteers.surnames()[1]
    return surname and len(rest) <= 2 and all(len(part) == 1 for part in rest)


def _score(cell: Cell, line: ParsedLine, at: int, biggest: float, filled: Sequence[ParsedLine]) -> float:
    """How much speaks for the cell being the name; 0 if something forbids it."""
    text = cell.folded
    if _DOCUMENT_WORDS.search(text) or line.bullet or heading_kind(text) is not None:
        return 0.0
    if recognise.HAN.search(text):
        plain = text.replace(" ", "")
        if not _CHINESE_NAME.fullmatch(plain) or not is_chinese_name(plain):
            return 0.0
        if (
            recognise.title_strength(plain)
            or recognise.is_place(plain)
            or recognise.organisation_strength(plain)
        ):
            return 0.0
    elif not _is_western_name(text):
        return 0.0
    score = 10.0 - 0.6 * at
    if (
        biggest
        and line.line.size >= biggest - 0.3
        and any(other.line.size < biggest - 0.5 for other in filled)
    ):
        score += 6.0
    score += 1.5 if line.line.bold or line.line.heading else 0.0
    score += 2.0 if cell.text == line.text.strip() else 0.0
    score += 1.0 if at == 0 else 0.0
    return score


def _is_western_name(text: str) -> bool:
    """Two to five words that begin like names, none of them a word of titles, schools or companies."""
    words = text.replace(",", " ").split()
    if (
        not 1 < len(words) <= 5
        or len(text) > 45
        or any(char.isdigit() or char in "@/:;!?&+#%=" for char in text)
    ):
        return False
    if not all(_NAME_WORD.fullmatch(word.strip('"()')) for word in words):
        return False
    if (
        recognise.title_strength(text)
        or recognise.organisation_strength(text) == 2
        or recognise.is_place(text)
    ):
        return False
    if recognise.organisation_strength(text) and not text.isupper():
        return False
    return not _is_skill_like(words)


def _is_skill_like(words: Sequence[str]) -> bool:
    common = {
        "and",
        "the",
        "of",
        "for",
        "with",
        "full",
        "stack",
        "machine",
        "learning",
        "data",
        "science",
        "software",
        "work",
    }
    return any(word.lower() in common for word in words)
