"""The forms in which all that is held of a person goes out: JSON, a page to read, or both in one ZIP file. Pure."""

from __future__ import annotations

import html
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from looma_core.api.rights import EXPORT_FORMAT, PersonExport

PersonForm = Literal["json", "html", "zip"]
MEDIA_TYPES: Mapping[PersonForm, str] = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "zip": "application/zip",
}
PART = 64 * 1024
_MODE = 0o600 << 16


HEADINGS = {
    "record": "What is stored",
    "relations": "Relations",
    "applications": "Applications to jobs",
    "history": "What was changed, the newest first",
    "consents": "Consents and other bases",
    "sources": "What sources gave",
    "conflicts": "Fields that a source and people here both changed",
    "quarantine": "Records that could not be taken",
    "writes": "What was written to sources",
    "files": "Files that the record was made from",
    "resume_files": "Résumé files",
    "audit": "What was done with the data",
    "merged": "Records that were merged with this one",
}


def readable(document: PersonExport) -> bytes:
    """The same as a page that a person can read; it needs nothing else."""
    plain: dict[str, Any] = msgspec.to_builtins(document)
    body = "".join(
        f"<h2>{heading}</h2>{''.join(_shown(plain[name])) or '<p>Nothing.</p>'}"
        for name, heading in HEADINGS.items()
    )
    told = (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<title>Stored data of one person</title><style>body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto}"
        "dl{border-left:3px solid #ccc;padding-left:1em}dt{font-weight:bold}</style>"
        f"<h1>Stored data of one person</h1><p>Made {html.escape(plain['made_at'])}, form {EXPORT_FORMAT}.</p>{body}"
    )
    return told.encode()


def _shown(value: Any) -> Iterator[str]:  # noqa: ANN401 - plain data of any form
    if isinstance(value, dict):
        yield "<dl>"
        for name, item in value.items():
            if item not in (None, [], {}):
                yield f"<dt>{html.escape(str(name).replace('_', ' '))}</dt><dd>"
                yield from _shown(item)
                yield "</dd>"
        yield "</dl>"
    elif isinstance(value, list):
        for item in value:
            yield from _shown(item)
    elif value is not None:
        yield f"<span>{html.escape(str(value))}</span> "


def zipped(document: PersonExport) -> Iterator[bytes]:
    """All of it as parts of one ZIP file: `person.json`, `person.html`, and `files.json`, the list of files.

    Each form is made when its turn comes, and goes out in parts. No name in the archive comes from outside, so that
    unpacking it writes nowhere else.
    """
    made: dict[str, Callable[[], bytes]] = {
        "person.json": lambda: msgspec.json.format(msgspec.json.encode(document), indent=2),
        "person.html": lambda: readable(document),
        "files.json": lambda: msgspec.json.format(msgspec.json.encode(_files(document)), indent=2),
    }
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, make in made.items():
            at = document.made_at
            entry = zipfile.ZipInfo(name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _MODE
            content = memoryview(make())
            with archive.open(entry, "w") as file:
                for start in range(0, len(content), PART):
                    file.write(content[start : start + PART])
                    yield sink.taken()
    # The list of what is in it comes last.
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What was written since it was asked last; it cannot go back, so the archive does not either."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - anything with bytes
        """Keep a part."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """All parts since the last call."""
        said = b"".join(self._parts)
        self._parts.clear()
        return said


def _files(document: PersonExport) -> list[Any]:
    """Files of the record, and of those that were merged with it."""
    own = [*document.files, *document.resume_files]
    return [*own, *(file for other in document.merged for file in _files(other))]
