"""A file in parts, each compressed by itself, so that nobody holds all of it. Pure."""

from __future__ import annotations

import zlib

PART_BYTES = 512 * 1024
LEVEL = 6


class DamagedPart(Exception):
    """A part is not what was stored there."""


def parts_of(size: int) -> int:
    """How many parts a file of this size has.

    | size                | parts |
    | ------------------- | ----- |
    | 1                   | 1     |
    | PART_BYTES          | 1     |
    | PART_BYTES + 1      | 2     |
    """
    return -(-size // PART_BYTES)


def length_of(position: int, size: int) -> int:
    """Bytes of one part of a file of this size, counted from 0."""
    return min(PART_BYTES, size - position * PART_BYTES)


def packed(part: bytes) -> bytes:
    """A part as it is sealed."""
    return zlib.compress(part, LEVEL)


def unpacked(stored: bytes, *, length: int) -> bytes:
    """A part as it came.

    Raises:
        DamagedPart: it is not of that length.
    """
    reader = zlib.decompressobj()
    try:
        # Never more than one byte too many, whatever it says.
        part = reader.decompress(stored, length + 1)
    except zlib.error as error:
        raise DamagedPart("a part of a file does not unpack") from error
    if len(part) != length:
        raise DamagedPart("a part of a file has another length than it was stored with")
    return part
