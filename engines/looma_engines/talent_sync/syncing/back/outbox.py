"""What is meant to be written to a source, and what became of it: rows, inside a transaction under the fence.

    intended   written down before the source is asked; its values are kept, sealed, until it is known what became of it
    written    the source has it
    refused    the source does not take it; nothing is tried again until the record changes, here or there
    moved      the source had changed the record; it was brought in anew, and what is left is meant to be written again
    dropped    nobody carried it out

What was meant and may have been written counts as the source's own when it is read (`offering.without_own`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.types.json import Jsonb

from looma_core.api.reading import read
from looma_core.db import new_id
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.records.kind import Kind
from looma_engines.talent_sync.schema import SCHEMA

from ..batch import Batch, Execute
from ..counting import Tally
from ..deciding import Decision, Known
from ..judging import plain_values
from ..source_row import SourceRow
from .offering import offer
from .writable import CHANGED, Change, Outcome, Written

LEFT: Final = "the record was deleted here, or merged"
FOUND: Final = "found at the source"


class _Field(msgspec.Struct, frozen=True):
    """One field of what is meant to be written."""

    base: Any
    value: Any


_Intended = dict[str, _Field]


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A record to write: its row in the outbox, what is known of it, and the fields.

    `waits` where a person is yet to decide about another field of it.
    """

    id: UUID
    key: str
    known: Known
    values: Mapping[str, Any]
    waits: bool = False


