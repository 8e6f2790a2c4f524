"""RTF by striprtf; the text alone is kept, with the breaks it holds."""

from __future__ import annotations

import re
from typing import Final

from striprtf.striprtf import rtf_to_text

from looma_engines.resume.documents.model import RawLine
from looma_engines.resume.documents.problems import DocumentProblem

_CODE_PAGE: Final = re.compile(rb"\\ansicpg(\d{3,5})")
_BULLET: Final = re.compile(r"^\s*[•·\uf0b7][\t ]+")


def read(data: bytes) -> list[RawLine]:
    """Lines of an RTF file; table cells are parted by tabs.

    Raises:
        DocumentProblem: ``damaged-document`` if the control words make no sense.
    """
    found = _CODE_PAGE.search(data[:2048])
    page = f"cp{int(found.group(1))}" if found else "cp1252"
    try:
        "".encode(page)
    except LookupError:
        page = "cp1252"
    try:
        # Bytes above 127 are not allowed in RTF, yet some writers put text there in the file's code page.
        text: str = rtf_to_text(data.decode(page, "replace"), encoding=page, errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, IndexError, KeyError, LookupError, RecursionError) as error:
        raise DocumentProblem(
            "damaged-document", "The RTF file is broken. Open it, save it as .docx or PDF, and send that."
        ) from error
    return [RawLine(text=_BULLET.sub("• ", line).replace("|", "\t")) for line in text.splitlines()]
