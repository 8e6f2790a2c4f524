"""Summary, languages, certifications and projects. Writes those fields of ``Context``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from looma_engines.resume.parsing import gazetteers, recognise
from looma_engines.resume.parsing.context import Context, Section, bullet_width
from looma_engines.resume.parsing.dates import find_dates
from looma_engines.resume.parsing.entries import body_text, is_prose
from looma_engines.resume.parsing.sections import heading_kind

_LIST: Final = re.compile(r"[,;|•\t/、，；]|\s{2,}")
_CHINESE_CERTIFICATE: Final = re.compile(
    r"(?:CET-?[46]|CET[46]|大学英语[四六]级|英语[四六]级|英语专业[四八]级|TEM-?[48]|"
    r"普通话[一二三]级[甲乙]等|计算机[一二三四]级|"
    r"[\u4e00-\u9fff]{2,14}(?:资格证书|资格证|证书|从业资格|职称))"
)
#: How a sentence leads to a certificate's name.
_HELD: Final = re.compile(r"^.*?(?:取得|获得|考取|持有|拥有|具有|具备|通过)(?:了|过)?")
_ENGLISH_CERTIFICATE: Final = re.compile(
    r"\b(?:Red\sHat\s|[A-Z][A-Za-z]+\s)?(?:Certified|Certification)\s(?:[A-Z][\w -]{1,50}?\s)?"
    r"(?:Architect|Associate|Professional|Engineer|Developer|Practitioner|Administrator|Master|"
    r"Auditor|Accountant|Owner)\b"
)


@cache
def _language_pattern() -> re.Pattern[str]:
    english = gazetteers.alternation(gazetteers.words("places.txt", "languages-english"))
    chinese = gazetteers.alternation(gazetteers.words("places.txt", "languages-chinese"))
    # A level in Latin letters may follow a Chinese word at once ("日语N2").
    return re.compile(rf"(?<![A-Za-z]){english}(?![A-Za-z])|{chinese}")


def find_extras(context: Context) -> None:
    """Fill ``summary``, ``languages``, ``certifications`` and ``projects``."""
    context.summary = _summary(context)
    context.languages = list(dict.fromkeys(_languages(context)))[:20]
    context.certifications = list(dict.fromkeys(_certifications(context)))[:50]
    context.projects = list(
        dict.fromkeys(name for section in context.of("projects") for name in _projects(context, section))
    )[:50]


def _summary(context: Context) -> str | None:
    for section in context.of("summary"):
        text = body_text([line for line in section.lines if not line.blank])
        if text:
            return text[:20_000]
    return None


def _languages(context: Context) -> Iterator[str]:
    for section in context.of("languages"):
        for line in section.lines:
            yield from _language_pattern().findall(line.folded)
    for line in context.lines:
        label = re.match(r"^\W*(?:languages?|语言(?:能力)?|外语)\s*[:：]\s*", line.folded, re.IGNORECASE)
        if label:
            yield from _language_pattern().findall(line.folded, label.end())


def _certifications(context: Context) -> Iterator[str]:
    for section in context.of("certifications"):
        for line in section.lines:
            text = _without_dates(line.folded, line.text)
            label = re.match(r"([A-Za-z &]{3,30}|[\u4e00-\u9fff]{2,6})\s*[:：]\s*", text)
            kind = heading_kind(label.group(1)) if label else None
            if label and kind == "certifications":
                text = text[label.end() :]
            elif kind is not None:
                continue
            if 2 < len(text) <= 160 and any(char.isalpha() for char in text):
                yield text
    if context.language == "zh":
        for found in _CHINESE_CERTIFICATE.finditer(context.folded):
            yield _HELD.sub("", found.group())
    elif not context.of("certifications"):
        for found in _ENGLISH_CERTIFICATE.finditer(context.folded):
            yield found.group()


def _without_dates(folded: str, text: str) -> str:
    start = bullet_width(folded)
    out = text[start:]
    for date in reversed([d for d in find_dates(folded) if d.start >= start]):
        out = out[: date.start - start] + out[date.end - start :]
    return re.sub(r"\s+", " ", re.sub(r"[(\[（]\s*[)\]）]", "", out)).strip(" \t,|-–—·•:;，。；、")


def _projects(context: Context, section: Section) -> Iterator[str]:
    """Names of projects: the first line of each group that is neither a bullet nor a sentence."""
    filled = [line for line in section.lines if line.folded.strip()]
    fresh = True
    for at, line in enumerate(filled):
        if line.bullet or is_prose(line, filled, at):
            fresh = True
            if line.bullet and all(other.bullet for other in filled):
                yield _title(line.text[bullet_width(line.folded) :])
            continue
        gap = at > 0 and any(context.lines[n].blank for n in range(filled[at - 1].number + 1, line.number))
        if fresh or gap:
            name = re.sub(
                r"^(?:项目名称|项目|project(?: name)?)\s*[:：]\s*",
                "",
                _without_dates(line.folded, line.text.split("\t")[0]),
                flags=re.IGNORECASE,
            )
            if 1 < len(name) <= 140 and not recognise.is_place(name):
                yield name
                fresh = False


def _title(text: str) -> str:
    head = re.split(r"\s[-–—:]\s|:\s|：", text.strip(), maxsplit=1)[0]
    return head[:140]
