"""What the upload says, and how the resume engine's problems read to a recruiter."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

from looma_console.engines import EngineError
from looma_console.people import messages as people

PROBLEMS: dict[str, LazyString] = {
    "empty-document": lazy_gettext("The file is empty."),
    "unsupported-document-type": lazy_gettext(
        "The service does not read this kind of file. Save it as PDF, DOCX, HTML, TXT or RTF."
    ),
    "document-too-large": lazy_gettext("The file is larger, or has more pages, than the service reads."),
    "encrypted-document": lazy_gettext(
        "The file is protected by a password. Save it without one and upload it again."
    ),
    "no-text-in-document": lazy_gettext(
        "The file holds pictures only, no text: a scan, perhaps. Ask for the original, or one with a text layer."
    ),
    "damaged-document": lazy_gettext("The file is damaged. Open it, save it anew and upload it again."),
    "document-too-costly": lazy_gettext("Reading the file took too long. Save it anew, or as plain text."),
}


def explain(error: EngineError) -> str:
    """One sentence about why a file was not taken."""
    known = PROBLEMS.get(error.name)
    return str(known) if known is not None else people.explain(error)
