"""Whether a text is Chinese or English, by its script. Pure."""

from __future__ import annotations

import re
from typing import Final

from looma_core.api.person import Language

_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_LATIN_WORD: Final = re.compile(r"[A-Za-z]{2,}")
#: A Chinese word has about two characters.
_CHARACTERS_A_WORD: Final = 2


def detect_language(text: str) -> Language:
    """The language most of the words are in; Chinese résumés hold many English names of tools.

    | text                                  | answer |
    | ------------------------------------- | ------ |
    | 熟悉 Java、Spring Boot，三年经验           | zh     |
    | Senior engineer (张伟), Shanghai       | en     |
    | (no letters at all)                   | en     |
    """
    han = len(_HAN.findall(text)) / _CHARACTERS_A_WORD
    latin = len(_LATIN_WORD.findall(text))
    # A third is enough: code names and addresses are Latin in every Chinese résumé, Han is rare in English ones.
    return "zh" if han > 0 and han >= latin / 2 else "en"
