"""Records of here that a source is to have: which they are, and what became of them; inside a transaction.

The source gives the key, or makes it of our id. Until it is known, nothing here says that what the source has is ours:
so whoever brings a batch in first asks the source for what is meant to be made and may have been (`pending`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, get_args
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from looma_core.api.reading import read
from looma_core.api.source import SourceType
from looma_core.db import new_id
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.records.kind import Kind as RecordKind
from looma_engines.talent_sync.schema import SCHEMA

from ..batch import SOURCE_TYPE, Batch, Execute
from ..judging import plain_values
from ..source_row import SourceRow, digest_of, key_hash
from .intents import Intent, Kind, add_intent
from .writable import Outcome

FOUND = "found at the source"
_PAGE = 500
_OF_PEOPLE = sorted({*get_args(SourceType)} - {SOURCE_TYPE})
"""Types of sources that are no sync job's; named, so that an index finds them among many that sync jobs brought."""


class Creations:
    """The records of one kind and the source of one SyncJob.

    Args:
        execute: runs a statement in the transaction.
        batch: reads what is known of records.
        seals: seals and opens what is kept.
        entity: the kind of the records.
    """

    def __init__(self, execute: Execute, batch: Batch, seals: Seals, entity: RecordKind[Any]) -> None:
        self._execute = execute
        self._batch = batch
        self._seals = seals
        self._entity = entity
        self._table = sql.Identifier(SCHEMA, entity.table)

    def wanted(self, after: UUID | None, limit: int, *, shard: int, shards: int) -> list[UUID]:
        """Records after this one that were made here, belong to the shard, and that the source has not.

        Not what another sync job brought, and what the source refused before it has changed.
        """
        query = sql.SQL(
            """SELECT record.id FROM {table} AS record
            WHERE record.id > %(after)s AND record.deleted_at IS NULL AND record.source_type = ANY(%(types)s)
                AND NOT EXISTS (SELECT FROM talent_sync.sync_states AS state WHERE state.record_id = record.id
                    AND state.entity = %(entity)s AND state.origin = %(origin)s)
                AND NOT EXISTS (SELECT FROM talent_sync.sync_writes AS write WHERE write.record_id = record.id
                    AND write.entity = %(entity)s AND write.origin = %(origin)s AND write.kind = 'create'
                    AND write.state = 'refused' AND write.version = record.version)
            ORDER BY record.id LIMIT %(limit)s"""
        ).format(table=self._table)
        found: list[UUID] = []
        last = after or UUID(int=0)
        while len(found) < limit:
            page = [row.id for row in self._execute(query, after=last, types=_OF_PEOPLE, limit=_PAGE)]
            found += [one for one in page if key_hash(str(one)) % shards == shard]
            if len(page) < _PAGE:
                break
            last = page[-1]
        return found[:limit]

    def intend(self, records: Sequence[UUID], places: Collection[str]) -> list[Intent]:
        """Write down that the source is to have these; locks them."""
        intents = [
            Intent(
                id=new_id(),
                kind=Kind.CREATE,
                key="",
                known=known,
                values={name: value for name, value in known.values.items() if name in places},
            )
            for known in self._batch.records(records)
            if not known.deleted
        ]
        for intent in intents:
            add_intent(self._execute, self._seals, intent)
        return intents

    def standing(self, intents: Sequence[Intent]) -> set[UUID]:
        """Which of these are still to be made; whoever erases, deletes or merges one of their records waits."""
        if not intents:
            return set()
        self._execute(
            sql.SQL("SELECT id FROM {} WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE").format(self._table),
            ids=[intent.known.record_id for intent in intents],
        )
        query = sql.SQL(
            """SELECT write.id FROM talent_sync.sync_writes AS write JOIN {} AS record ON record.id = write.record_id
            WHERE write.id = ANY(%(ids)s) AND write.state = 'intended' AND record.deleted_at IS NULL
                AND NOT EXISTS (SELECT FROM talent_sync.sync_states AS state WHERE state.record_id = record.id
                    AND state.entity = %(entity)s AND state.origin = %(origin)s)
            ORDER BY write.id FOR UPDATE OF write"""
        ).format(self._table)
        return {row.id for row in self._execute(query, ids=[intent.id for intent in intents])}

    def settle_pending(self, find: Callable[[UUID], SourceRow | None]) -> int:
        """Ask the source for what was meant to be made and may have been; how many it has.

        Whatever a batch has of them was made before it was read, and is found now. A worker that is making one of them
        at this moment is waited for.
        """
        pending = self._execute(
            """SELECT id, record_id FROM talent_sync.sync_writes WHERE entity = %(entity)s AND origin = %(origin)s
                AND kind = 'create' AND state = 'intended' ORDER BY id FOR UPDATE"""
        ).fetchall()
        made: set[UUID] = set()
        for row in pending:
            # Of several, by workers that were killed, one was carried out.
            if row.record_id in made or (there := find(row.record_id)) is None:
                continue
            known = next(iter(self._batch.records([row.record_id])), None)
            if known is None:
                continue
            intent = Intent(id=row.id, kind=Kind.CREATE, key="", known=known, values={})
            if self.adopt(intent, there, offered=False):
                made.add(row.record_id)
                self.close(intent, Outcome.WRITTEN, FOUND)
        return len(made)

    def adopt(self, intent: Intent, row: SourceRow, *, offered: bool) -> bool:
        """Keep under which key the source has a record, and what it has of it; whether the key is one.

        Args:
            intent: what was meant to be made.
            row: what the source has.
            offered: whether it was asked to have the record as it is now.
        """
        if not row.key:
            return False
        known, record_id = intent.known, intent.known.record_id
        base, is_record = dict(known.values), False
        try:
            draft = self._entity.tidy(read(dict(row.values), self._entity.draft))
        except ValidationProblem:
            # It made something of it that is no record here: the next run says what.
            pass
        else:
            is_record = not row.faults
            base = plain_values(self._entity, draft) if is_record else base
        digest = self._seals.digest(row.digest) if is_record else None
        self._execute(
            """INSERT INTO talent_sync.sync_states (entity, origin, key, record_id, base, raw_digest, written_version,
                written_digest, seen_generation, seen_position, shard_hash, offered_version, offered_digest)
            VALUES (%(entity)s, %(origin)s, %(key)s, %(record)s, %(base)s, %(digest)s, %(version)s, %(written)s,
                %(generation)s, 0, %(hash)s, %(offered)s, %(digest)s)
            ON CONFLICT (tenant, entity, origin, key) DO NOTHING""",
            key=row.key,
            record=record_id,
            base=Jsonb(self._seals.base(self._entity.name, record_id, base)),
            digest=digest,
            offered=known.version if offered else None,
            version=known.version,
            written=self._seals.digest(digest_of(known.values)),
            hash=key_hash(row.key),
        )
        self._execute(
            "UPDATE talent_sync.sync_writes SET key = %(key)s WHERE id = %(id)s", key=row.key, id=intent.id
        )
        return True

    def close(self, intent: Intent, outcome: Outcome, reason: str) -> None:
        """Close this, and whatever else of the record nobody carried out."""
        for chosen, state, why in (
            ("id = %(id)s", outcome, reason),
            (
                "record_id = %(record)s AND entity = %(entity)s AND origin = %(origin)s AND kind = 'create'",
                Outcome.DROPPED,
                "a later write took its place",
            ),
        ):
            self._execute(
                f"""UPDATE talent_sync.sync_writes SET state = %(state)s, reason = nullif(%(reason)s, ''),
                    intended = NULL, settled_at = now()
                WHERE {chosen} AND state = 'intended'""",  # noqa: S608 - our own words
                id=intent.id,
                record=intent.known.record_id,
                state=str(state),
                reason=why,
            )
