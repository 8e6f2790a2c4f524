"""Addresses and telephone numbers: what can be one, and what is a slip. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

# Good enough to catch a slip; only a mail that arrives proves an address.
_EMAIL = re.compile(r"[^\s@,;<>\"()]+@[^\s@,;<>\"().]+(\.[^\s@,;<>\"().]+)+")
_PHONE = re.compile(r"\+?[0-9(][0-9 ().\-/]*(\s*(ext\.?|x|#|转)\s*[0-9]{1,6})?", re.IGNORECASE)
_EXTENSION = re.compile(r"\s*(?:ext\.?|x|#|转)\s*[0-9]{1,6}$", re.IGNORECASE)
_DIGITS = range(5, 21)
_CHINESE_MOBILE = re.compile(r"(?:\+?86)?1[3-9][0-9]{9}")
_BETWEEN = str.maketrans("", "", " ().-/")
_REGIONS = {"zh": ("CN", "HK", "TW"), "en": ("US", "GB", "CN", "IN")}
"""Where a number without a country may be from, by the language of the record."""

SLIPS = {
    "gmial.com": "gmail.com",
    "gmal.com": "gmail.com",
    "gamil.com": "gmail.com",
    "gmail.con": "gmail.com",
    "gmail.cm": "gmail.com",
    "hotmial.com": "hotmail.com",
    "hotmail.con": "hotmail.com",
    "outlok.com": "outlook.com",
    "outlook.con": "outlook.com",
    "yaho.com": "yahoo.com",
    "yahoo.con": "yahoo.com",
    "qq.con": "qq.com",
    "qq.cn.com": "qq.com",
    "163.con": "163.com",
    "163.cm": "163.com",
    "126.con": "126.com",
    "sina.con": "sina.com",
}
"""Hosts that are typed by mistake, by our own list, and what was meant."""


def is_address(text: str) -> bool:
    """Whether it looks like an address of mail."""
    return _EMAIL.fullmatch(text) is not None


def meant_host(address: str) -> str | None:
    """The host that was meant, if the address has one that is typed by mistake."""
    return SLIPS.get(address.rpartition("@")[2].lower())


def is_number(text: str) -> bool:
    """Whether it looks like a telephone number: 5 to 20 digits, with a plus, brackets, spaces, dots or hyphens."""
    return _PHONE.fullmatch(text) is not None and sum(sign.isdigit() for sign in text) in _DIGITS


def can_be_called(text: str, language: str) -> bool:
    """Whether a number is one that a country gives out, by Google's rules for all of them.

    A number without its country is tried as one of those where the record's language is spoken.
    """
    plain = _EXTENSION.sub("", text)
    if _CHINESE_MOBILE.fullmatch(plain.translate(_BETWEEN)):
        return True
    return any(_formatted(plain, region) for region in _regions(plain, language))


def e164(text: str, language: str) -> str:
    """The number with its country, in digits after a plus, so that each way to write it is one; no extension.

    A number that no country gives out keeps its own digits.

    | number               | language | answer         |
    | -------------------- | -------- | -------------- |
    | +86 138-0013-8000    | en       | +8613800138000 |
    | 138 0013 8000        | en       | +8613800138000 |
    | (0113) 496 0999 x 12 | en       | +441134960999  |
    | 12345                | en       | 12345          |
    """
    plain = _EXTENSION.sub("", text)
    digits = plain.translate(_BETWEEN)
    if _CHINESE_MOBILE.fullmatch(digits):
        return f"+86{digits[-11:]}"
    found = (_formatted(plain, region) for region in _regions(plain, language))
    return next((number for number in found if number), digits)


def _regions(plain: str, language: str) -> tuple[str | None, ...]:
    return (None,) if plain.lstrip().startswith("+") else _REGIONS.get(language, _REGIONS["en"])


# The rules ask of a record what is asked again when it is stored, at most a batch later.
@lru_cache(maxsize=4096)
def _formatted(text: str, region: str | None) -> str | None:
    """The number in E.164; None if the region gives out no such one."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
