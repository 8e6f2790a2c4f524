"""Short résumés as text, for tests that ask about one section: a person on top, then the section's lines."""

from __future__ import annotations

from looma_core.api.resume import ParsedResume
from looma_engines.resume.documents import read_text
from support.resume_files import parser

ENGLISH_TOP = "Mira Solberg\nmira@example.org\n\n"
CHINESE_TOP = "陈思远\nchensiyuan@example.com\n\n"


def parsed(text: str) -> ParsedResume:
    """What the parser finds in ``text``."""
    return parser().parse(read_text(text))


def english(heading: str, *lines: str) -> ParsedResume:
    """What the parser finds in an English résumé of one section."""
    return parsed(ENGLISH_TOP + "\n".join((heading, *lines)) + "\n")


def chinese(heading: str, *lines: str) -> ParsedResume:
    """What the parser finds in a Chinese résumé of one section."""
    return parsed(CHINESE_TOP + "\n".join((heading, *lines)) + "\n")


def spans(found: ParsedResume, label: str) -> list[str]:
    """The text that the spans of ``label`` mark, after a look that every span marks what it says."""
    assert all(found.text[item.start : item.end] == item.text for item in found.entities)
    return [item.text for item in found.entities if item.label == label]
