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
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from looma_core.api.reading import read
from looma_core.db import new_id
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.records.kind import Kind as RecordKind
from looma_engines.talent_sync.schema import SCHEMA

from ..batch import Batch, Execute
from ..counting import Tally
from ..deciding import DELETED, Decision, Known
from ..judging import plain_values
from ..source_row import SourceRow
from .creations import Creations
from .intents import Intent, Kind, add_intent, intended_values
from .offering import offer
from .refusals import Refusals
from .writable import CHANGED, GONE, Change, Creation, Deletion, Outcome, Written

LEFT: Final = "the record was deleted here, or merged"
FOUND: Final = "found at the source"


class Outbox:
    """The rows of one shard.

    Args:
        execute: runs a statement in the transaction.
        batch: reads what is known of keys.
        seals: seals and opens what is kept.
        entity: the kind of the records.
    """

    def __init__(self, execute: Execute, batch: Batch, seals: Seals, entity: RecordKind[Any]) -> None:
        self._execute = execute
        self._batch = batch
        self._seals = seals
        self._entity = entity
        self.creations = Creations(execute, batch, seals, entity)
        self._refusals = Refusals(execute, seals)

    def keys(self, after: str, limit: int, *, deletions: bool) -> list[str]:
        """Keys after this one whose records changed, or whose source did, since they were last looked at.

        Not those of a person of whom this source has several records: nobody says which of them a change is for. All of
        them where the person was deleted here, and `deletions` are written.
        """
        # In steps along the key's index: what changed since the last run is few or all, which the planner cannot know.
        query = sql.SQL(
            """SELECT page.key, page.shard_hash %% %(shards)s = %(shard)s AND NOT page.gone AND page.is_known
                AND record.id IS NOT NULL
                AND (page.offered_version IS DISTINCT FROM record.version
                    OR page.offered_digest IS DISTINCT FROM page.raw_digest)
                AND (record.deleted_at IS NOT NULL OR NOT EXISTS (SELECT FROM talent_sync.sync_states AS other
                    WHERE other.record_id = page.record_id AND other.entity = %(entity)s
                        AND other.origin = %(origin)s AND other.key <> page.key AND NOT other.gone)) AS is_wanted
            FROM (SELECT key, record_id, shard_hash, gone, base IS NOT NULL AS is_known, offered_version,
                    offered_digest, raw_digest
                FROM talent_sync.sync_states
                WHERE entity = %(entity)s AND origin = %(origin)s AND key > %(after)s
                ORDER BY key LIMIT %(limit)s) AS page
                LEFT JOIN {table} AS record ON record.id = page.record_id
                    AND (record.deleted_at IS NULL OR %(deletions)s)
            ORDER BY page.key"""
        ).format(table=sql.Identifier(SCHEMA, self._entity.table))
        found: list[str] = []
        while len(found) < limit:
            page = list(self._execute(query, after=after, limit=limit, deletions=deletions))
            found += [row.key for row in page if row.is_wanted]
            if len(page) < limit:
                break
            after = page[-1].key
        return found[:limit]

    def intend(self, keys: Sequence[str], places: Collection[str], *, deletions: bool) -> list[Intent]:
        """Write down what of these records is to be written; locks them.

        Those of which nothing is are not looked at again, until they change.
        """
        rows = [SourceRow(position=0, key=key, values={}) for key in keys]
        known = self._batch.states(rows)
        undecided = self._undecided([state.record_id for state in known.values()])
        put_right = self._put_right(keys)
        intents, looked_at = [], []
        for key, state in known.items():
            waits = undecided.get(state.record_id, ())
            if state.deleted and deletions and not state.gone and DELETED not in waits:
                intents.append(Intent(id=new_id(), kind=Kind.DELETE, key=key, known=state, values={}))
            # Since the keys were asked for, somebody may have deleted it.
            if state.deleted or state.gone:
                continue
            right = put_right.get(key, ())
            found = offer(base=state.base, ours=state.values, undecided=waits, places=places, put_right=right)
            if found.changes:
                intents.append(
                    Intent(
                        id=new_id(),
                        kind=Kind.CHANGE,
                        key=key,
                        known=state,
                        values=found.changes,
                        waits=found.waits,
                        put_right=frozenset(right),
                    )
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

        Since they were written down a record may have been deleted, brought back, erased, or merged into another.
        """
        made = self.creations.standing([one for one in intents if one.kind is Kind.CREATE])
        query = sql.SQL(
            """SELECT write.id FROM talent_sync.sync_writes AS write
            JOIN talent_sync.sync_states AS state ON state.entity = write.entity AND state.origin = write.origin
                AND state.key = write.key AND state.record_id = write.record_id
            JOIN {table} AS record ON record.id = state.record_id
            WHERE write.id = ANY(%(ids)s) AND write.state = 'intended'
                AND (record.deleted_at IS NULL) = (write.kind <> 'delete')
            ORDER BY state.key FOR UPDATE OF state"""
        ).format(table=sql.Identifier(SCHEMA, self._entity.table))
        others = [one.id for one in intents if one.kind is not Kind.CREATE]
        return made | {row.id for row in self._execute(query, ids=others)}

    def drop(self, intent: Intent) -> None:
        """Close what is not to be written any more."""
        self._close(intent, Outcome.DROPPED, LEFT)

    def asked_of(self, intent: Intent) -> Change | Creation | Deletion:
        """What a source is asked to do."""
        known = intent.known
        if intent.kind is Kind.CREATE:
            given = {name: value for name, value in intent.values.items() if value not in (None, [])}
            return Creation(record_id=known.record_id, values=given)

        def is_as_read(row: SourceRow) -> bool:
            # What was put right in the quarantine is what no rule took.
            return known.raw_digest in self._seals.digests(row.digest) and (
                not row.faults or bool(intent.put_right)
            )

        if intent.kind is Kind.DELETE:
            return Deletion(key=intent.key, is_as_read=is_as_read)
        base = {name: value for name, value in (known.base or {}).items() if name not in intent.put_right}
        return Change(key=intent.key, values=intent.values, base=base, is_as_read=is_as_read)

    def note(self, intent: Intent, written: Written) -> None:
        """Note what became of an intent, and what the source has since."""
        if intent.kind is Kind.DELETE:
            self._note_deletion(intent, written)
            return
        entity, known = self._entity.name, intent.known
        refused = written.reason if written.outcome is Outcome.REFUSED else None
        self._refusals.note(entity, known.record_id, intent, {**known.values, **intent.values}, refused)
        if intent.kind is Kind.CREATE:
            if written.outcome is Outcome.WRITTEN and written.row is not None:
                self.creations.adopt(intent, written.row, offered=True)
            self._close(intent, written.outcome, written.reason)
            return
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

    def _note_deletion(self, intent: Intent, written: Written) -> None:
        if written.outcome is Outcome.MOVED:
            # It is brought in by the usual rules: a policy or a person decides whether it stays deleted.
            self._settle(intent.key, {intent.id: (written.outcome, written.reason)})
            return
        self._looked_at(intent)
        if written.outcome is Outcome.WRITTEN:
            # What was marked is still there, and what it is now is no change of the source's own.
            self._execute(
                """UPDATE talent_sync.sync_states SET gone = %(gone)s, raw_digest = coalesce(%(digest)s, raw_digest),
                    offered_digest = coalesce(%(digest)s, raw_digest)
                WHERE entity = %(entity)s AND origin = %(origin)s AND key = %(key)s""",
                gone=written.row is None,
                digest=None if written.row is None else self._seals.digest(written.row.digest),
                key=intent.key,
            )
        self._settle(intent.key, {intent.id: (written.outcome, written.reason)})

    def settle_gone(self) -> None:
        """Close deletions that nobody heard of, of records that the source was found to have no more."""
        self._execute(
            """UPDATE talent_sync.sync_writes AS write SET state = 'written', reason = %(reason)s, intended = NULL,
                settled_at = now()
            FROM talent_sync.sync_states AS state
            WHERE write.entity = %(entity)s AND write.origin = %(origin)s AND write.kind = 'delete'
                AND write.state = 'intended' AND state.entity = write.entity AND state.origin = write.origin
                AND state.key = write.key AND state.gone""",
            reason=GONE,
        )

    def with_intended(self, known: Mapping[str, Known]) -> dict[str, Known]:
        """The same, with what was meant to be written of each and may have been."""
        found = self._execute(
            """SELECT id, key, intended FROM talent_sync.sync_writes WHERE entity = %(entity)s AND origin = %(origin)s
                AND key = ANY(%(keys)s) AND state = 'intended' AND kind = 'change' ORDER BY created_at, id""",
            keys=sorted(known),
        ).fetchall()
        meant: dict[str, dict[UUID, dict[str, Any]]] = {}
        for row in found:
            values = intended_values(self._seals.opened_intent(row.id, row.intended))
            meant.setdefault(row.key, {})[row.id] = values
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

    def _put_right(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """By key the fields that a person put right in the quarantine, and that the source has otherwise."""
        rows = self._execute(
            """SELECT key, put_right FROM talent_sync.sync_states WHERE entity = %(entity)s AND origin = %(origin)s
                AND key = ANY(%(keys)s) AND put_right IS NOT NULL""",
            keys=list(keys),
        )
        return {row.key: row.put_right for row in rows}

    def _add(self, intent: Intent) -> None:
        add_intent(self._execute, self._seals, intent)

    def _close(self, intent: Intent, outcome: Outcome, reason: str) -> None:
        if intent.kind is Kind.CREATE:
            self.creations.close(intent, outcome, reason)
        else:
            self._settle(intent.key, {intent.id: (outcome, reason)})

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
                put_right = CASE WHEN %(waits)s THEN put_right END,
                offered_version = %(version)s, offered_digest = %(digest)s
            WHERE entity = %(entity)s AND origin = %(origin)s AND key = %(key)s AND record_id = %(record)s""",
            # Once somebody has decided about the rest of it, it is looked at again.
            version=None if intent.waits else intent.known.version,
            waits=intent.waits,
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
