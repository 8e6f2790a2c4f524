"""What is meant to be written of one record, and its row in the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from looma_engines.talent_sync.privacy.fields import Seals

from ..batch import Execute
from ..deciding import Known


class Kind(StrEnum):
    """What is done to the record there."""

    CHANGE = "change"
    CREATE = "create"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A record to write: its row in the outbox, what is known of it, and the fields.

    `key` is empty for one that the source is yet to make. `waits` where a person is yet to decide about another field
    of it. `put_right` are fields that a person put right in the quarantine: of those the source has what no rule took.
    """

    id: UUID
    kind: Kind
    key: str
    known: Known
    values: Mapping[str, Any]
    waits: bool = False
    put_right: frozenset[str] = frozenset()


class _Field(msgspec.Struct, frozen=True):
    """One field of what is meant to be written."""

    base: Any
    value: Any


def add_intent(execute: Execute, seals: Seals, intent: Intent) -> None:
    """Write an intent down, with what the source had and is to have of each field, sealed as a whole."""
    base = intent.known.base or {}
    meant = {name: _Field(base=base.get(name), value=value) for name, value in intent.values.items()}
    execute(
        """INSERT INTO talent_sync.sync_writes (id, job, epoch, generation, origin, entity, kind, key, record_id,
            version, fields, intended)
        VALUES (%(id)s, %(job)s, %(epoch)s, %(generation)s, %(origin)s, %(entity)s, %(kind)s, nullif(%(key)s, ''),
            %(record)s, %(version)s, %(fields)s, %(intended)s)""",
        id=intent.id,
        kind=str(intent.kind),
        key=intent.key,
        record=intent.known.record_id,
        version=intent.known.version,
        fields=Jsonb(sorted(intent.values)),
        intended=seals.intent(intent.id, msgspec.json.encode(meant).decode()),
    )


def intended_values(opened: str) -> dict[str, Any]:
    """The fields that were meant to be written, with their values."""
    return {name: one.value for name, one in msgspec.json.decode(opened, type=dict[str, _Field]).items()}
