"""Rows of what runs left, as the API tells them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from looma_core.api.sync import (
    Partition,
    QuarantineEntry,
    QuarantineItem,
    Repair,
    RunCounts,
    SyncConflict,
    SyncRun,
    SyncWrite,
)
from looma_engines.talent_sync.exchange.columns import BESIDE
from looma_engines.talent_sync.records.history_rows import HistoryRow

from .counting import Tally
from .models import ConflictRow, QuarantineRow, ShardRow, WriteRow
from .quality_told import mean_of
from .spans import Span


def run_of(shards: Sequence[ShardRow]) -> SyncRun:
    """A run of its shards, all of one number."""
    tally = tally_of(shards)
    span = next((msgspec.convert(shard.span, Span) for shard in shards if shard.span is not None), None)
    marks = [shard.watermark for shard in shards if shard.watermark is not None]
    ended = [shard.ended_at for shard in shards if shard.ended_at is not None]
    whole = len(ended) == shards[0].shards
    looks = [shard.verification for shard in shards if shard.verification is not None]
    return SyncRun(
        id=shards[0].generation,
        job=shards[0].job,
        epoch=shards[0].epoch,
        origin=shards[0].origin,
        entity=cast("Any", shards[0].entity),
        shards=shards[0].shards,
        ended=len(ended),
        counts=RunCounts(**{name: getattr(tally, name) for name in RunCounts.__struct_fields__}),
        quality=round(tally.score_sum / tally.scored, 1) if tally.scored else None,
        quality_before=mean_of(tally.quality.before_sum, tally.quality.before),
        quality_after=mean_of(tally.quality.after_sum, tally.quality.after),
        mode="full" if span is None or span.full else "incremental",
        since=span.since if span else None,
        watermark_before=span.before if span else None,
        # As the next run will take it: only where all shards know.
        watermark=min(marks) if len(marks) == shards[0].shards else None,
        full_in=span.full_in if span else None,
        looked=sum(look["looked"] for look in looks) if whole else None,
        held=sum(look["held"] for look in looks) if whole else None,
        started_at=min(shard.created_at for shard in shards),
        updated_at=max(shard.updated_at for shard in shards),
        ended_at=max(ended) if whole else None,
    )


def partitions_of(shards: Sequence[ShardRow]) -> list[Partition]:
    """What each shard that came to its end found when it read its part of the source once more."""
    return [
        Partition(shard=shard.shard, **shard.verification)
        for shard in shards
        if shard.verification is not None
    ]


def repair_of(row: HistoryRow) -> Repair:
    """A record that a run put right, of its history."""
    return Repair(
        record_id=row.record_id,
        entity=cast("Any", row.entity),
        version=row.version,
        action=cast("Any", row.action),
        fields=sorted(row.changes) if row.action == "update" else [],
        repaired_at=row.changed_at,
    )


def tally_of(shards: Sequence[ShardRow]) -> Tally:
    """What all shards of a run counted."""
    tally = Tally()
    for shard in shards:
        tally += msgspec.convert(shard.counts, Tally)
    return tally


def item_of(row: QuarantineRow) -> QuarantineItem:
    """An entry of the quarantine, without what the source had."""
    return msgspec.convert(_fields(row, QuarantineItem), QuarantineItem)


def entry_of(row: QuarantineRow) -> QuarantineEntry:
    """An entry of the quarantine."""
    return msgspec.convert({**_fields(row, QuarantineEntry), "draft": draft_of(row)}, QuarantineEntry)


def conflict_of(row: ConflictRow) -> SyncConflict:
    """A conflict."""
    return msgspec.convert(_fields(row, SyncConflict), SyncConflict)


def write_of(row: WriteRow) -> SyncWrite:
    """A write; one that the source is yet to make a record for has no key."""
    return msgspec.convert({**_fields(row, SyncWrite), "key": row.key or ""}, SyncWrite)


def draft_of(row: QuarantineRow) -> dict[str, Any] | None:
    """What the source had, as far as a draft has such fields."""
    try:
        found = msgspec.json.decode(row.raw, type=dict[str, Any]) if row.whole else None
    except msgspec.MsgspecError:
        return None
    return found if found is None else {name: value for name, value in found.items() if name not in BESIDE}


def _fields(row: Any, struct: type[msgspec.Struct]) -> dict[str, Any]:  # noqa: ANN401 - a row of either kind
    return {name: getattr(row, name) for name in struct.__struct_fields__ if name != "draft"}