class Outbox:
    """The rows of one shard.

    Args:
        execute: runs a statement in the transaction.
        batch: reads what is known of keys.
        seals: seals and opens what is kept.
        entity: the kind of the records.
    """

    def __init__(self, execute: Execute, batch: Batch, seals: Seals, entity: Kind[Any]) -> None:
        self._execute = execute
        self._batch = batch
        self._seals = seals
        self._entity = entity

    def keys(self, after: str, limit: int) -> list[str]:
        """Keys after this one whose records changed, or whose source did, since they were last looked at.

        Not those of a person of whom this source has several records: nobody says which of them a change is for.
        """
        # In steps along the key's index: what changed since the last run is few or all, which the planner cannot know.
        query = sql.SQL(
            """SELECT page.key, page.shard_hash %% %(shards)s = %(shard)s AND NOT page.gone AND page.is_known
                AND record.id IS NOT NULL
                AND (page.offered_version IS DISTINCT FROM record.version
                    OR page.offered_digest IS DISTINCT FROM page.raw_digest)
                AND NOT EXISTS (SELECT FROM talent_sync.sync_states AS other
                    WHERE other.record_id = page.record_id AND other.entity = %(entity)s
                        AND other.origin = %(origin)s AND other.key <> page.key AND NOT other.gone) AS is_wanted
            FROM (SELECT key, record_id, shard_hash, gone, base IS NOT NULL AS is_known, offered_version,
                    offered_digest, raw_digest
                FROM talent_sync.sync_states
                WHERE entity = %(entity)s AND origin = %(origin)s AND key > %(after)s
                ORDER BY key LIMIT %(limit)s) AS page
                LEFT JOIN {table} AS record ON record.id = page.record_id AND record.deleted_at IS NULL
            ORDER BY page.key"""
        ).format(table=sql.Identifier(SCHEMA, self._entity.table))
        found: list[str] = []
        while len(found) < limit:
            page = list(self._execute(query, after=after, limit=limit))
            found += [row.key for row in page if row.is_wanted]
            if len(page) < limit:
                break
            after = page[-1].key
        return found[:limit]

    def intend(self, keys: Sequence[str], places: Collection[str]) -> list[Intent]:
        """Write down what of these records is to be written; locks them.

        Those of which nothing is are not looked at again, until they change.
        """
        rows = [SourceRow(position=0, key=key, values={}) for key in keys]
        known = self._batch.states(rows)
        undecided = self._undecided([state.record_id for state in known.values()])
        intents, looked_at = [], []
        for key, state in known.items():
            # Since the keys were asked for, somebody may have deleted it.
            if state.deleted or state.gone:
                continue
            found = offer(
                base=state.base,
                ours=state.values,
                undecided=undecided.get(state.record_id, ()),
                places=places,
            )
            if found.changes:
                intents.append(
                    Intent(id=new_id(), key=key, known=state, values=found.changes, waits=found.waits)
                )
            elif not found.waits:
                looked_at.append((key, state.version))
        for intent in intents:
            self._add(intent)
        self._execute(
            """UPDATE talent_sync.sync_states AS state
            SET offered_version = looked.version, offered_digest = state.raw_digest
            FROM unnest(%(keys)s::text[], %(versions)s::int[]) AS looked (key, version)
            WHERE state.entity = %(entity)s AND state.origin = %(origin)s AND state.key = looked.key""",
            keys=[key for key, _ in looked_at],
            versions=[version for _, version in looked_at],
        )
        return intents

    def standing(self, intents: Sequence[Intent]) -> set[UUID]:
        """Which of these are still to be written; whoever erases or merges one of their records waits.

        Since they were written down a record may have been deleted, erased, or merged into another.
        """
        query = sql.SQL(
            """SELECT write.id FROM talent_sync.sync_writes AS write
            JOIN talent_sync.sync_states AS state ON state.entity = write.entity AND state.origin = write.origin
                AND state.key = write.key AND state.record_id = write.record_id
            JOIN {table} AS record ON record.id = state.record_id
            WHERE write.id = ANY(%(ids)s) AND write.state = 'intended' AND record.deleted_at IS NULL
            ORDER BY state.key FOR UPDATE OF state"""
        ).format(table=sql.Identifier(SCHEMA, self._entity.table))
        return {row.id for row in self._execute(query, ids=[intent.id for intent in intents])}

    def drop(self, intent: Intent) -> None:
        """Close what is not to be written any more."""
        self._settle(intent.key, {intent.id: (Outcome.DROPPED, LEFT)})

    def change(self, intent: Intent) -> Change:
        """What a source is asked to write."""
        stored = intent.known.raw_digest
        return Change(
            key=intent.key,
            values=intent.values,
            base=intent.known.base or {},
            is_as_read=lambda row: not row.faults and stored in self._seals.digests(row.digest),
        )

    def note(self, intent: Intent, written: Written) -> None:
        """Note what became of an intent, and what the source has since."""
        reason = written.reason
        if written.outcome is Outcome.MOVED and written.row is not None:
            # What it has may be what an earlier try wrote: whoever brings it in tells (`settle`).
            return
        if written.outcome is Outcome.WRITTEN and written.row is not None:
            reason = self._remember(intent, written.row)
        else:
            # Refused, or gone: nothing is tried again for the same.
            self._looked_at(intent)
        self._settle(intent.key, {intent.id: (written.outcome, reason)})

    def with_intended(self, known: Mapping[str, Known]) -> dict[str, Known]:
        """The same, with what was meant to be written of each and may have been."""
        found = self._execute(
            """SELECT id, key, intended FROM talent_sync.sync_writes WHERE entity = %(entity)s AND origin = %(origin)s
                AND key = ANY(%(keys)s) AND state = 'intended' ORDER BY created_at, id""",
            keys=sorted(known),
        ).fetchall()
        meant: dict[str, dict[UUID, dict[str, Any]]] = {}
        for row in found:
            fields = msgspec.json.decode(self._seals.opened_intent(row.id, row.intended), type=_Intended)
            meant.setdefault(row.key, {})[row.id] = {name: one.value for name, one in fields.items()}
        return {
            key: replace(state, intended=meant[key]) if key in meant else state
            for key, state in known.items()
        }

    def settle(self, decisions: Sequence[Decision], known: Mapping[str, Known]) -> Tally:
        """Close what was meant to be written of records that the source has given since, as it was or otherwise."""
        counts = dict.fromkeys(Outcome, 0)
        for decision in decisions:
            state, base = known.get(decision.row.key), decision.base
            if state is None or base is None or not state.intended:
                continue
            there = {
                intent: len(values)
                for intent, values in state.intended.items()
                if all(base.get(name) == value for name, value in values.items())
            }
            # Of several, by workers that were killed, at most one was carried out: no later one found it as read.
            intent = max(reversed(there), key=there.__getitem__) if there else list(state.intended)[-1]
            outcome, reason = (Outcome.WRITTEN, FOUND) if there else (Outcome.MOVED, CHANGED)
            counts[outcome] += 1
            self._settle(decision.row.key, {intent: (outcome, reason)})
        return Tally(written_back=counts[Outcome.WRITTEN], write_moved=counts[Outcome.MOVED])

    def _undecided(self, records: Sequence[UUID]) -> dict[UUID, set[str]]:
        found: dict[UUID, set[str]] = {}
        for row in self._execute(
            """SELECT record_id, field FROM talent_sync.sync_conflicts
            WHERE record_id = ANY(%(records)s) AND resolution = 'open'""",
            records=list(records),
        ):
            found.setdefault(row.record_id, set()).add(row.field)
        return found

    def _add(self, intent: Intent) -> None:
        base = intent.known.base or {}
        meant = {name: _Field(base=base.get(name), value=value) for name, value in intent.values.items()}
        self._execute(
            """INSERT INTO talent_sync.sync_writes (id, job, epoch, generation, origin, entity, key, record_id, version,
                fields, intended)
            VALUES (%(id)s, %(job)s, %(epoch)s, %(generation)s, %(origin)s, %(entity)s, %(key)s, %(record)s,
                %(version)s, %(fields)s, %(intended)s)""",
            id=intent.id,
            key=intent.key,
            record=intent.known.record_id,
            version=intent.known.version,
            fields=Jsonb(sorted(intent.values)),
            intended=self._seals.intent(intent.id, msgspec.json.encode(meant).decode()),
        )

    def _remember(self, intent: Intent, row: SourceRow) -> str:
        """Keep what the source has since as what it last gave, so that the next reading finds it unchanged."""
        try:
            draft = self._entity.tidy(read(dict(row.values), self._entity.draft))
        except ValidationProblem:
            draft = None
        if draft is None or row.faults:
            # It made something of it that is no record here: the next run says what.
            return "the source keeps it in another form"
        base = plain_values(self._entity, draft)
        record = intent.known.record_id
        self._execute(
            """UPDATE talent_sync.sync_states SET base = %(base)s, raw_digest = %(digest)s,
                offered_version = %(version)s, offered_digest = %(digest)s
            WHERE entity = %(entity)s AND origin = %(origin)s AND key = %(key)s AND record_id = %(record)s""",
            # Once somebody has decided about the rest of it, it is looked at again.
            version=None if intent.waits else intent.known.version,
            base=Jsonb(self._seals.base(self._entity.name, record, base)),
            digest=self._seals.digest(row.digest),
            key=intent.key,
            record=record,
        )
        others = sorted(name for name, value in intent.values.items() if base[name] != value)
        return f"the source keeps {', '.join(others)} in another form" if others else ""

    def _looked_at(self, intent: Intent) -> None:
        if intent.waits:
            return
        self._execute(
            """UPDATE talent_sync.sync_states SET offered_version = %(version)s, offered_digest = raw_digest
            WHERE entity = %(entity)s AND origin = %(origin)s AND key = %(key)s""",
            version=intent.known.version,
            key=intent.key,
        )

    def _settle(self, key: str, became: Mapping[UUID, tuple[Outcome, str]]) -> None:
        """Close these, and whatever else of the key nobody carried out."""
        for intent, (outcome, reason) in became.items():
            self._execute(
                """UPDATE talent_sync.sync_writes SET state = %(state)s, reason = nullif(%(reason)s, ''),
                    intended = NULL, settled_at = now()
                WHERE id = %(id)s AND state = 'intended'""",
                id=intent,
                state=str(outcome),
                reason=reason,
            )
        self._execute(
            """UPDATE talent_sync.sync_writes SET state = %(state)s, reason = 'a later write took its place',
                intended = NULL, settled_at = now()
            WHERE entity = %(entity)s AND origin = %(origin)s AND key = %(key)s AND state = 'intended'""",
            key=key,
            state=str(Outcome.DROPPED),
        )
