"""Problem types of this engine; docs/problems.md lists them, docs/resume.md says more."""

from __future__ import annotations

from typing import Final

from looma_core.api.gateway import COST_HEADER
from looma_core.problems import ProblemError
from looma_engines.resume.documents.problems import DocumentProblem


class EmptyDocument(ProblemError):
    """No bytes, or white space alone."""

    name, status, title = "empty-document", 422, "The document is empty"


class UnsupportedDocument(ProblemError):
    """A type without a reader, told by its bytes."""

    name, status, title = "unsupported-document-type", 415, "This type of document is not supported"


class DocumentTooLarge(ProblemError):
    """More bytes, pages, parts or characters than are read."""

    name, status, title = "document-too-large", 413, "The document is too large"


class EncryptedDocument(ProblemError):
    """It opens with a password only."""

    name, status, title = "encrypted-document", 422, "The document is protected by a password"


class NoTextInDocument(ProblemError):
    """Pictures alone, as in a scan."""

    name, status, title = "no-text-in-document", 422, "The document holds no text"


class DamagedDocument(ProblemError):
    """Broken or cut off."""

    name, status, title = "damaged-document", 422, "The document is damaged"


class DocumentTooCostly(ProblemError):
    """It would not be read within the limits of time and memory."""

    name, status, title = "document-too-costly", 422, "The document took too long or too much memory to read"


_TYPES: Final[dict[str, type[ProblemError]]] = {
    known.name: known
    for known in (
        EmptyDocument,
        UnsupportedDocument,
        DocumentTooLarge,
        EncryptedDocument,
        NoTextInDocument,
        DamagedDocument,
        DocumentTooCostly,
    )
}


def told(problem: DocumentProblem, *, most_pages: int) -> ProblemError:
    """The reader's refusal as the client is told it.

    One that took all the time that a document may take costs as much as the longest, or trying again were free.
    """
    known = _TYPES[problem.code]
    headers = {COST_HEADER: str(most_pages)} if known is DocumentTooCostly else None
    return known(problem.detail, headers=headers)
