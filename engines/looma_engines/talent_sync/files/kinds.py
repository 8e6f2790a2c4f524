"""What a file is, told by its bytes; its name and declared type are never believed. Pure.

A file is kept, not read: of a container only its list of names is looked at, nothing is unpacked.
"""

from __future__ import annotations

import re
import zipfile
from typing import IO, Final

import filetype

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DOC: Final = "application/msword"
ODT: Final = "application/vnd.oasis.opendocument.text"
RTF: Final = "application/rtf"
HTML: Final = "text/html"
TEXT: Final = "text/plain"
PNG: Final = "image/png"
JPEG: Final = "image/jpeg"

SHORT_NAMES: Final[dict[str, str]] = {
    PDF: "pdf",
    DOCX: "docx",
    DOC: "doc",
    ODT: "odt",
    RTF: "rtf",
    HTML: "html",
    TEXT: "txt",
    PNG: "png",
    JPEG: "jpeg",
}
"""All types that are kept, with their names in metrics."""

HEAD_BYTES: Final = 64 * 1024
"""As much as is looked at of anything but a container."""
ACCEPTED: Final = "send a PDF, DOCX, DOC, ODT, RTF, HTML or text file, or a scan as PNG or JPEG"

_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# Before anything else: a program may hold a PDF's first line as well.
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe")
_SCRIPT = b"#!"
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_ODT_MARK = b"mimetype" + ODT.encode()


class Refused(Exception):
    """A file that is not kept; the text says why and what to do."""


class EmptyFile(Refused):
    """No bytes, or white space alone."""


class WrongKind(Refused):
    """It is of a type that is not kept."""


def kind_of(file: IO[bytes], head: bytes) -> str:
    """Media type of a file, one of SHORT_NAMES.

    | its bytes                             | answer                     |
    | ------------------------------------- | -------------------------- |
    | `%PDF-` within the first kilobyte     | application/pdf            |
    | a container with `word/document.xml`  | the type of DOCX           |
    | a program, whatever its name          | WrongKind                  |
    | a container that needs a password     | WrongKind                  |
    | letters alone                         | text/plain                 |
    | nothing but white space               | EmptyFile                  |

    Args:
        file: the whole; read only where it is a container.
        head: its first HEAD_BYTES bytes.

    Raises:
        Refused: it is not kept.
    """
    if not head.strip(b"\x00\t\r\n \x0c"):
        raise EmptyFile("is empty: check that it was saved, and send it again")
    is_text = _is_text(head)
    if head.startswith(_SCRIPT) or (head.startswith(_PROGRAMS) and not is_text):
        raise WrongKind(f"is a program, whatever its name says: {ACCEPTED}")
    # Readers of the standard look for it in the first kilobyte, since mail gateways put lines before it.
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(_OLE2):
        return _ole2(file)
    if head.startswith(_ZIP):
        return _container(file, head)
    # Somebody's name may begin as a program does.
    return _of_letters(head) if is_text else _picture(head)


def _of_letters(head: bytes) -> str:
    if head.lstrip().startswith(b"{\\rtf"):
        return RTF
    return HTML if _HTML.match(head) else TEXT


def _picture(head: bytes) -> str:
    guess = filetype.guess(head)
    if guess is None:
        raise WrongKind(f"is of no known type: {ACCEPTED}")
    if guess.mime not in (PNG, JPEG):
        raise WrongKind(f"is {guess.mime}: {ACCEPTED}")
    return str(guess.mime)


def _is_text(head: bytes) -> bool:
    """Whether it can be text in some encoding: almost no control bytes, or a mark of Unicode in front."""
    if head.startswith(_BOMS):
        return True
    control = sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in head)
    return control <= len(head) // 200


def _ole2(file: IO[bytes]) -> str:
    """DOC, or the refusal of another file of the same form. Names in it are UTF-16."""
    file.seek(0)
    data = file.read()
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise WrongKind("is protected by a password: save it without one, and send it again")
    if "WordDocument".encode("utf-16-le") in data:
        return DOC
    raise WrongKind(f"is an Office file, but no document of Word: {ACCEPTED}")


def _container(file: IO[bytes], head: bytes) -> str:
    if _ODT_MARK in head[:200]:
        return ODT
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise WrongKind("is damaged or cut off: save it again, and send that") from error
    if any(member.flag_bits & 1 for member in members):
        raise WrongKind("is protected by a password: save it without one, and send it again")
    if any(member.filename == "word/document.xml" for member in members):
        return DOCX
    raise WrongKind(f"is an archive, or a document of another program: {ACCEPTED}")
