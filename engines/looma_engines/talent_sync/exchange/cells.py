"""Cells of a CSV file: none that a spreadsheet would take for a formula, and lists of texts in one cell. Pure.

A spreadsheet computes a cell that begins with = + - or @, and some do so behind a space or for the wide forms of
Chinese and Japanese keyboards. An apostrophe in front makes it a text; `restored` takes off what `defused` put on, so
that a file goes round unchanged.
"""

from __future__ import annotations

import re

SEPARATOR = "; "
# People with a Chinese keyboard write the wide one.
_SEPARATORS = ";；"

# Apostrophes count as well, so that a text that had one of its own keeps it.
_FORMULA = re.compile(r"'*(?:[\s\ufeff\u200b]*[=+\-@＝＋－＠]|[\t\r])")
_RESTORABLE = re.compile(r"'+(?:[\s\ufeff\u200b]*[=+\-@＝＋－＠]|[\t\r]|$)")
_ESCAPED = re.compile(r"\\([\\;；\s])", re.DOTALL)
_SPECIAL = re.compile(r"[\\;；]")


def defused(text: str) -> str:
    """The text as a cell that no spreadsheet computes.

    | text          | cell           |
    | ------------- | -------------- |
    | Ada           | Ada            |
    | +86 139 ...   | '+86 139 ...   |
    | '=1           | ''=1           |
    | (empty)       | '              |

    An empty text gets an apostrophe too: an empty cell is no text at all.
    """
    return "'" + text if _FORMULA.match(text) or not text.strip("'") else text


def restored(cell: str) -> str:
    """The text of a cell: without the apostrophe that `defused` put on, or a person who knows spreadsheets.

    | cell          | text           |
    | ------------- | -------------- |
    | '+86 139 ...  | +86 139 ...    |
    | +86 139 ...   | +86 139 ...    |
    | 'tis          | 'tis           |
    | '             | (empty)        |
    """
    return cell[1:] if _RESTORABLE.match(cell) else cell


def joined(texts: list[str]) -> str:
    r"""Several texts in one cell, between them `; `.

    A semicolon inside a text gets a backslash before it, so does a backslash, and so does a space at a text's ends.

    | texts          | cell        |
    | -------------- | ----------- |
    | SQL, Go        | SQL; Go     |
    | a;b, c\d       | a\;b; c\\d  |
    """
    return SEPARATOR.join(_escaped(text) for text in texts)


def split(cell: str) -> list[str]:
    r"""The texts of a cell, without the space around each; empty ones are none.

    A backslash before anything else than a semicolon, a backslash or a space is a backslash.
    """
    texts: list[str] = []
    # Each character with whether it stands for itself alone.
    text: list[tuple[str, bool]] = []
    at = 0
    while at < len(cell):
        if escaped := _ESCAPED.match(cell, at):
            text.append((escaped[1], True))
            at = escaped.end()
            continue
        if cell[at] in _SEPARATORS:
            texts.append(_trimmed(text))
            text = []
        else:
            text.append((cell[at], False))
        at += 1
    texts.append(_trimmed(text))
    return [neat for neat in texts if neat]


def _escaped(text: str) -> str:
    marked = _SPECIAL.sub(lambda found: "\\" + found[0], text)
    start = len(marked) - len(marked.lstrip())
    if start == len(marked):
        return "".join("\\" + space for space in marked)
    end = len(marked.rstrip())
    ends = ["".join("\\" + space for space in part) for part in (marked[:start], marked[end:])]
    return ends[0] + marked[start:end] + ends[1]


def _trimmed(text: list[tuple[str, bool]]) -> str:
    start, end = 0, len(text)
    while start < end and _is_space(text[start]):
        start += 1
    while end > start and _is_space(text[end - 1]):
        end -= 1
    return "".join(character for character, _ in text[start:end])


def _is_space(one: tuple[str, bool]) -> bool:
    character, escaped = one
    return character.isspace() and not escaped
