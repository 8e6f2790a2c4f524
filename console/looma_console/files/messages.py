"""What the section about a person's files says."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

from looma_console.engines import EngineError
from looma_console.people import messages as people
from looma_console.resumes import messages as resumes

STATES: dict[str, LazyString] = {
    "stored": lazy_gettext("Not read"),
    "parsed": lazy_gettext("Read"),
    "refused": lazy_gettext("Not readable"),
}
TONES = {"stored": "quiet", "parsed": "good", "refused": "bad"}
FIELDS: dict[str, LazyString] = {
    "full_name": lazy_gettext("Name"),
    "headline": lazy_gettext("Headline"),
    "email": lazy_gettext("Email"),
    "phone": lazy_gettext("Phone"),
    "location": lazy_gettext("Place"),
}
REFUSED: dict[str, LazyString] = {
    "unsupported-media": lazy_gettext(
        "This kind of file is not kept. Take a PDF, DOCX, DOC, ODT, RTF, HTML or text file, or a scan as PNG or JPEG."
    ),
    "payload-too-large": lazy_gettext("The file is larger than 10 MiB."),
    "validation": lazy_gettext("The file is empty."),
}


def why_not_kept(error: EngineError) -> str:
    """One sentence about a file that was refused."""
    known = REFUSED.get(error.name)
    return str(known) if known is not None else people.explain(error)


def why_not_read(error: EngineError) -> str:
    """One sentence about a file that is kept and could not be read."""
    return resumes.explain(error)


def reason(name: str) -> str:
    """What a reader said, by the name of its problem."""
    return str(resumes.PROBLEMS.get(name, name))
