"""What the readers hand to the parser: a text, and the lines it is made of.

Offsets are code points into ``Document.text``. Boxes are in PDF points with the origin in the
upper left corner of the page, so that a smaller ``top`` is higher on the page; a reader without
geometry (DOCX, HTML, RTF, text) leaves ``box`` empty.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a document may ask of us before it is refused."""

    max_bytes: int = 10 * 1024 * 1024
    max_pages: int = 30
    #: Sum of all members of a ZIP container (DOCX) once unpacked.
    max_unpacked_bytes: int = 64 * 1024 * 1024
    max_members: int = 2_000
    max_characters: int = 300_000


class RawLine(msgspec.Struct, kw_only=True):
    """A line as a reader found it; an empty ``text`` is a gap between paragraphs."""

    text: str
    page: int = 1
    box: tuple[float, float, float, float] | None = None
    size: float = 0.0
    bold: bool = False
    heading: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``Document.text``.

    Attributes:
        text: what the line says, never with a line break.
        start: offset of its first code point in the document's text.
        page: number of the page, from 1.
        box: left, top, right, bottom in points, where the format has geometry.
        size: font size in points, 0 where unknown.
        bold: most of the line is set in a bold face.
        heading: the format itself marks the line as a heading (h1, "Heading 1").
    """

    text: str
    start: int
    page: int = 1
    box: tuple[float, float, float, float] | None = None
    size: float = 0.0
    bold: bool = False
    heading: bool = False

    @property
    def end(self) -> int:
        """Offset just past the line's last code point."""
        return self.start + len(self.text)


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document's text with its lines in reading order.

    Attributes:
        text: all lines joined by line breaks.
        lines: the lines, blank ones included, in the order of ``text``.
        pages: how many pages the file has; 1 where the format has no pages.
        media_type: what the bytes turned out to be.
        links: targets of hyperlinks, in order, without doubles.
        warnings: what a person should know about the reading, in words.
    """

    text: str
    lines: list[Line]
    pages: int
    media_type: str
    links: list[str] = []
    warnings: list[str] = []
