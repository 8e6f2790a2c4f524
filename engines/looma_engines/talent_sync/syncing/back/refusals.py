"""What a source refused waits in the quarantine, as what it was to get, for a person to put right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from looma_core.db import new_id
from looma_core.problems import FieldError
from looma_engines.talent_sync.privacy.fields import Seals

from ..batch import Execute
from ..source_row import RAW_LIMIT, digest_of, key_hash
from .intents import Intent


class Refusals:
    """Entries of the quarantine whose direction is `back`.

    Args:
        execute: runs a statement in the transaction.
        seals: seals what is kept.
    """

    def __init__(self, execute: Execute, seals: Seals) -> None:
        self._execute = execute
        self._seals = seals

    def note(
        self, entity: str, record_id: UUID, intent: Intent, values: Mapping[str, Any], reason: str | None
    ) -> None:
        """Keep what was refused, and close what waits of the record since an earlier time.

        Args:
            entity: the kind of the record.
            record_id: its id.
            intent: what was to be written.
            values: all fields of the record, as it was to be there.
            reason: why the source does not take it; None where it did.
        """
        raw = msgspec.json.encode(values, order="sorted")
        digest = self._seals.digest(digest_of({"back": str(record_id), "values": dict(values)}))
        self._execute(
            """UPDATE talent_sync.quarantine SET state = 'superseded', settled_at = now(), settled_by = 'sync',
                version = version + 1
            WHERE direction = 'back' AND record_id = %(record)s AND entity = %(entity)s AND origin = %(origin)s
                AND state = 'open' AND (raw_digest <> %(digest)s OR %(taken)s)""",
            record=record_id,
            digest=digest,
            taken=reason is None,
        )
        if reason is None:
            return
        entry_id = new_id()
        kept = raw[:RAW_LIMIT].decode("utf-8", "replace")
        names = sorted(intent.values)
        # Of several fields the source seldom says which one it is.
        fault = FieldError(field=names[0] if len(names) == 1 else "source", message=reason)
        self._execute(
            """INSERT INTO talent_sync.quarantine AS entry (id, job, epoch, generation, origin, entity, key, position,
                shard_hash, raw, raw_digest, whole, errors, record_id, direction)
            VALUES (%(id)s, %(job)s, %(epoch)s, %(generation)s, %(origin)s, %(entity)s, %(key)s, 0, %(hash)s,
                %(raw)s, %(digest)s, %(whole)s, %(errors)s, %(record)s, 'back')
            ON CONFLICT (tenant, entity, origin, key, raw_digest) WHERE state <> 'superseded'
            DO UPDATE SET epoch = excluded.epoch, generation = excluded.generation, errors = excluded.errors,
                times = entry.times + 1, seen_at = now(), version = entry.version + 1,
                state = CASE entry.state WHEN 'replayed' THEN 'open' ELSE entry.state END,
                settled_at = CASE entry.state WHEN 'replayed' THEN NULL ELSE entry.settled_at END,
                settled_by = CASE entry.state WHEN 'replayed' THEN NULL ELSE entry.settled_by END""",
            id=entry_id,
            key=intent.key,
            hash=key_hash(intent.key or str(record_id)),
            raw=self._seals.raw(entry_id, kept),
            digest=digest,
            whole=len(raw) <= RAW_LIMIT and "\\u0000" not in kept,
            errors=Jsonb([msgspec.to_builtins(fault)]),
            record=record_id,
        )
