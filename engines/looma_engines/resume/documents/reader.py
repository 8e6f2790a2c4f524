"""The door of the package: bytes in, ``Document`` out, or a ``DocumentProblem``.

Called by the worker process (and by tests directly). Pure but for the CPU time it takes.
"""

from __future__ import annotations

from collections.abc import Iterable

from looma_engines.resume.documents import docx, markup, pdf, plain, rtf, sniff
from looma_engines.resume.documents.cleaning import clean_line
from looma_engines.resume.documents.model import Document, Limits, Line, RawLine
from looma_engines.resume.documents.problems import DocumentProblem

_MIN_TEXT = 20


def read_document(data: bytes, *, limits: Limits | None = None) -> Document:
    """Read a résumé file of any supported type.

    Args:
        data: the file's bytes.
        limits: what the file may ask of us; the defaults of ``Limits`` if not given.

    Raises:
        DocumentProblem: see ``problems.PROBLEMS`` for every code.
    """
    limits = limits or Limits()
    if len(data) > limits.max_bytes:
        raise DocumentProblem(
            "document-too-large",
            f"The file has {len(data):,} bytes; at most {limits.max_bytes:,} are read. "
            "Remove pictures or export it again with smaller ones.",
        )
    media_type = sniff.detect(data, limits=limits)
    links: list[str] = []
    warnings: list[str] = []
    pages = 1
    lines: Iterable[RawLine]
    if media_type == sniff.PDF:
        lines, pages, links, warnings = pdf.read(data, limits=limits)
    elif media_type == sniff.DOCX:
        lines, links = docx.read(data)
    elif media_type == sniff.HTML:
        lines, links = markup.read(data)
    elif media_type == sniff.RTF:
        lines = rtf.read(data)
    else:
        lines = plain.read(data)
    document = assemble(
        lines, pages=pages, media_type=media_type, links=links, warnings=warnings, limits=limits
    )
    if len("".join(document.text.split())) < _MIN_TEXT:
        raise DocumentProblem(
            "no-text-in-document",
            "No text was found in the file, only pictures or nothing at all (a scan, for instance). "
            "Text in pictures is not read: export the résumé as a PDF with text, or send it as DOCX.",
        )
    return document


def read_text(text: str, *, limits: Limits | None = None) -> Document:
    """A ``Document`` of a text that was typed or pasted.

    Raises:
        DocumentProblem: ``empty-document`` or ``document-too-large``.
    """
    if not text.strip():
        raise DocumentProblem("empty-document", "The text is empty. Send some text.")
    return assemble(
        (RawLine(text=line) for line in text.splitlines()),
        pages=1,
        media_type=sniff.TEXT,
        limits=limits or Limits(),
    )


def exact_text(text: str, *, limits: Limits | None = None) -> Document:
    """A ``Document`` whose text is ``text`` itself, so that offsets hold for what was sent.

    Raises:
        DocumentProblem: ``empty-document`` or ``document-too-large``.
    """
    limits = limits or Limits()
    if not text.strip():
        raise DocumentProblem("empty-document", "The text is empty. Send some text.")
    if len(text) > limits.max_characters:
        raise DocumentProblem(
            "document-too-large",
            f"The text is longer than {limits.max_characters:,} characters. Send a part of it.",
        )
    lines: list[Line] = []
    offset = 0
    for line in text.split("\n"):
        lines.append(Line(text=line, start=offset))
        offset += len(line) + 1
    return Document(text=text, lines=lines, pages=1, media_type=sniff.TEXT)


def assemble(
    raw: Iterable[RawLine],
    *,
    pages: int,
    media_type: str,
    limits: Limits,
    links: Iterable[str] = (),
    warnings: Iterable[str] = (),
) -> Document:
    """Join lines to a text, note each line's offset, and drop doubled blank lines.

    Raises:
        DocumentProblem: ``document-too-large`` when the text is longer than the limit.
    """
    lines: list[Line] = []
    offset = 0
    for item in raw:
        text = clean_line(item.text)
        if not text and (not lines or not lines[-1].text):
            continue
        line = Line(
            text=text,
            start=offset,
            page=item.page,
            box=item.box,
            size=item.size,
            bold=item.bold,
            heading=item.heading,
        )
        lines.append(line)
        offset = line.end + 1
        if offset > limits.max_characters:
            raise DocumentProblem(
                "document-too-large",
                f"The text is longer than {limits.max_characters:,} characters. Send the résumé alone.",
            )
    while lines and not lines[-1].text:
        lines.pop()
    return Document(
        text="\n".join(line.text for line in lines),
        lines=lines,
        pages=pages,
        media_type=media_type,
        links=list(dict.fromkeys(links)),
        warnings=list(warnings),
    )
