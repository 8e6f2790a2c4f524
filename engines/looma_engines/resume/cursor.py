"""Cursors of the list of résumés: the last id of the page before, as an opaque text."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID


def encode(last: UUID) -> str:
    """The cursor for the page after this résumé."""
    return urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def decode(cursor: str) -> UUID:
    """The id in a cursor; raises ValueError if it is not one of ours."""
    return UUID(bytes=urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
