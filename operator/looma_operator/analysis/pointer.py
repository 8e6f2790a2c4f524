"""JSON pointers (RFC 6901): one value out of a document."""

from __future__ import annotations

from typing import Any


def point(document: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON
    """The value that a pointer names: "" the whole document, "/items/0/score" what it says.

    Raises:
        LookupError: if there is none, with a message that names the place and not the document's values.
    """
    if not pointer:
        return document
    if not pointer.startswith("/"):
        raise LookupError(f"{pointer!r} is no JSON pointer: write it with a leading /")
    value = document
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise LookupError(f"the document has nothing at {pointer}")
    return value


def _is_index(name: str) -> bool:
    return name == "0" or (name.isascii() and name.isdigit() and not name.startswith("0"))
