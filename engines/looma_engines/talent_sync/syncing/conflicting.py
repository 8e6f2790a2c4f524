"""What both sides changed: each field is kept with all three values, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from looma_core.db import new_id
from looma_engines.talent_sync.privacy.fields import SIDES, Seals

from .batch import Execute
from .deciding import Decision


def note_conflicts(execute: Execute, seals: Seals, decisions: Sequence[Decision], *, entity: str) -> None:
    """Keep what both sides changed; what was open of the same field before is settled by this."""
    found = [
        (decision.record_id, decision.row.key, conflict)
        for decision in decisions
        for conflict in decision.conflicts
    ]
    if not found:
        return
    execute(
        """UPDATE talent_sync.sync_conflicts AS conflict
        SET resolution = 'target', settled_at = now(), settled_by = 'sync',
            reason = 'a later conflict took its place'
        FROM unnest(%(records)s::uuid[], %(fields)s::text[]) AS later (record_id, field)
        WHERE conflict.record_id = later.record_id AND conflict.field = later.field
            AND conflict.resolution = 'open'""",
        records=[record for record, _, _ in found],
        fields=[conflict.field for _, _, conflict in found],
    )
    for record_id, key, conflict in found:
        conflict_id = new_id()
        sides = {
            side: Jsonb(seals.side(entity, conflict_id, conflict.field, side, getattr(conflict, side)))
            for side in SIDES
        }
        execute(
            """INSERT INTO talent_sync.sync_conflicts
                (id, job, epoch, generation, origin, entity, key, record_id, field, base, source, target,
                 resolution, reason, settled_at)
            VALUES (%(id)s, %(job)s, %(epoch)s, %(generation)s, %(origin)s, %(entity)s, %(key)s, %(record)s,
                %(field)s, %(base)s, %(source)s, %(target)s, %(resolution)s, %(reason)s,
                CASE WHEN %(resolution)s = 'open' THEN NULL ELSE now() END)""",
            id=conflict_id,
            key=key,
            record=record_id,
            field=conflict.field,
            **sides,
            resolution=str(conflict.resolution),
            reason=conflict.reason,
        )
