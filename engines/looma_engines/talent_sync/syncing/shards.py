"""What is kept of a shard beside its checkpoint: what it reads of its source, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from .batch import Execute
from .spans import Run, Span


def span(execute: Execute, decide: Callable[[Sequence[Run], Span | None], Span]) -> Span:
    """As `SyncRepository.span`, in a transaction that holds the fence for itself."""
    said = execute(
        """SELECT span, shard = %(shard)s AS mine FROM talent_sync.sync_shards WHERE job = %(job)s
            AND uid = %(uid)s AND epoch = %(epoch)s AND span IS NOT NULL ORDER BY mine DESC LIMIT 1"""
    ).fetchone()
    found = None if said is None else msgspec.convert(said.span, Span)
    if said is not None and said.mine and found is not None:
        return found
    made = decide([] if found else _past(execute), found)
    execute(
        """UPDATE talent_sync.sync_shards SET span = %(span)s
        WHERE job = %(job)s AND uid = %(uid)s AND epoch = %(epoch)s AND shard = %(shard)s""",
        span=Jsonb(msgspec.to_builtins(made)),
    )
    return made


def _past(execute: Execute) -> list[Run]:
    """Runs of the SyncJob all of whose shards were done; no more than `fullEvery` can ask for."""
    found = execute(
        """SELECT CASE WHEN count(watermark) = count(*) THEN min(watermark) END AS watermark,
            (array_agg(span))[1] AS span
        FROM talent_sync.sync_shards
        WHERE job = %(job)s AND uid = %(uid)s AND epoch < %(epoch)s
        GROUP BY epoch HAVING count(*) FILTER (WHERE ended_at IS NOT NULL) = max(shards)
        ORDER BY epoch DESC LIMIT 10000"""
    )
    return [Run(span=msgspec.convert(row.span, Span | None), watermark=row.watermark) for row in found]


def end(
    execute: Execute, verification: Mapping[str, Any], *, whole: bool, watermark: datetime | None
) -> None:
    """As `SyncRepository.end`, in a transaction that holds the fence."""
    execute(
        """UPDATE talent_sync.sync_shards SET ended_at = now(), updated_at = now(), verification = %(found)s,
            watermark = %(watermark)s
        WHERE job = %(job)s AND uid = %(uid)s AND epoch = %(epoch)s AND shard = %(shard)s""",
        found=Jsonb(dict(verification)),
        watermark=watermark,
    )
    if not whole:
        # A record that was changed and is still wrong waits once, as what it is now.
        execute(
            """UPDATE talent_sync.quarantine AS entry SET state = 'superseded', settled_at = now(),
                settled_by = 'sync', version = version + 1
            WHERE entity = %(entity)s AND origin = %(origin)s AND state = 'open' AND key <> ''
                AND direction = 'in' AND generation < %(generation)s AND shard_hash %% %(shards)s = %(shard)s
                AND EXISTS (SELECT FROM talent_sync.quarantine AS later
                    WHERE later.entity = entry.entity AND later.origin = entry.origin
                        AND later.key = entry.key AND later.generation = %(generation)s)"""
        )
        return
    execute(
        """UPDATE talent_sync.quarantine SET state = 'superseded', settled_at = now(), settled_by = 'sync',
            version = version + 1
        WHERE entity = %(entity)s AND origin = %(origin)s AND state = 'open' AND direction = 'in'
            AND generation < %(generation)s AND shard_hash %% %(shards)s = %(shard)s"""
    )
