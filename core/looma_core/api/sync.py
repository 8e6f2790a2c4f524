"""What sync runs did, what they could not take, and what people are to decide."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.history import Action
from looma_core.api.syncjob import Entity
from looma_core.problems import FieldError

QuarantineState = Literal["open", "replayed", "discarded", "superseded"]
RunMode = Literal["full", "incremental"]
ConflictResolution = Literal["source", "target", "merged", "open"]
WriteState = Literal["intended", "written", "refused", "moved", "dropped"]
WriteKind = Literal["change", "create", "delete"]
QuarantineDirection = Literal["in", "back"]


class QuarantineItem(msgspec.Struct, kw_only=True):
    """A record that a run could not take, or one of here that its source did not.

    `superseded` is one that the source has put right, or has no more, or that a later write took the place of.
    """

    id: UUID
    version: Annotated[int, Meta(description="Counts changes; the ETag.")]
    job: Annotated[str, Meta(description="NAMESPACE/NAME of the SyncJob.")]
    epoch: Annotated[int, Meta(description="Number of the run that saw it last.")]
    origin: Annotated[str, Meta(description="Name of the source.")]
    entity: Entity
    key: Annotated[str, Meta(description="The source's own id of the record; empty where it has none.")]
    direction: Annotated[
        QuarantineDirection, Meta(description="`back` is a record of here that the source does not take.")
    ] = "in"
    position: Annotated[
        int, Meta(description="The line on which it begins; 0 for one that was to be written back.")
    ]
    errors: Annotated[list[FieldError], Meta(description="What is wrong with it.")]
    state: QuarantineState
    times: Annotated[int, Meta(description="How many runs brought it, as it is.")]
    created_at: datetime
    seen_at: Annotated[datetime, Meta(description="When a run last brought it.")]
    settled_at: datetime | None = None
    settled_by: str | None = None
    record_id: Annotated[
        UUID | None, Meta(description="The record that it became, or that was to be written back.")
    ] = None


class QuarantineEntry(QuarantineItem, kw_only=True):
    """The same, with what the source had."""

    raw: Annotated[str, Meta(description="What the source had, or was to get; at most its first 64 KiB.")]
    whole: Annotated[bool, Meta(description="Whether `raw` is all of it, unchanged.")]
    draft: Annotated[
        dict[str, Any] | None,
        Meta(description="`raw` as a draft to put right; null where it is no record at all."),
    ] = None


class Replay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The record as it should have been: a draft of the entry's kind, without `source`."""

    draft: dict[str, Any]


class SyncConflict(msgspec.Struct, kw_only=True):
    """A field that the source and people here both changed between two runs."""

    id: UUID
    job: Annotated[str, Meta(description="NAMESPACE/NAME of the SyncJob.")]
    epoch: Annotated[int, Meta(description="Number of the run that found it.")]
    origin: str
    entity: Entity
    key: str
    record_id: UUID
    field: Annotated[
        str, Meta(description="`deleted` where one side deleted the record and the other changed it.")
    ]
    base: Annotated[Any, Meta(description="What the source had before.")]
    source: Annotated[Any, Meta(description="What the source has.")]
    target: Annotated[Any, Meta(description="What was stored here.")]
    resolution: ConflictResolution
    reason: str
    created_at: datetime
    settled_at: datetime | None = None
    settled_by: str | None = None


