"""Characters made plain before offsets are counted, and a folded view that keeps them.

``clean_line`` may change a text's length and runs once, before the text is returned to anybody.
``fold`` never changes the length, so that what is found in the folded view has the same offsets in
the returned text. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_DROPPED: Final = dict.fromkeys(
    [
        0x00AD,
        0x200B,
        0x200C,
        0x200D,
        0x2060,
        0xFEFF,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        0x0000,
        0xFFFE,
        0xFFFD,
    ]
)
_CLEAN: Final[dict[int, str | None]] = {
    **_LIGATURES,
    **_DROPPED,
    # Odd spaces and control characters become plain spaces; the tab stays, it parts cells.
    **dict.fromkeys([0x00A0, 0x2007, 0x202F, *range(0x2000, 0x200B), 0x205F], " "),
    **dict.fromkeys([*range(0x01, 0x09), *range(0x0A, 0x20), 0x7F, *range(0x80, 0xA0)], " "),
}

BULLETS: Final = "•●○◦▪▫■□◆◇►▶▸‣⁃∙·⚫➢➤✓✔★☆◼◾❖⮚\uf0b7\uf0a7\uf0d8\uf0fc\uf06c\uf075"
_DASHES: Final = "‐‑‒–—―−﹣－"
_QUOTES: Final = {"’": "'", "‘": "'", "“": '"', "”": '"', "＂": '"', "＇": "'"}

_FOLD: Final[dict[int, str]] = {
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **{ord(char): "-" for char in _DASHES},
    **{ord(char): "•" for char in BULLETS},
    **{ord(char): plain for char, plain in _QUOTES.items()},
    0x3000: " ",
    ord("｜"): "|", ord("│"): "|", ord("┃"): "|", ord("︱"): "|",
    ord("～"): "~", ord("〜"): "~", ord("∼"): "~",
    ord("、"): "、", ord("。"): "。",
}  # fmt: skip

_SPACES: Final = re.compile(r" {2,}")
_TABS: Final = re.compile(r"[ \t]*\t[ \t]*")
_DOUBLE_HYPHEN: Final = re.compile(r"-[\u2010\u2011]|[\u2010\u2011]-|\u2010\u2011|(?<=\w)--(?=\w)")
_RADICALS: Final = re.compile(r"[\u2e80-\u2fdf\uf900-\ufaff]")


def clean_line(text: str) -> str:
    """One line with ligatures spelled out, odd spaces plain, soft hyphens and Kangxi radicals gone.

    Full-width forms stay as they are, since a Chinese text reads as it was written; ``fold`` sees through them.
    """
    text = text.translate(_CLEAN)
    # Some Chinese PDF fonts map common characters to look-alike radicals, which no word list would match.
    if _RADICALS.search(text):
        text = _RADICALS.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
    # Word on a Mac writes a hyphen twice, once as a soft one.
    text = _DOUBLE_HYPHEN.sub("-", text)
    text = _TABS.sub("\t", text)
    return _SPACES.sub("  ", text).strip()


def fold(text: str) -> str:
    """``text`` with full-width forms, dashes, quotes and bullets made plain; the length is the same.

    >>> fold("Ｃ＋＋ — ‘x’")
    "C++ - 'x'"
    """
    return text.translate(_FOLD)
