"""DOCX by python-docx: every paragraph in document order, also those that its own iterators skip.

Résumé templates keep text in content controls, text boxes and layout tables, so the XML of the body
is walked here; python-docx opens the package, resolves styles, headers and relations.
"""

# ruff: noqa: ANN401 - lxml and python-docx objects have no types
from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import docx as python_docx
from docx.document import Document as DocxDocument
from lxml import etree

from looma_engines.resume.documents.model import RawLine
from looma_engines.resume.documents.problems import DocumentProblem

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MAX_DEPTH = 40
#: A table row whose cells are all this short is a row of a list; longer cells are a layout.
_SHORT_CELL = 60


def read(data: bytes) -> tuple[list[RawLine], list[str]]:
    """Lines in document order (headers first, footers last) and link targets.

    Raises:
        DocumentProblem: ``damaged-document`` if the package cannot be opened.
    """
    try:
        document = python_docx.Document(io.BytesIO(data))
        return _Walker(document).lines()
    except (KeyError, ValueError, zipfile.BadZipFile, etree.XMLSyntaxError, OSError, AttributeError) as error:
        raise DocumentProblem(
            "damaged-document", "The Word file is broken. Open it, save it again as .docx, and resend it."
        ) from error


class _Walker:
    def __init__(self, document: DocxDocument) -> None:
        self._document = document
        self._links: list[str] = []
        self._headings = {
            style.style_id
            for style in document.styles
            if (style.name or "").lower().startswith(("heading", "title", "标题"))
        }

    def lines(self) -> tuple[list[RawLine], list[str]]:
        lines = list(self._edges("header"))
        lines += self._blocks(self._document.element.body, self._document.part, depth=0)
        lines += self._edges("footer")
        return lines, self._links

    def _edges(self, which: str) -> Iterator[RawLine]:
        """Headers or footers of all sections, each text once; page numbers are fields and so are left out."""
        seen: set[str] = set()
        for section in self._document.sections:
            for name in (f"first_page_{which}", which):
                edge = getattr(section, name)
                if edge.is_linked_to_previous:
                    continue
                for line in self._blocks(edge._element, edge.part, depth=0):
                    if line.text and line.text not in seen:
                        seen.add(line.text)
                        yield line

    def _blocks(self, parent: Any, part: Any, *, depth: int) -> Iterator[RawLine]:
        if depth > _MAX_DEPTH:
            raise DocumentProblem(
                "damaged-document",
                "The Word file nests its tables too deeply. Export it as PDF and send that.",
            )
        for child in parent:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child, part, depth=depth)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child, part, depth=depth)
            elif child.tag == f"{_W}sdt":
                for content in child.iterchildren(f"{_W}sdtContent"):
                    yield from self._blocks(content, part, depth=depth + 1)
            elif child.tag in (f"{_W}ins", f"{_W}smartTag", f"{_W}customXml"):
                yield from self._blocks(child, part, depth=depth + 1)

    def _paragraph(self, paragraph: Any, part: Any, *, depth: int) -> Iterator[RawLine]:
        pieces: list[str] = []
        boxes: list[Any] = []
        self._inline(paragraph, part, pieces, boxes)
        properties = paragraph.find(f"{_W}pPr")
        style = properties.find(f"{_W}pStyle") if properties is not None else None
        style_id = style.get(f"{_W}val") if style is not None else None
        listed = properties is not None and properties.find(f"{_W}numPr") is not None
        listed = listed or (style_id or "").lower().startswith(("listbullet", "listnumber"))
        bold, size = _look(paragraph)
        text = "".join(pieces)
        for at, line in enumerate(text.split("\n")):
            bullet = "• " if listed and at == 0 and line.strip() else ""
            yield RawLine(text=bullet + line, bold=bold, size=size, heading=style_id in self._headings)
        for box in boxes:
            yield from self._blocks(box, part, depth=depth + 1)

    def _inline(self, element: Any, part: Any, pieces: list[str], boxes: list[Any]) -> None:
        """Text of runs in order; deleted text and field codes are skipped, text boxes are put aside."""
        for child in element:
            tag = child.tag
            if tag == f"{_W}t":
                pieces.append(child.text or "")
            elif tag == f"{_W}tab":
                pieces.append("\t")
            elif tag in (f"{_W}br", f"{_W}cr"):
                pieces.append("\n")
            elif tag == f"{_W}noBreakHyphen":
                pieces.append("-")
            elif tag == f"{_W}txbxContent":
                boxes.append(child)
            elif tag in (f"{_W}del", f"{_W}instrText", f"{_W}pPr", f"{_W}rPr", f"{_MC}Fallback"):
                continue
            else:
                if tag == f"{_W}hyperlink":
                    self._note_link(child, part)
                self._inline(child, part, pieces, boxes)

    def _note_link(self, element: Any, part: Any) -> None:
        relation = part.rels.get(element.get(f"{_R}id") or "")
        if relation is not None and relation.is_external:
            self._links.append(relation.target_ref)

    def _table(self, table: Any, part: Any, *, depth: int) -> Iterator[RawLine]:
        """Rows of short cells become one line with tabs; anything else is read cell by cell."""
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not table:
                continue
            cells = [
                [line for line in self._blocks(cell, part, depth=depth + 1) if line.text.strip()]
                for cell in _cells(row)
                if not _merged_above(cell)
            ]
            cells = [cell for cell in cells if cell]
            if len(cells) > 1 and all(len(cell) == 1 and len(cell[0].text) <= _SHORT_CELL for cell in cells):
                yield RawLine(
                    text="\t".join(cell[0].text for cell in cells),
                    bold=all(cell[0].bold for cell in cells),
                    size=max(cell[0].size for cell in cells),
                )
            else:
                for cell in cells:
                    yield from cell
                    if len(cell) > 1:
                        yield RawLine(text="")
        yield RawLine(text="")


def _cells(row: Any) -> Iterator[Any]:
    for child in row:
        if child.tag == f"{_W}tc":
            yield child
        elif child.tag == f"{_W}sdt":
            for content in child.iterchildren(f"{_W}sdtContent"):
                yield from content.iterchildren(f"{_W}tc")


def _merged_above(cell: Any) -> bool:
    """Whether the cell continues one of the row above, whose text it would repeat."""
    merge = cell.find(f"{_W}tcPr/{_W}vMerge")
    return merge is not None and merge.get(f"{_W}val") != "restart"


def _look(paragraph: Any) -> tuple[bool, float]:
    """Whether all of the paragraph's text is bold, and its largest size in points (0 if not set)."""
    bold = True
    size = 0.0
    seen = False
    for run in paragraph.iter(f"{_W}r"):
        if not any((text.text or "").strip() for text in run.iterchildren(f"{_W}t")):
            continue
        seen = True
        mark = run.find(f"{_W}rPr/{_W}b")
        bold = bold and mark is not None and mark.get(f"{_W}val") not in ("0", "false")
        half_points = run.find(f"{_W}rPr/{_W}sz")
        if half_points is not None and (half_points.get(f"{_W}val") or "").isdigit():
            size = max(size, int(half_points.get(f"{_W}val")) / 2)
    return bold and seen, size
