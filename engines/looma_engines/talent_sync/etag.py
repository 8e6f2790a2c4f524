"""Versions as entity tags (RFC 9110, 8.8.3 and 13.1): version 3 is `"3"`."""

from __future__ import annotations

import re

_TAG = re.compile(r'(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"')


def tag_of(version: int | str) -> str:
    """Value of the header `ETag`."""
    return f'"{version}"'


def allows(if_match: str, version: int) -> bool:
    """Whether `If-Match` lets a change of this version go on.

    | If-Match   | version | answer |
    | ---------- | ------- | ------ |
    | "3"        | 3       | True   |
    | "2", "3"   | 3       | True   |
    | *          | 3       | True   |
    | "2"        | 3       | False  |
    | W/"3"      | 3       | False  |
    | 3          | 3       | False  |
    """
    if if_match.strip() == "*":
        return True
    wanted = str(version)
    return any(not match["weak"] and match["tag"] == wanted for match in _TAG.finditer(if_match))


def unchanged(if_none_match: str, version: int | str) -> bool:
    """Whether `If-None-Match` says that the caller has this version; weak tags count here."""
    if if_none_match.strip() == "*":
        return True
    return any(match["tag"] == str(version) for match in _TAG.finditer(if_none_match))
