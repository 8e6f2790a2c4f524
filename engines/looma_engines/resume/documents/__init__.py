"""Bytes to ``Document``: which type it is, what it says, in the order a person reads it.

``reader.read_document`` is the door. It asks ``sniff`` for the type and one of ``pdf``, ``docx``,
``markup``, ``rtf`` or ``plain`` for the lines. ``layout`` orders what a PDF page holds (columns,
label rails, rows) and is pure. Each refusal is a ``DocumentProblem`` of ``problems``.

Nothing here opens a socket, a database or a file: it runs inside the worker process.
"""

from looma_engines.resume.documents.model import Document, Limits, Line
from looma_engines.resume.documents.problems import DocumentProblem
from looma_engines.resume.documents.reader import exact_text, read_document, read_text

__all__ = ["Document", "DocumentProblem", "Limits", "Line", "exact_text", "read_document", "read_text"]
