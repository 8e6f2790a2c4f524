"""The statements of one batch, inside a transaction that has its tenant and holds the fence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from looma_core.db import new_id
from looma_engines.talent_sync.privacy.fields import SEALED, Seals, hash_column
from looma_engines.talent_sync.records.kind import Kind
from looma_engines.talent_sync.rights.naming import read_id
from looma_engines.talent_sync.schema import SCHEMA

from .deciding import KEY, Decision, Known, Verdict
from .marks import Mark, kept, known_mark
from .source_row import SourceRow, digest_of
from .staging import StagedRow, Staging

SOURCE_TYPE: Final = "sync"
# Rows that fit a page stay as they are: what is read once and thrown away is not worth being compressed.
_STAGING = """CREATE TEMP TABLE IF NOT EXISTS sync_staging
    (key text, id uuid, new boolean, version integer, fields jsonb, base jsonb,
     raw_digest bytea, written_digest bytea, position bigint, hash bigint, quality jsonb)
    WITH (toast_tuple_target = 8160) ON COMMIT DELETE ROWS"""
_TYPES = ("text", "uuid", "bool", "int4", "jsonb", "jsonb", "bytea", "bytea", "int8", "int8", "jsonb")
ENDS = {"talent": ("talent_id", "other_talent_id"), "company": ("company_id",), "job": ("job_id",)}
"""Which ends of a relation a kind of record may be."""
WRITTEN = (Verdict.CREATE, Verdict.UPDATE, Verdict.RESTORE)


class Execute(Protocol):
    """Runs a statement with the names of the run beside its own."""

    def __call__(self, query: str | sql.Composed, **more: Any) -> psycopg.Cursor[Any]:
        """The cursor after it."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What is held of a key.

    `raw_digest` is of what the source last gave. `intact` says that the record is what this engine wrote, or another
    version of it that somebody made.
    """

    raw_digest: bytes | None
    intact: bool


class Batch:
    """What one batch reads and writes.

    Args:
        connection: for `COPY`.
        execute: for all else.
        entity: the kind of the records.
        origin: what they say of their source.
        seals: seals and opens what is stored of people.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        execute: Execute,
        entity: Kind[Any],
        *,
        origin: str,
        seals: Seals,
    ) -> None:
        self._connection = connection
        self._execute = execute
        self._origin = origin
        self._seals = seals
        self._staging = Staging(seals, entity.name)
        self.entity = entity.name
        self._table = sql.Identifier(SCHEMA, entity.table)
        # Hashes are no fields of a record, and columns all the same.
        self._names = (*entity.settable, *map(hash_column, SEALED.get(entity.name, ())))
        self._refers = entity.refers
        self._columns = sql.SQL(", ").join(map(sql.Identifier, self._names))
        fields = [sql.SQL("{}, record.{}").format(name, sql.Identifier(name)) for name in entity.settable]
        # As a text: what PostgreSQL would make of it as jsonb nobody looks into.
        self._fields = sql.SQL("json_build_object({})").format(sql.SQL(", ").join(fields))

    def stored(self, rows: Iterable[SourceRow]) -> dict[str, Stored]:
        """What is held of the rows' keys."""
        digests = _digests(rows)
        query = sql.SQL(
            """SELECT state.key, record.id, state.raw_digest, record.version <> state.written_version AS changed,
                state.written_digest, {fields} AS fields
            FROM talent_sync.sync_states AS state JOIN {table} AS record ON record.id = state.record_id
            WHERE state.entity = %(entity)s AND state.origin = %(origin)s AND state.key = ANY(%(keys)s)"""
        ).format(fields=self._fields, table=self._table)
        found = {}
        for row in self._execute(query, keys=sorted(digests)):
            # Opened also where it was changed here: a value that does not open is no record.
            values = self._seals.values(self.entity, row.id, row.fields)
            found[row.key] = Stored(
                raw_digest=self._recognised(row.raw_digest, digests[row.key]),
                intact=row.changed or row.written_digest in self._seals.digests(digest_of(values)),
            )
        return found

    def states(self, rows: Iterable[SourceRow]) -> dict[str, Known]:
        """What is known of the rows' keys; nobody changes their records before the transaction's end."""
        digests = _digests(rows)
        query = sql.SQL(
            """SELECT state.key, record.id, record.version, record.deleted_at, record.updated_at, state.base,
                state.raw_digest, state.seen_generation, state.seen_position, state.gone, state.quality,
                {fields} AS fields
            FROM talent_sync.sync_states AS state JOIN {table} AS record ON record.id = state.record_id
            WHERE state.entity = %(entity)s AND state.origin = %(origin)s AND state.key = ANY(%(keys)s)
            ORDER BY record.id FOR UPDATE OF record, state"""
        ).format(fields=self._fields, table=self._table)
        found = {}
        for row in self._execute(query, keys=sorted(digests)):
            found[row.key] = Known(
                record_id=row.id,
                version=row.version,
                deleted=row.deleted_at is not None,
                updated_at=row.updated_at,
                values=self._seals.values(self.entity, row.id, row.fields),
                base=row.base and self._seals.opened_base(self.entity, row.id, row.base),
                raw_digest=self._recognised(row.raw_digest, digests[row.key]),
                seen_generation=row.seen_generation,
                seen_position=row.seen_position,
                gone=row.gone,
                mark=known_mark(row.quality, row.version),
            )
        return found

    def records(self, ids: Sequence[UUID]) -> list[Known]:
        """Records by their ids, deleted or not, as if no source ever gave them; locked."""
        query = sql.SQL(
            """SELECT record.id, record.version, record.deleted_at, record.updated_at, {fields} AS fields
            FROM {table} AS record WHERE record.id = ANY(%(ids)s) ORDER BY record.id FOR UPDATE"""
        ).format(fields=self._fields, table=self._table)
        return [
            Known(
                record_id=row.id,
                version=row.version,
                deleted=row.deleted_at is not None,
                updated_at=row.updated_at,
                values=self._seals.values(self.entity, row.id, row.fields),
                base=None,
                raw_digest=None,
                seen_generation=0,
                seen_position=0,
                gone=False,
            )
            for row in self._execute(query, ids=list(ids))
        ]

    def _recognised(self, stored: bytes | None, digests: Iterable[bytes]) -> bytes | None:
        """The one of the rows' digests that was stored, by whatever key; what is none of them stays as it is."""
        return next((digest for digest in digests if stored in self._seals.digests(digest)), stored)

    def known(self, rows: Sequence[SourceRow]) -> dict[str, Known]:
        """What is known of the rows' keys, also of records that lost their state; locked."""
        known = self.states(rows)
        missing = {self.reference(row.key): row.key for row in rows if row.key and row.key not in known}
        query = sql.SQL(
            """SELECT record.id, record.version, record.updated_at, record.source_ref, {fields} AS fields
            FROM {table} AS record
            WHERE source_type = %(type)s AND source_ref = ANY(%(refs)s) AND deleted_at IS NULL
            ORDER BY record.id FOR UPDATE"""
        ).format(fields=self._fields, table=self._table)
        for row in self._execute(query, type=SOURCE_TYPE, refs=sorted(missing)) if missing else ():
            known[missing[row.source_ref]] = Known(
                record_id=row.id,
                version=row.version,
                deleted=False,
                updated_at=row.updated_at,
                values=self._seals.values(self.entity, row.id, row.fields),
                base=None,
                raw_digest=None,
                seen_generation=0,
                seen_position=0,
                gone=False,
            )
        return known

    def present(self, rows: Iterable[SourceRow]) -> dict[str, set[str]]:
        """By field, the ids that rows refer to and that are there; they stay until the transaction's end."""
        rows = list(rows)
        found = {}
        for name, table in self._refers.items():
            wanted = {str(source.values[name]) for source in rows if source.values.get(name)}
            query = sql.SQL(
                """SELECT id::text AS name FROM {table} WHERE id = ANY(%(ids)s) AND deleted_at IS NULL
                ORDER BY id FOR SHARE"""
            ).format(table=sql.Identifier(SCHEMA, table))
            ids = [number for text in wanted if (number := read_id(text)) is not None]
            found[name] = {one.name for one in self._execute(query, ids=ids)} if ids else set()
        return found

    def reference(self, key: str) -> str:
        """`source.ref` of a record."""
        return f"{self._origin}:{key}"

    def write(self, decisions: Sequence[Decision], known: Mapping[str, Known]) -> dict[str, UUID]:
        """Write records and states; answers the ids of the records by their keys."""
        ids = {
            decision.row.key: decision.staged.id if decision.staged else decision.record_id or new_id()
            for decision in decisions
            if decision.base is not None
        }
        if ids:
            self._stage(decisions, known, ids)
            written = {decision.verdict for decision in decisions if decision.base is not None}
            if Verdict.CREATE in written:
                self._insert_records()
            if not written.isdisjoint((Verdict.UPDATE, Verdict.RESTORE)):
                self._update_records()
            self._write_states()
        seen = [
            decision.row
            for decision in decisions
            if decision.base is None and decision.row.key in known and not _is_second(decision, known)
        ]
        if seen:
            self._execute(
                """UPDATE talent_sync.sync_states AS state
                SET seen_generation = %(generation)s, seen_position = seen.position
                FROM unnest(%(keys)s::text[], %(positions)s::bigint[]) AS seen (key, position)
                WHERE state.entity = %(entity)s AND state.origin = %(origin)s AND state.key = seen.key""",
                keys=[row.key for row in seen],
                positions=[row.position for row in seen],
            )
        self._keep_marks(decisions, known)
        return ids

    def _keep_marks(self, decisions: Sequence[Decision], known: Mapping[str, Known]) -> None:
        """Keep how good records are that nobody had looked at since they were changed."""
        new = {
            decision.row.key: Jsonb(kept(decision.after, known[decision.row.key].version))
            for decision in decisions
            if decision.base is None
            and decision.after is not None
            and decision.row.key in known
            and known[decision.row.key].mark is None
        }
        if new:
            self._execute(
                """UPDATE talent_sync.sync_states AS state SET quality = found.quality
                FROM unnest(%(keys)s::text[], %(marks)s::jsonb[]) AS found (key, quality)
                WHERE state.entity = %(entity)s AND state.origin = %(origin)s AND state.key = found.key""",
                keys=list(new),
                marks=list(new.values()),
            )

    def _stage(
        self, decisions: Sequence[Decision], known: Mapping[str, Known], ids: Mapping[str, UUID]
    ) -> None:
        self._connection.execute(_STAGING)
        with self._connection.cursor() as cursor:
            columns = ", ".join(StagedRow._fields)
            # Binary, so that neither side looks through long texts for what is to be escaped.
            with cursor.copy(f"COPY sync_staging ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(_TYPES)
                for decision in decisions:
                    if decision.staged is not None:
                        copy.write_row(decision.staged)
                    elif decision.base is not None:
                        copy.write_row(self._staged(decision, decision.base, known, ids))

    def _staged(
        self,
        decision: Decision,
        base: Mapping[str, Any],
        known: Mapping[str, Known],
        ids: Mapping[str, UUID],
    ) -> StagedRow:
        before = known.get(decision.row.key)
        fields = decision.values if decision.verdict in WRITTEN else None
        return self._staging.row(
            decision.row,
            ids[decision.row.key],
            new=decision.verdict is Verdict.CREATE,
            version=(before.version if before else 0) + (fields is not None),
            fields=fields,
            # Written or not, this is what the record has after the batch.
            stands=fields if fields is not None else (before.values if before else {}),
            base=base,
            mark=decision.after,
        )

    @property
    def _staged_record(self) -> sql.Composed:
        return sql.SQL("jsonb_populate_record(NULL::{table}, staged.fields)").format(table=self._table)

    def _insert_records(self) -> None:
        self._execute(
            sql.SQL(
                """INSERT INTO {table} (id, source_type, source_ref, {columns})
                SELECT staged.id, %(type)s, %(origin)s || ':' || staged.key, {given}
                FROM sync_staging AS staged, {record} AS record WHERE staged.new"""
            ).format(
                table=self._table,
                columns=self._columns,
                given=sql.SQL(", ").join(sql.SQL("record.{}").format(sql.Identifier(n)) for n in self._names),
                record=self._staged_record,
            ),
            type=SOURCE_TYPE,
        )

    def _update_records(self) -> None:
        self._execute(
            sql.SQL(
                """UPDATE {table} AS stored SET {changes}, version = staged.version, updated_at = now(),
                    deleted_at = NULL
                FROM sync_staging AS staged, {record} AS record
                WHERE stored.id = staged.id AND NOT staged.new AND staged.fields IS NOT NULL"""
            ).format(
                table=self._table,
                changes=sql.SQL(", ").join(
                    sql.SQL("{name} = record.{name}").format(name=sql.Identifier(n)) for n in self._names
                ),
                record=self._staged_record,
            )
        )

    def _write_states(self) -> None:
        self._execute(
            """INSERT INTO talent_sync.sync_states AS state (entity, origin, key, record_id, base, raw_digest,
                written_version, written_digest, seen_generation, seen_position, shard_hash, quality)
            SELECT %(entity)s, %(origin)s, key, id, base, raw_digest, version, written_digest, %(generation)s, position,
                hash, quality
            FROM sync_staging
            ON CONFLICT (tenant, entity, origin, key) DO UPDATE SET record_id = excluded.record_id,
                base = excluded.base, raw_digest = excluded.raw_digest, seen_generation = excluded.seen_generation,
                seen_position = excluded.seen_position, gone = false,
                written_version = excluded.written_version, written_digest = excluded.written_digest,
                quality = excluded.quality, put_right = NULL"""
        )

    def sweep(self) -> list[Mark | None]:
        """Delete what the source had and has no more, with its relations, as its own deletion would; how good each was.

        A company that has jobs that are not closed stays, and is looked at again in the next run. One that others were
        merged into stays while another key of it is there, or where people made it here.
        """
        kept = sql.SQL(
            """AND NOT EXISTS (SELECT FROM talent_sync.jobs AS job WHERE job.company_id = state.record_id
                AND job.deleted_at IS NULL AND job.status <> 'closed')"""
            if self.entity == "company"
            else ""
        )
        gone = self._execute(
            sql.SQL(
                """WITH missing AS (
                    UPDATE talent_sync.sync_states AS state SET gone = true
                    WHERE entity = %(entity)s AND origin = %(origin)s AND NOT gone
                        AND seen_generation < %(generation)s AND shard_hash %% %(shards)s = %(shard)s {kept}
                    RETURNING record_id, key, quality)
                UPDATE {table} AS record SET deleted_at = now(), updated_at = now(), version = version + 1
                FROM missing WHERE record.id = missing.record_id AND record.deleted_at IS NULL
                    AND record.source_type = %(type)s
                    AND NOT EXISTS (SELECT FROM talent_sync.sync_states AS other
                        WHERE other.record_id = record.id AND NOT other.gone
                            AND NOT (other.entity = %(entity)s AND other.origin = %(origin)s
                                AND other.key IN (SELECT key FROM missing)))
                RETURNING record.id, record.version - 1 AS version, missing.quality"""
            ).format(kept=kept, table=self._table),
            type=SOURCE_TYPE,
        ).fetchall()
        if gone and self.entity in ENDS:
            ends = [sql.Identifier(name) for name in ENDS[self.entity]]
            # Those that a source has come again with their ends.
            self._execute(
                sql.SQL(
                    """WITH ended AS (
                        UPDATE talent_sync.relations SET deleted_at = now(), updated_at = now(), version = version + 1
                        WHERE deleted_at IS NULL AND ({either}) RETURNING id)
                    UPDATE talent_sync.sync_states AS state SET gone = true
                    FROM ended WHERE state.record_id = ended.id AND state.entity = 'relation'"""
                ).format(
                    either=sql.SQL(" OR ").join(sql.SQL("{} = ANY(%(gone)s)").format(end) for end in ends)
                ),
                gone=[row.id for row in gone],
            )
        return [known_mark(row.quality, row.version) for row in gone]


def _digests(rows: Iterable[SourceRow]) -> dict[str, list[bytes]]:
    """Of the rows that have a key, by that."""
    digests: dict[str, list[bytes]] = {}
    for row in rows:
        if row.key:
            digests.setdefault(row.key, []).append(row.digest)
    return digests


def _is_second(decision: Decision, known: Mapping[str, Known]) -> bool:
    """Whether this run had the key before: then where it was first stays noted."""
    return decision.verdict is Verdict.REFUSED and any(fault.field == KEY for fault in decision.faults)
