"""One record as the source has it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from looma_core.problems import FieldError

KEY_LIMIT = 128
"""Longest key, in characters: with the source's name it must fit the 200 of `source.ref`."""
RAW_LIMIT = 64 * 1024
"""How many bytes of a record the quarantine keeps."""


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """A record that was read, or what stood where one should be.

    Args:
        position: where it stands, from 1; it grows, and a source gives a record the same one however often it is read.
        key: the source's own id; empty where there is none.
        values: its fields without key and time, plain values; empty for a faulty one.
        updated_at: when the source last changed it.
        faults: what is wrong with it as a record; nothing of its content.
        raw: what was read.
        cursor: where the source goes on after it; empty where that is its position.
        anchor: what decides its shard where it has no key; None where its position does, as it never changes.
    """

    position: int
    key: str
    values: Mapping[str, Any]
    updated_at: datetime | None = None
    faults: tuple[FieldError, ...] = ()
    raw: bytes = b""
    cursor: str = ""
    anchor: int | None = None
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.blake2b(self.raw, digest_size=16).digest())

    @property
    def after(self) -> str:
        """The cursor of what follows it."""
        return self.cursor or str(self.position)


def digest_of(values: Mapping[str, Any]) -> bytes:
    """A digest of plain values, 16 bytes; the order of the names does not count."""
    return hashlib.blake2b(msgspec.json.encode(values, order="sorted"), digest_size=16).digest()


def key_hash(key: str) -> int:
    """63 bits that a key always has, in every process."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "big") >> 1


def own_keys(record_id: UUID) -> tuple[str, str]:
    """Keys that a source may have for a record of here: its id, and 12 bytes made of it, as MongoDB's own ids have."""
    return str(record_id), hashlib.blake2b(record_id.bytes, digest_size=12).hexdigest()


def shard_hash(row: SourceRow) -> int:
    """What decides to which shard a row belongs: one key always to the same one, so that two of one key meet there."""
    if row.key:
        return key_hash(row.key)
    return row.position if row.anchor is None else row.anchor


def shard_of(row: SourceRow, shards: int) -> int:
    """The shard of a row."""
    return shard_hash(row) % shards
