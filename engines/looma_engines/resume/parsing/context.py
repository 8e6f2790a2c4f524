"""What the components of the pipeline share: lines, sections and what was found so far.

``Context`` is built once per document and kept in ``Doc.user_data["context"]``. A ``Cell`` is a piece of
a line with its offsets, so that whatever is taken out of it can still be marked in the text.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from looma_core.api.person import Language
from looma_core.api.resume import Contact, Education, EntityLabel, Experience, SkillMention
from looma_engines.resume.documents import Document, Line
from looma_engines.resume.documents.cleaning import fold
from looma_engines.resume.parsing.dates import DateSpan

SectionKind = Literal[
    "header", "contact", "summary", "experience", "education", "skills", "projects", "certifications", "languages",
    "awards", "publications", "volunteer", "activities", "interests", "references", "courses", "other",
]  # fmt: skip

_BULLET: Final = re.compile(r"^\s*(?:[•*]|[-+](?=\s)|(?:\(?\d{1,2}[.)、]|[(][a-z\d][)])(?!\d))\s*")
_PARTS: Final = re.compile(r"\t|\s{2,}|\s+\|\s*|\s*\|\s+|\|(?=\S)|\s+•\s+|•")


class Cell(msgspec.Struct, frozen=True):
    """``Document.text[start:end]``, with its text as written and folded."""

    start: int
    end: int
    text: str
    folded: str


class ParsedLine(msgspec.Struct, kw_only=True):
    """A line of the document with what the components need to know about it."""

    line: Line
    number: int
    folded: str
    bullet: bool
    dates: list[DateSpan] = []

    @property
    def text(self) -> str:
        """The line as written."""
        return self.line.text

    @property
    def start(self) -> int:
        """Offset of the line in the document."""
        return self.line.start

    @property
    def blank(self) -> bool:
        """Whether the line only parts paragraphs."""
        return not self.line.text.strip()


class Section(msgspec.Struct, kw_only=True):
    """Lines under one heading; ``heading`` is None for what stands above the first one."""

    kind: SectionKind
    heading: ParsedLine | None
    lines: list[ParsedLine]


class Found(msgspec.Struct, frozen=True, order=True):
    """An entity by offsets; ``source`` orders rules that disagree (smaller wins)."""

    start: int
    end: int
    label: EntityLabel
    source: int = 5
    score: float = 0.9


class Context(msgspec.Struct, kw_only=True):
    """A document on its way through the pipeline."""

    document: Document
    language: Language
    text: str
    folded: str
    lines: list[ParsedLine]
    sections: list[Section] = []
    contact: Contact = msgspec.field(default_factory=Contact)
    headline: str | None = None
    summary: str | None = None
    experience: list[Experience] = []
    education: list[Education] = []
    skills: list[SkillMention] = []
    languages: list[str] = []
    certifications: list[str] = []
    projects: list[str] = []
    found: list[Found] = []

    def of(self, *kinds: SectionKind) -> list[Section]:
        """Sections of these kinds, in the order of the text."""
        return [section for section in self.sections if section.kind in kinds]

    def note(self, cell: Cell | None, label: EntityLabel, *, source: int = 1, score: float = 0.9) -> None:
        """Remember ``cell`` as an entity."""
        if cell is not None and cell.end > cell.start:
            self.found.append(Found(cell.start, cell.end, label, source, score))

    def cell(self, start: int, end: int) -> Cell:
        """The cell of these offsets without white space and loose punctuation at its edges."""
        return trimmed(self.text, self.folded, start, end)


def build_context(document: Document, *, language: Language) -> Context:
    """The context of a document before any component ran."""
    folded = fold(document.text)
    lines = [
        ParsedLine(
            line=line,
            number=number,
            folded=folded[line.start : line.end],
            bullet=bool(_BULLET.match(folded[line.start : line.end])),
        )
        for number, line in enumerate(document.lines)
    ]
    return Context(document=document, language=language, text=document.text, folded=folded, lines=lines)


_EDGES: Final = " \t,;:|•-~/，；：、。*>\"'“”=_"


def trimmed(text: str, folded: str, start: int, end: int) -> Cell:
    """``text[start:end]`` without separators at its edges, and without a bracket that has no partner."""
    while start < end and folded[start] in _EDGES:
        start += 1
    while start < end and folded[end - 1] in _EDGES:
        end -= 1
    piece = folded[start:end]
    if piece.endswith((")", "]", "】")) and not any(char in piece for char in "([【"):
        return trimmed(text, folded, start, end - 1)
    if piece.startswith(("(", "[", "【")) and not any(char in piece for char in ")]】"):
        return trimmed(text, folded, start + 1, end)
    if piece.endswith(("(", "[", "【")):
        return trimmed(text, folded, start, end - 1)
    if len(piece) > 1 and piece[0] == "(" and piece[-1] == ")" and piece.count("(") == 1:
        return trimmed(text, folded, start + 1, end - 1)
    return Cell(start, end, text[start:end], piece)


def bullet_width(folded: str) -> int:
    """Length of the bullet or number in front of a line, 0 without one."""
    found = _BULLET.match(folded)
    return found.end() if found else 0


def split_cells(context: Context, start: int, end: int) -> list[Cell]:
    """The pieces between tabs, wide gaps, bars, dots and slashes, empty ones left out."""
    cells: list[Cell] = []
    position = start
    for found in _PARTS.finditer(context.folded, start, end):
        cells.append(context.cell(position, found.start()))
        position = found.end()
    cells.append(context.cell(position, end))
    return [cell for cell in cells if cell.text]


def holes(start: int, end: int, taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of ``start``..``end`` without the taken ranges."""
    left: list[tuple[int, int]] = []
    position = start
    for low, high in sorted(taken):
        if low > position:
            left.append((position, min(low, end)))
        position = max(position, high)
    if position < end:
        left.append((position, end))
    return left
