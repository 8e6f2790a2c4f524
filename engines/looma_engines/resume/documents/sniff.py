"""What a file is, told by its bytes; its name and declared type are never believed.

``detect`` is pure. It answers with one of the media types that have a reader, or raises the
problem that names the type found and says which types work.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import Final

import filetype

from looma_engines.resume.documents.model import Limits
from looma_engines.resume.documents.problems import DocumentProblem

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML: Final = "text/html"
RTF: Final = "application/rtf"
TEXT: Final = "text/plain"

#: Short names for metrics labels and messages.
SHORT_NAMES: Final[dict[str, str]] = {PDF: "pdf", DOCX: "docx", HTML: "html", RTF: "rtf", TEXT: "txt"}

_WORKS = "Send the résumé as PDF, DOCX, HTML, RTF or plain text."
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HTML_START = re.compile(
    rb"^\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_HTML_TAGS = re.compile(rb"</?(?:html|head|body|div|p|h[1-6]|table|ul|li|br|span)\b[^>]*>", re.IGNORECASE)


def detect(data: bytes, *, limits: Limits) -> str:
    """Media type of ``data``.

    Raises:
        DocumentProblem: ``empty-document``, ``encrypted-document``, ``damaged-document``,
            ``document-too-large`` (a ZIP that unpacks to too much) or ``unsupported-document-type``.
    """
    if not data.strip(b"\x00\t\r\n \x0c"):
        raise DocumentProblem(
            "empty-document", "The file has no content. Check that it was saved and send it again."
        )
    # The PDF standard's readers look for the header in the first kilobyte, since mail gateways prepend lines.
    if b"%PDF-" in data[:1024]:
        return PDF
    if data.startswith(_OLE2):
        raise _ole2_problem(data)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _detect_zip(data, limits)
    if data.lstrip()[:5] == b"{\\rtf":
        return RTF
    if _HTML_START.match(data[:4096]) or len(_HTML_TAGS.findall(data[:16384])) >= 5:
        return HTML
    guess = filetype.guess(data)
    if guess is not None:
        if guess.mime.startswith("image/"):
            raise DocumentProblem(
                "unsupported-document-type",
                f"The file is a picture ({guess.mime}); text in pictures is not read. {_WORKS}",
            )
        raise DocumentProblem("unsupported-document-type", f"The file is {guess.mime}. {_WORKS}")
    if looks_like_text(data):
        return TEXT
    raise DocumentProblem("unsupported-document-type", f"The file is binary data of no known type. {_WORKS}")


def looks_like_text(data: bytes) -> bool:
    """Whether ``data`` can be text in some encoding: almost no control bytes, or a Unicode mark in front."""
    if data.startswith(_BOMS):
        return True
    sample = data[:65536]
    control = sum(1 for byte in sample if byte < 32 and byte not in (9, 10, 12, 13))
    return control <= len(sample) // 200


def _ole2_problem(data: bytes) -> DocumentProblem:
    """The problem of an OLE2 container: an encrypted Office file, or one in the format before 2007."""
    # A password-protected DOCX is an OLE2 container with these two streams; names are UTF-16.
    if "EncryptedPackage".encode("utf-16-le") in data:
        return DocumentProblem(
            "encrypted-document",
            "The Office file is protected by a password. Save it without one and send it again.",
        )
    return DocumentProblem(
        "unsupported-document-type",
        f"The file is in the Office format before 2007 (such as .doc). Save it as .docx or PDF. {_WORKS}",
    )


def _detect_zip(data: bytes, limits: Limits) -> str:
    """DOCX, or the problem of another ZIP container; sizes are judged before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise DocumentProblem(
            "damaged-document", "The file's container is broken or cut off. Save it again and resend it."
        ) from error
    # zipfile never yields more than the size declared here, so the declared sum bounds the memory.
    unpacked = sum(member.file_size for member in members)
    if len(members) > limits.max_members or unpacked > limits.max_unpacked_bytes:
        raise DocumentProblem(
            "document-too-large",
            f"The file unpacks to {unpacked:,} bytes in {len(members):,} parts; allowed are "
            f"{limits.max_unpacked_bytes:,} bytes in {limits.max_members:,} parts. Remove pictures and send it again.",
        )
    names = {member.filename for member in members}
    if any(member.flag_bits & 1 for member in members):
        raise DocumentProblem(
            "encrypted-document",
            "The file is protected by a password. Save it without one and send it again.",
        )
    if "word/document.xml" in names or (
        "[Content_Types].xml" in names and any(n.startswith("word/") for n in names)
    ):
        return DOCX
    kind = _zip_kind(names)
    raise DocumentProblem("unsupported-document-type", f"The file is {kind}. {_WORKS}")


def _zip_kind(names: set[str]) -> str:
    """What a ZIP container without a Word document is, in words."""
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook"
    if any(name.startswith("ppt/") for name in names):
        return "a PowerPoint presentation"
    if "mimetype" in names:
        return "an OpenDocument or EPUB file"
    return "a ZIP archive"
