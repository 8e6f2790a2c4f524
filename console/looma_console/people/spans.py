"""Marks in a résumé's text: pure.

Offsets count code points, as Python's own strings do, so nothing is converted here; a browser that counted
UTF-16 units would be off by one after each emoji, which is why the server cuts the text.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from looma_core.api.resume import ParsedResume

KINDS: Mapping[str, str] = {
    "NAME": "contact",
    "EMAIL": "contact",
    "PHONE": "contact",
    "LOC": "place",
    "ORG": "job",
    "TITLE": "job",
    "SCHOOL": "school",
    "EDU": "school",
    "PRO": "school",
    "SKILL": "skill",
    "DATE": "date",
    "CONT": "protected",
    "RACE": "protected",
}
"""What a label is shown as; several labels share a colour, since nobody tells thirteen apart."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A span that was found: `text[start:end]` is of kind `kind`."""

    start: int
    end: int
    label: str
    name: str = ""

    @property
    def kind(self) -> str:
        """What it is shown as."""
        return KINDS.get(self.label, "other")

    @property
    def anchor(self) -> str:
        """Id of its element in the page."""
        return f"at-{self.start}"


@dataclass(frozen=True)
class Segment:
    """A piece of the text, marked or not."""

    text: str
    mark: Mark | None = None


def marks_of(parsed: ParsedResume) -> list[Mark]:
    """All spans of a parsed résumé, entities and skills alike."""
    entities = [Mark(start=item.start, end=item.end, label=item.label) for item in parsed.entities]
    skills = [Mark(start=item.start, end=item.end, label="SKILL", name=item.name) for item in parsed.skills]
    return entities + skills


def segments(text: str, marks: Iterable[Mark]) -> list[Segment]:
    """Cut `text` at the marks, so that joining all pieces gives `text` again.

    Marks cannot overlap in HTML, so of two that do the longer one stays. Of two that are the same span, the one
    that says more stays: what a thing is in its sentence (a major, an employer) before that it is a skill, and a
    skill with its canonical name before one without. A mark that is empty or reaches past the text is left out.

    | text   | marks          | answer                    |
    | ------ | -------------- | ------------------------- |
    | abcdef | [1,3)          | a, bc*, def               |
    | abcdef | [0,4) [3,6)    | abcd*, ef                 |
    | abcdef | [2,2) [4,9)    | abcdef                    |
    | a😀b   | [2,3)          | a😀, b*                   |
    """
    fitting = [mark for mark in marks if 0 <= mark.start < mark.end <= len(text)]
    fitting.sort(key=lambda mark: (mark.start - mark.end, mark.label == "SKILL", not mark.name, mark.start))
    taken: list[Mark] = []
    covered = bytearray(len(text))
    for mark in fitting:
        if not any(covered[mark.start : mark.end]):
            covered[mark.start : mark.end] = b"\x01" * (mark.end - mark.start)
            taken.append(mark)
    pieces: list[Segment] = []
    at = 0
    for mark in sorted(taken, key=lambda item: item.start):
        if at < mark.start:
            pieces.append(Segment(text[at : mark.start]))
        pieces.append(Segment(text[mark.start : mark.end], mark))
        at = mark.end
    if at < len(text):
        pieces.append(Segment(text[at:]))
    return pieces


def anchors(pieces: Sequence[Segment], marks: Iterable[Mark]) -> dict[str, str]:
    """Where a value was found first: by the value in lower case, by a skill's canonical name, and by `#LABEL`.

    `marks` are all of them, also those that gave way to another: a skill inside a major is found there. The
    label serves values that are shown otherwise than they are written, such as a phone number.
    """
    found: dict[str, str] = {}
    shown = [piece.mark for piece in pieces if piece.mark is not None]
    for piece in pieces:
        if piece.mark is not None:
            found.setdefault(piece.text.strip().lower(), piece.mark.anchor)
            found.setdefault(f"#{piece.mark.label}", piece.mark.anchor)
    starts = [mark.start for mark in shown]
    for mark in sorted(marks, key=lambda item: item.start):
        at = bisect.bisect_right(starts, mark.start) - 1
        if mark.name and at >= 0 and mark.start < shown[at].end:
            found.setdefault(mark.name.lower(), shown[at].anchor)
    return found


def kinds_in(pieces: Iterable[Segment]) -> list[str]:
    """The kinds that a text has, in the legend's order."""
    present = {piece.mark.kind for piece in pieces if piece.mark is not None}
    return [kind for kind in dict.fromkeys(KINDS.values()) if kind in present]
