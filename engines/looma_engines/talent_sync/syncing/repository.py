"""One batch, one transaction: the fence is asked, records, states, quarantine and checkpoint are written together.

So neither a worker that is killed between two steps nor one that wakes up after its run can leave half of a batch, or
write one twice: what is committed has its checkpoint with it, and the fence's row is held until the commit.

`COPY` goes into a temporary table, since it does not work on tables under row-level security; what is copied goes on by
`INSERT ... SELECT` under the tenant's own policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from looma_core.db import new_id
from looma_engines.talent_sync.kinds import RELATION
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sealing import Sealer
from looma_engines.talent_sync.records.kind import Kind
from looma_engines.talent_sync.rights.ledger import LedgerKey

from . import shards
from .back.outbox import Outbox
from .batch import SOURCE_TYPE, Batch
from .conflicting import note_conflicts
from .counting import Tally
from .deciding import Decision, Found
from .erased import ErasedKeys
from .marks import Marks
from .referring import References
from .refused import quarantine
from .related import lock_relations, relations_beside
from .repairs import REPAIR, actor_of
from .source_row import SourceRow
from .spans import Run, Span


class FenceError(Exception):
    """A newer run has taken the fence, or another SyncJob of the name: nothing was written."""


class MovedError(Exception):
    """Another worker of this shard wrote in between; whoever begins anew goes on where that one is."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which shard of which run, and what its records say of their source."""

    tenant: str
    job: str
    uid: str
    epoch: int
    shard: int
    shards: int
    run: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """How far a shard is, after how many batches, and what it did until there.

    `generation` is the run's number among all runs of all SyncJobs, in the order in which they took their fences.
    `cursor` is where the source goes on, in the source's own words, `latest` the latest change that was read.
    """

    generation: int
    step: int
    position: int
    tally: Tally
    cursor: str = ""
    latest: datetime | None = None


