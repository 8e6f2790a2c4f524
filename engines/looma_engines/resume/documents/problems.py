"""Why a document was refused, in words that say what to do.

The reader runs in a worker process, so a refusal travels as data (``code`` and ``detail``); the module
``looma_engines.resume.problems`` has the type of problem details (RFC 9457) of every code.
"""

from __future__ import annotations

from typing import Final

CODES: Final = frozenset(
    {
        "empty-document",
        "unsupported-document-type",
        "document-too-large",
        "encrypted-document",
        "no-text-in-document",
        "damaged-document",
        "document-too-costly",
    }
)


class DocumentProblem(Exception):
    """A document cannot be read; ``code`` is one of ``CODES``, ``detail`` says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        if code not in CODES:
            raise KeyError(code)
        self.code = code
        self.detail = detail
