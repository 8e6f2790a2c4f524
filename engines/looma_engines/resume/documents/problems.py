"""Why a document was refused, in words that say what to do.

The reader runs in a worker process, so a refusal travels as data (``code`` and ``detail``) and
becomes problem details (RFC 9457) in the HTTP layer. ``docs/resume.md`` lists every code; a test
compares the two.
"""

from __future__ import annotations

from typing import Final

#: code: (HTTP status, title)
PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "empty-document": (422, "The document is empty"),
    "unsupported-document-type": (415, "This type of document is not supported"),
    "document-too-large": (413, "The document is too large"),
    "encrypted-document": (422, "The document is protected by a password"),
    "no-text-in-document": (422, "The document holds no text"),
    "damaged-document": (422, "The document is damaged"),
    "document-too-costly": (422, "The document took too long or too much memory to read"),
}


class DocumentProblem(Exception):
    """A document cannot be read; ``code`` is a key of ``PROBLEMS``, ``detail`` says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        if code not in PROBLEMS:
            raise KeyError(code)
        self.code = code
        self.detail = detail

    @property
    def status(self) -> int:
        """HTTP status of the refusal."""
        return PROBLEMS[self.code][0]

    @property
    def title(self) -> str:
        """Short sentence that is the same for every document with this problem."""
        return PROBLEMS[self.code][1]