class Settle(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose value is to stand."""

    take: Literal["source", "target"]


class SyncWrite(msgspec.Struct, kw_only=True):
    """A record that was changed, made or deleted here, and is to be so in a source.

    `intended` is not known to be there yet, `refused` was not taken by the source, `moved` was changed there meanwhile
    and is brought in first, `dropped` was never carried out.
    """

    id: UUID
    job: Annotated[str, Meta(description="NAMESPACE/NAME of the SyncJob.")]
    epoch: Annotated[int, Meta(description="Number of the run that meant to write it.")]
    origin: str
    entity: Entity
    kind: Annotated[WriteKind, Meta(description="What is done to the record there.")] = "change"
    key: Annotated[
        str, Meta(description="The source's own id of the record; empty until the source has made it.")
    ] = ""
    record_id: UUID
    version: Annotated[int, Meta(description="Version of the record that has the values.")]
    fields: Annotated[list[str], Meta(description="Names of the fields.")]
    state: WriteState
    reason: Annotated[str | None, Meta(description="Why it is so; holds nothing of the record.")] = None
    created_at: datetime
    settled_at: Annotated[datetime | None, Meta(description="When it was known what became of it.")] = None


class RunCounts(msgspec.Struct, kw_only=True):
    """What became of the records of a run, all of its shards together."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    conflicts: int = 0
    resolved: int = 0
    quarantined: int = 0
    failed: int = 0
    erased: Annotated[
        int, Meta(description="Records of people who were erased here: they are not brought back.")
    ] = 0
    repaired: Annotated[
        int,
        Meta(
            description="Records that the database did not hold as they had been written, found by reading the source "
            "once more, and written again; among those created and updated."
        ),
    ] = 0
    written_back: Annotated[
        int,
        Meta(
            description="Records whose changes of here were written to the source, or that were made or deleted there."
        ),
    ] = 0
    created_back: Annotated[int, Meta(description="Those of them that were made there.")] = 0
    deleted_back: Annotated[int, Meta(description="Those of them that were deleted there, or marked.")] = 0
    write_refused: Annotated[int, Meta(description="Those that the source did not take.")] = 0
    write_moved: Annotated[
        int, Meta(description="Those that the source had changed meanwhile; they were brought in anew.")
    ] = 0


class Band(msgspec.Struct, kw_only=True):
    """How many records have a score from `least` on, up to the next band."""

    least: Annotated[int, Meta(ge=0, le=100, examples=[90])]
    records: int


class QualityAt(msgspec.Struct, kw_only=True):
    """How good the records of a run are, at one of its ends."""

    records: Annotated[int, Meta(description="Of which a score is known.")]
    mean: Annotated[float | None, Meta(description="Mean score, 0 to 100; null without a record.")]
    bands: Annotated[list[Band], Meta(description="By tens, the best first; 100 is a band of its own.")]


class RuleChange(msgspec.Struct, kw_only=True):
    """What a run did to one rule: how many records fail it."""

    rule: Annotated[str, Meta(description="Id of the rule.", examples=["talent.email.format"])]
    before: Annotated[int, Meta(description="Records that failed it before the run.")]
    after: Annotated[int, Meta(description="Records that fail it after the run.")]
    broken: Annotated[int, Meta(description="Records that fail it since the run, new ones among them.")]
    mended: Annotated[int, Meta(description="Records that were there before and fail it no more.")]


class QualityChange(msgspec.Struct, kw_only=True):
    """How good the records that a run met were before it, and are after it."""

    before: QualityAt
    after: QualityAt
    rules: Annotated[
        list[RuleChange],
        Meta(description="Rules that any of them failed or fails, those with the most changes first."),
    ]


class SyncRun(msgspec.Struct, kw_only=True):
    """One run, as its workers wrote it down with each batch."""

    id: Annotated[int, Meta(description="A number that no other run has, later ones a higher one.")]
    job: Annotated[str, Meta(description="NAMESPACE/NAME of the SyncJob.")]
    epoch: int
    origin: str
    entity: Entity
    shards: int
    ended: Annotated[int, Meta(description="How many shards have come to their end.")]
    counts: RunCounts
    quality: Annotated[
        float | None, Meta(description="Mean quality of the records that were written, 0 to 100.")
    ] = None
    quality_before: Annotated[
        float | None, Meta(description="Mean quality, before the run, of the records that it met.")
    ] = None
    quality_after: Annotated[float | None, Meta(description="Mean quality of them after it.")] = None
    mode: Annotated[
        RunMode, Meta(description="Whether the run read all of the source, or what was changed.")
    ] = "full"
    since: Annotated[
        datetime | None, Meta(description="From which time of the source an incremental run read.")
    ] = None
    watermark_before: Annotated[
        datetime | None, Meta(description="Up to which time of the source all was known before the run.")
    ] = None
    watermark: Annotated[
        datetime | None,
        Meta(
            description="Up to which time all is known after it; null where no record says when it was changed."
        ),
    ] = None
    full_in: Annotated[
        int | None,
        Meta(description="Which run after this one reads all again by `fullEvery`; 1 is the next one."),
    ] = None
    looked: Annotated[
        int | None, Meta(description="How many records of the source were looked for afterwards.")
    ] = None
    held: Annotated[
        int | None, Meta(description="How many of them the database holds as the source has them.")
    ] = None
    started_at: datetime
    updated_at: datetime
    ended_at: Annotated[datetime | None, Meta(description="Null while a shard goes on, or was given up.")] = (
        None
    )


class Tallied(msgspec.Struct, kw_only=True):
    """How often something was found."""

    name: str
    number: int


class Partition(msgspec.Struct, kw_only=True):
    """What a shard found when it read its part of the source once more. Checksums are alike where all is held."""

    shard: int
    looked: int
    held: int
    source_checksum: Annotated[
        str | None,
        Meta(description="Of the source's records, in whatever order; null for a run of an earlier release."),
    ] = None
    stored_checksum: Annotated[str | None, Meta(description="Of what the database holds for them.")] = None


class Repair(msgspec.Struct, kw_only=True):
    """A record that a run found not to be as it had been written, and wrote again."""

    record_id: UUID
    entity: Entity
    version: Annotated[int, Meta(description="That it has since.")]
    action: Annotated[Action, Meta(description="`create` where there was none any more.")]
    fields: Annotated[list[str], Meta(description="That had other values than the source gave.")]
    repaired_at: datetime


class SyncReport(SyncRun, kw_only=True):
    """A run, with what was wrong with its records and how its conflicts were settled."""

    faults: Annotated[
        list[Tallied], Meta(description="Records in quarantine by the field that is wrong, the most first.")
    ]
    resolutions: Annotated[list[Tallied], Meta(description="Conflicts by what became of them.")]
    quality_change: Annotated[
        QualityChange | None,
        Meta(description="Quality before the run and after it; null for a run of an earlier release."),
    ] = None
    conflict_fields: Annotated[list[Tallied], Meta(description="Conflicts by field, the most first.")]
    partitions: Annotated[
        list[Partition], Meta(description="What each shard that has ended found, looking once more.")
    ] = []
