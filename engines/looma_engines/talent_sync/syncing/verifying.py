"""What a second reading of a source found in the database, as counts and checksums of a shard. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from .source_row import SourceRow

_BYTES = 8
_MODULUS = 1 << 8 * _BYTES


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """How many records were looked for, how many the database holds as the source has them, and both checksums.

    A checksum is the sum of the digests' first eight bytes, modulo 2 to the 64: whatever the order in which a source
    gives its records, it is the same, and it may be added up batch by batch.
    """

    looked: int = 0
    held: int = 0
    source: int = 0
    stored: int = 0

    def __add__(self, other: Looked) -> Looked:
        return Looked(
            looked=self.looked + other.looked,
            held=self.held + other.held,
            source=(self.source + other.source) % _MODULUS,
            stored=(self.stored + other.stored) % _MODULUS,
        )

    @classmethod
    def of(cls, rows: Sequence[SourceRow], stored: Mapping[int, bytes]) -> Looked:
        """Of some rows and the digests of what is held for them, by the rows' positions."""
        return cls(
            looked=len(rows),
            held=len(rows) - len(missing(rows, stored)),
            source=_sum(row.digest for row in rows),
            stored=_sum(stored[row.position] for row in rows if row.position in stored),
        )

    def kept(self) -> dict[str, Any]:
        """As the shard keeps it."""
        return {
            "looked": self.looked,
            "held": self.held,
            "source_checksum": f"{self.source:0{2 * _BYTES}x}",
            "stored_checksum": f"{self.stored:0{2 * _BYTES}x}",
        }


def missing(rows: Sequence[SourceRow], stored: Mapping[int, bytes]) -> list[SourceRow]:
    """The rows that the database does not hold as the source has them."""
    return [row for row in rows if stored.get(row.position) != row.digest]


def _sum(digests: Iterable[bytes]) -> int:
    return sum(int.from_bytes(digest[:_BYTES], "big") for digest in digests) % _MODULUS
