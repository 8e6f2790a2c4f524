"""What is stored of a person, as a plain value: one place for whatever keeps it in another form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID


class Opens(Protocol):
    """Reads what rows of one tenant hold."""

    def values(self, entity: str, record_id: UUID, columns: Mapping[str, Any], /) -> Mapping[str, Any]:
        """The fields of a record, of its columns."""

    def changes(self, entity: str, record_id: UUID, changes: Mapping[str, Any], /) -> Mapping[str, Any]:
        """What an entry of the history says of a record."""

    def opened_base(self, entity: str, record_id: UUID, base: Mapping[str, Any], /) -> Mapping[str, Any]:
        """What a source last gave of a record."""

    def opened_side(self, entity: str, conflict_id: UUID, field: str, side: str, value: object, /) -> object:
        """One side of a conflict about a field."""

    def opened_raw(self, entry_id: UUID, raw: str, /) -> str:
        """What a source had of a record that could not be taken."""

    def hashes(self, field: str, value: str, /) -> list[str]:
        """What the column of a field's hash may have where the value is stored sealed."""
