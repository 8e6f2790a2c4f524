"""Unified social credit codes of Chinese organisations (GB 32100-2015), by their check sign. Pure.

Eighteen signs without I, O, S, V and Z: who registers (1), what kind (1), the place (6), the organisation's own code
(9) and a check sign: 31 less the sum of each sign's value times 3 to the power of its place, modulo 31.
"""

from __future__ import annotations

import re

_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_LENGTH = 18
_LOOKS_LIKE_ONE = re.compile(r"[0-9A-Z]{2}[0-9]{6}[0-9A-Z]{10}")


def looks_like_credit_code(text: str) -> bool:
    """Whether it is meant to be such a code: eighteen signs with a place's number where it belongs."""
    return _LOOKS_LIKE_ONE.fullmatch(text.upper()) is not None


def is_credit_code(text: str) -> bool:
    """Whether its check sign is right."""
    if len(text) != _LENGTH or not all(sign in _SIGNS for sign in text):
        return False
    total = sum(_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(text[:-1]))
    return _SIGNS[-total % 31] == text[-1]