class SyncRepository:
    """Writes the batches of one shard.

    Args:
        connection: from `connect`, used by nobody else.
        place: the shard.
        entity: the kind of its records.
        sealer: the keys of what is stored of people.
        ledger: tells which keys were erased; None where nothing ever was.
        references: by field, the name of the source whose keys its values are.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        place: Place,
        entity: Kind[Any],
        sealer: Sealer,
        *,
        ledger: LedgerKey | None = None,
        references: Mapping[str, str] | None = None,
    ) -> None:
        self._connection = connection
        self._place = place
        self._seals = Seals(sealer, place.tenant)
        self._erased = ErasedKeys(
            self._execute, ledger, tenant=place.tenant, entity=entity.name, origin=place.origin
        )
        self._references = References(
            self._execute,
            entity,
            references or {},
            lambda kind, origin: ErasedKeys(
                self._execute, ledger, tenant=place.tenant, entity=kind, origin=origin
            ),
        )
        self._batch = Batch(connection, self._execute, entity, origin=place.origin, seals=self._seals)
        self._outbox = Outbox(self._execute, self._batch, self._seals, entity)
        self._in_place = {
            "job": place.job,
            "uid": place.uid,
            "epoch": place.epoch,
            "shard": place.shard,
            "shards": place.shards,
            "run": place.run,
            "origin": place.origin,
            "entity": entity.name,
        }

    def begin(self) -> Checkpoint:
        """Take the fence for this run, and read how far its shard is.

        Raises:
            FenceError: a newer run has it.
        """
        with self._transaction():
            self._execute(
                """INSERT INTO talent_sync.sync_fences AS fence (job, uid, epoch) VALUES (%(job)s, %(uid)s, %(epoch)s)
                ON CONFLICT (tenant, job) DO UPDATE SET uid = excluded.uid, epoch = excluded.epoch,
                    generation = excluded.generation, updated_at = now()
                WHERE fence.uid <> excluded.uid OR fence.epoch < excluded.epoch"""
            )
            generation = self._check_fence()
            self._execute(
                """INSERT INTO talent_sync.sync_shards
                    (id, job, uid, epoch, generation, shard, shards, run, origin, entity)
                VALUES (%(id)s, %(job)s, %(uid)s, %(epoch)s, %(generation)s, %(shard)s, %(shards)s,
                    %(run)s, %(origin)s, %(entity)s)
                ON CONFLICT (tenant, job, uid, epoch, shard) DO NOTHING""",
                id=new_id(),
            )
            return self._checkpoint(generation)

    def checkpoint(self) -> Checkpoint:
        """How far the shard is.

        Raises:
            FenceError: a newer run has the fence.
        """
        with self._transaction():
            return self._checkpoint(self._check_fence())

    def write(
        self,
        rows: Sequence[SourceRow],
        *,
        after: Checkpoint,
        position: int,
        cursor: str,
        latest: datetime | None,
        decide: Callable[[Found], list[Decision]],
        keeps_refused: bool,
        again: bool = False,
        repairs: bool = False,
        find: Callable[[UUID], SourceRow | None] = lambda _: None,
    ) -> Checkpoint:
        """Write a batch and its checkpoint.

        Args:
            rows: the batch.
            after: the checkpoint that it follows.
            position: where the shard is after it.
            cursor: where the source goes on after it.
            latest: the latest change that was read.
            decide: what becomes of each row; pure.
            keeps_refused: whether the quarantine takes what is refused.
            again: whether the rows were counted before.
            repairs: whether the database was found not to hold them: what is written then is told as a repair.
            find: what the source has of a record of here that was meant to be made there.

        Raises:
            FenceError: a newer run has the fence; nothing was written.
            MovedError: the shard is not at `after`; nothing was written.
        """
        with self._transaction(origin=REPAIR if repairs else SOURCE_TYPE):
            if self._checkpoint(self._check_fence(), lock=True).step != after.step:
                raise MovedError
            if self._batch.entity == RELATION.name:
                lock_relations(self._execute)
            given, referred = rows, self._references.resolve(rows)
            rows = referred.rows
            known, own = self._batch.known(rows), Tally()
            if any(row.key and row.key not in known for row in rows):
                # One of them may be a record of here that the source was to have, whose key nobody heard of.
                made = self._outbox.creations.settle_pending(find)
                own = Tally(written_back=made, created_back=made)
                known = self._batch.known(rows) if made else known
            known = self._outbox.with_intended(known)
            present = self._batch.present(rows)
            found = Found(
                rows=rows,
                known=known,
                present=present,
                erased=self.erased_among(rows) | self._references.erased(given),
                absent=referred.faults,
                beside=relations_beside(self._execute, rows, known)
                if self._batch.entity == RELATION.name
                else None,
            )
            decisions = decide(found)
            self._batch.write(decisions, known)
            note_conflicts(self._execute, self._seals, decisions, entity=self._batch.entity)
            if keeps_refused:
                quarantine(self._execute, self._seals, decisions)
            own += self._outbox.settle(decisions, known)
            counted = Tally.of(decisions, keeps_refused=keeps_refused, again=again, repairs=repairs)
            tally = after.tally + own + counted
            reached = replace(after, position=position, cursor=cursor, latest=latest, tally=tally)
            return self._save(reached)

    def sweep(self, *, after: Checkpoint) -> Checkpoint:
        """Delete what the source had in an earlier run and has no more; for a run that read all of it.

        Raises:
            FenceError, MovedError: as `write`.
        """
        with self._transaction():
            if self._checkpoint(self._check_fence(), lock=True).step != after.step:
                raise MovedError
            deleted = self._batch.sweep()
            self._outbox.settle_gone()
            gone = Marks.of((mark, None) for mark in deleted if mark is not None)
            return self._save(replace(after, tally=after.tally + Tally(deleted=len(deleted), quality=gone)))

    def back(self, *, after: Checkpoint, action: Callable[[Outbox], Tally]) -> Checkpoint:
        """Do a step of writing back: nothing is done for a run that is over, nor by a worker that was followed.

        Args:
            after: the checkpoint that it follows.
            action: what is done; a newer run waits for its end.

        Raises:
            FenceError, MovedError: as `write`.
        """
        with self._transaction():
            if self._checkpoint(self._check_fence(), lock=True).step != after.step:
                raise MovedError
            return self._save(replace(after, tally=after.tally + action(self._outbox)))

    def back_keys(self, after: str, limit: int, *, deletions: bool) -> list[str]:
        """Keys after this one of which something may be to be written back.

        Raises:
            FenceError: a newer run has the fence.
        """
        with self._transaction():
            self._check_fence()
            return self._outbox.keys(after, limit, deletions=deletions)

    def back_records(self, after: UUID | None, limit: int) -> list[UUID]:
        """Records after this one that were made here and that the source is to have.

        Raises:
            FenceError: a newer run has the fence.
        """
        with self._transaction():
            self._check_fence()
            return self._outbox.creations.wanted(
                after, limit, shard=self._place.shard, shards=self._place.shards
            )

    def erased(self, rows: Sequence[SourceRow]) -> set[str]:
        """Keys of the rows whose records were erased here.

        Raises:
            FenceError: a newer run has the fence.
        """
        with self._transaction():
            self._check_fence()
            return self.erased_among(rows)

    def erased_among(self, rows: Sequence[SourceRow]) -> set[str]:
        """The same, inside a step of writing back."""
        return self._erased.among(row.key for row in rows if row.key)

    def stored(self, rows: Sequence[SourceRow]) -> dict[int, bytes]:
        """Digests of what the database holds for the rows, by their positions: of the record, or of its quarantine.

        It is the row's own where that is held as the source has it. A record that nobody changed since this engine
        wrote it must still have just what was written, else nothing is held. One that was erased is held by not being
        there.
        """
        with self._transaction():
            erased = self.erased_among(rows) | self._references.erased(rows)
            known = self._batch.stored(rows)
            digests = {stored: row.digest for row in rows for stored in self._seals.digests(row.digest)}
            quarantined = {
                (found.key, digests[bytes(found.raw_digest)])
                for found in self._execute(
                    """SELECT key, raw_digest FROM talent_sync.quarantine
                    WHERE entity = %(entity)s AND origin = %(origin)s AND raw_digest = ANY(%(digests)s)""",
                    digests=list(digests),
                )
            }
        held: dict[int, bytes] = {}
        for row in rows:
            state = known.get(row.key)
            if row.key in erased or (row.key, row.digest) in quarantined:
                held[row.position] = row.digest
            elif state is not None and state.intact and state.raw_digest is not None:
                held[row.position] = state.raw_digest
        return held

    def span(self, decide: Callable[[Sequence[Run], Span | None], Span]) -> Span:
        """What this shard reads of its source: what was said before, by an earlier pod of it, or what `decide` says.

        Args:
            decide: from the runs that succeeded, the newest first, and what another shard of this run reads; pure.

        Raises:
            FenceError: a newer run has the fence.
        """
        with self._transaction():
            # Two shards that begin at once must not each say something of its own.
            self._check_fence(lock="UPDATE")
            return shards.span(self._execute, decide)

    def end(
        self, verification: Mapping[str, Any], *, whole: bool = True, watermark: datetime | None = None
    ) -> None:
        """Note that the shard is done, and what looking at it again found.

        What waits in quarantine and the source has no more waits no longer, where all of the source was read (`whole`).
        The next run may read from the `watermark` on, once all shards of this one are done.

        Raises:
            FenceError: a newer run has the fence.
        """
        with self._transaction():
            self._check_fence()
            shards.end(self._execute, verification, whole=whole, watermark=watermark)

    # ---- what a transaction is made of -----------------------------------------------------------------

    @contextmanager
    def _transaction(self, *, origin: str = SOURCE_TYPE) -> Iterator[None]:
        with self._connection.transaction():
            self._connection.execute(
                "SELECT set_config('looma.tenant', %s, true) AS tenant, set_config('looma.actor', %s, true) AS actor,"
                " set_config('looma.origin', %s, true) AS origin",
                (self._place.tenant, actor_of(self._place.job), origin),
            )
            yield

    def _execute(self, query: str | sql.Composed, **more: Any) -> psycopg.Cursor[Any]:
        return self._connection.execute(query, {**self._in_place, **more})

    def _check_fence(self, lock: Literal["SHARE", "UPDATE"] = "SHARE") -> int:
        # Shared: the shards of one run write side by side, and a newer run waits until they are done.
        query = sql.SQL(
            """SELECT generation FROM talent_sync.sync_fences
            WHERE job = %(job)s AND uid = %(uid)s AND epoch = %(epoch)s FOR {}"""
        )
        held = self._execute(query.format(sql.SQL(lock))).fetchone()
        if held is None:
            raise FenceError(f"epoch {self._place.epoch} is over: a newer run has taken the fence")
        self._in_place["generation"] = held.generation
        return int(held.generation)

    def _checkpoint(self, generation: int, *, lock: bool = False) -> Checkpoint:
        query = sql.SQL(
            """SELECT step, position, cursor, latest, counts FROM talent_sync.sync_shards
            WHERE job = %(job)s AND uid = %(uid)s AND epoch = %(epoch)s AND shard = %(shard)s {lock}"""
        ).format(lock=sql.SQL("FOR UPDATE" if lock else ""))
        found = self._execute(query).fetchone()
        if found is None:
            raise MovedError
        return Checkpoint(
            generation=generation,
            step=found.step,
            position=found.position,
            tally=msgspec.convert(found.counts, Tally),
            # A run that began before sources had cursors of their own read a file.
            cursor=found.cursor or (str(found.position) if found.position else ""),
            latest=found.latest,
        )

    def _save(self, reached: Checkpoint) -> Checkpoint:
        checkpoint = replace(reached, step=reached.step + 1)
        self._execute(
            """UPDATE talent_sync.sync_shards
            SET step = %(step)s, position = %(position)s, cursor = %(cursor)s, latest = %(latest)s,
                counts = %(counts)s, updated_at = now()
            WHERE job = %(job)s AND uid = %(uid)s AND epoch = %(epoch)s AND shard = %(shard)s""",
            step=checkpoint.step,
            position=checkpoint.position,
            cursor=checkpoint.cursor,
            latest=checkpoint.latest,
            counts=Jsonb(msgspec.to_builtins(checkpoint.tally)),
        )
        return checkpoint
