"""What is copied to the database of a record: one row of the staging table. Pure.

Of a record that nobody knows yet all of it is known before its batch is written, even the id that it will have. So it
is made as soon as the rules have taken the record, while the database is busy with the batch before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from looma_core.db import new_id
from looma_engines.talent_sync.privacy.fields import Seals

from .marks import Mark, kept
from .source_row import SourceRow, digest_of, key_hash


class StagedRow(NamedTuple):
    """The row's columns. `fields` are the record's columns, None where the record stays as it is."""

    key: str
    id: UUID
    new: bool
    version: int
    fields: msgspec.Raw | None
    base: msgspec.Raw
    raw_digest: bytes
    written_digest: bytes
    position: int
    hash: int
    quality: msgspec.Raw | None


class Staging:
    """Makes rows of records of one kind.

    Args:
        seals: of their tenant.
        entity: the kind.
    """

    def __init__(self, seals: Seals, entity: str) -> None:
        self._seals = seals
        self._entity = entity

    def created(self, row: SourceRow, base: Mapping[str, Any], mark: Mark) -> StagedRow:
        """The row of a record that comes to be, with an id of its own."""
        return self.row(row, new_id(), new=True, version=1, fields=base, stands=base, base=base, mark=mark)

    def row(
        self,
        row: SourceRow,
        record_id: UUID,
        *,
        new: bool,
        version: int,
        fields: Mapping[str, Any] | None,
        stands: Mapping[str, Any],
        base: Mapping[str, Any],
        mark: Mark | None,
    ) -> StagedRow:
        """The row of a record.

        Args:
            row: what the source has.
            record_id: the record's.
            new: whether there was no record.
            version: of the record after the batch.
            fields: what is to be written of it, None for nothing.
            stands: its fields after the batch, written or not.
            base: what the source gave, tidied.
            mark: how good it is after the batch, None where nobody knows.
        """
        return StagedRow(
            key=row.key,
            id=record_id,
            new=new,
            version=version,
            fields=None if fields is None else _json(self._seals.columns(self._entity, record_id, fields)),
            base=_json(self._seals.base(self._entity, record_id, base)),
            raw_digest=self._seals.digest(row.digest),
            written_digest=self._seals.digest(digest_of(stands)),
            position=row.position,
            hash=key_hash(row.key),
            quality=None if mark is None else _json(kept(mark, version)),
        )


def _json(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
