"""Plain text: which encoding, then its lines.

UTF-8 and a Unicode mark are certain; what is neither is judged by charset-normalizer among the
encodings that résumés come in, with GB18030 tried first, since its false reading of Western text
is easy to see (rare characters) while the other way round is not.
"""

from __future__ import annotations

import codecs
import logging
from typing import Final

from charset_normalizer import from_bytes

from looma_engines.resume.documents.model import RawLine

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES: Final = ["big5", "cp1252", "cp1251", "shift_jis", "euc_kr"]
# GB2312's common characters and punctuation; text read with the wrong encoding falls outside of them.
_COMMON: Final = frozenset(
    bytes((high, low)).decode("gb2312")
    for high in range(0xB0, 0xD8)
    for low in range(0xA1, 0xFA if high == 0xD7 else 0xFF)
)

logging.getLogger("charset_normalizer").setLevel(logging.ERROR)


def read(data: bytes) -> list[RawLine]:
    """Lines of a text file in any of the usual encodings."""
    return [RawLine(text=line) for line in decode(data).splitlines()]


def decode(data: bytes, *, declared: str | None = None) -> str:
    """``data`` as text; a wrong byte becomes U+FFFD rather than an error.

    Args:
        data: the bytes.
        declared: the encoding that the document names itself; used where the bytes fit it.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    for candidate in ("utf-8", _codec(declared)):
        if candidate is None:
            continue
        try:
            return data.decode(candidate)
        except UnicodeDecodeError:
            continue
    chinese = _as_gb18030(data)
    if chinese is not None:
        return chinese
    best = from_bytes(data, cp_isolation=_CANDIDATES).best()
    return str(best) if best is not None else data.decode("utf-8", "replace")


def _codec(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    # Pages that say GB2312 use GBK's characters too.
    return "gb18030" if found in ("gb2312", "gbk") else found


def _as_gb18030(data: bytes) -> str | None:
    """The text if it is Chinese in GB18030: at least 85 in 100 of its wide characters are common ones."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    wide = [char for char in text if "\u3400" <= char <= "\u9fff" or char >= "\ue000"]
    if not wide:
        return None
    return text if sum(1 for char in wide if char in _COMMON) >= 0.85 * len(wide) else None
