"""What a batch could not take: it waits in the quarantine for a person, sealed as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from psycopg.types.json import Jsonb

from looma_core.db import new_id
from looma_engines.talent_sync.privacy.fields import Seals

from .batch import Execute
from .deciding import Decision, Verdict
from .source_row import RAW_LIMIT, SourceRow, shard_hash


def quarantine(execute: Execute, seals: Seals, decisions: Sequence[Decision]) -> None:
    """Keep what was refused, and close what a later record of its key made needless."""
    refused = [decision for decision in decisions if decision.verdict is Verdict.REFUSED]
    _under_this_key(execute, seals, [decision.row for decision in refused])
    for decision in refused:
        row, entry_id = decision.row, new_id()
        raw = row.raw[:RAW_LIMIT].decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        execute(
            """INSERT INTO talent_sync.quarantine AS entry
                (id, job, epoch, generation, origin, entity, key, position, shard_hash, raw, raw_digest, whole,
                 errors)
            VALUES (%(id)s, %(job)s, %(epoch)s, %(generation)s, %(origin)s, %(entity)s, %(key)s,
                %(position)s, %(hash)s, %(raw)s,
                %(digest)s, %(whole)s, %(errors)s)
            ON CONFLICT (tenant, entity, origin, key, raw_digest) WHERE state <> 'superseded'
            DO UPDATE SET epoch = excluded.epoch, generation = excluded.generation,
                position = excluded.position, shard_hash = excluded.shard_hash, errors = excluded.errors,
                times = entry.times + 1, seen_at = now(), version = entry.version + 1""",
            id=entry_id,
            key=row.key,
            position=row.position,
            hash=shard_hash(row),
            raw=seals.raw(entry_id, raw),
            digest=seals.digest(row.digest),
            whole=_is_whole(row.raw),
            errors=Jsonb(msgspec.to_builtins(decision.faults)),
        )
    came = [decision.row for decision in decisions if decision.base is not None]
    if came and _anything_waits(execute):
        # A second record of the key, which this run refused after the good one, stays.
        execute(
            """UPDATE talent_sync.quarantine AS entry SET state = 'superseded', settled_at = now(),
                settled_by = 'sync', version = version + 1
            FROM unnest(%(keys)s::text[], %(positions)s::bigint[]) AS came (key, position)
            WHERE entity = %(entity)s AND origin = %(origin)s AND entry.key = came.key AND state = 'open'
                AND direction = 'in' AND (entry.generation < %(generation)s OR entry.position < came.position)""",
            keys=[row.key for row in came],
            positions=[row.position for row in came],
        )


def _anything_waits(execute: Execute) -> bool:
    # Of most sources nothing does: then the keys of a batch need not be looked for.
    found = execute(
        """SELECT 1 AS found FROM talent_sync.quarantine
        WHERE entity = %(entity)s AND origin = %(origin)s AND state = 'open' LIMIT 1"""
    )
    return found.fetchone() is not None


def _under_this_key(execute: Execute, seals: Seals, rows: Sequence[SourceRow]) -> None:
    """Have entries of rows that an older key made the digests of be found by this one's: a row is one entry."""
    digests = [(row.key, *seals.digests(row.digest)) for row in rows]
    keys, now, *older = zip(*digests, strict=True) if digests else ((), ())
    for before in older:
        # A worker that had no newer key may have made an entry of its own meanwhile.
        execute(
            """UPDATE talent_sync.quarantine AS entry SET raw_digest = again.now
            FROM unnest(%(keys)s::text[], %(befores)s::bytea[], %(nows)s::bytea[]) AS again (key, before, now)
            WHERE entity = %(entity)s AND origin = %(origin)s AND entry.key = again.key AND raw_digest = again.before
                AND state <> 'superseded' AND NOT EXISTS (SELECT FROM talent_sync.quarantine AS other
                    WHERE other.entity = %(entity)s AND other.origin = %(origin)s AND other.key = again.key
                    AND other.raw_digest = again.now AND other.state <> 'superseded')""",
            keys=list(keys),
            befores=list(before),
            nows=list(now),
        )


def _is_whole(raw: bytes) -> bool:
    """Whether the quarantine can keep these bytes as they are."""
    if len(raw) > RAW_LIMIT or b"\x00" in raw:
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
