"""The contract between the operator and the workers of a SyncJob, version 1; docs/sync-workers.md explains it.

The operator starts one pod for each shard of a run and tells it by environment variables what to do. The worker checks
its epoch before each batch, reports into its own entry of `status.shards`, and says by its exit code how it ended.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final, Literal

import msgspec

GROUP: Final = "looma.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "syncjobs"
CONTRACT: Final = "1"
"""Version of the contract; a worker that knows another one ends with `ExitCode.BAD_INPUT`."""

EPOCH_ANNOTATION: Final = f"{GROUP}/epoch"
"""The fencing epoch of a run, on its pods; written when the run is let in, and never changed."""

DATA_FOLDER: Final = "/data"
"""Where a worker finds `source.path`, unless it is told another folder."""

CREDENTIALS_FOLDER: Final = f"/var/run/secrets/{GROUP}/source"
"""Where a worker finds the keys of the source's Secret, a file each, unless it is told another folder."""


class Variable:
    """Names of the environment variables that a worker reads."""

    CONTRACT: Final = "LOOMA_SYNC_CONTRACT"
    JOB: Final = "LOOMA_SYNC_JOB"
    NAMESPACE: Final = "LOOMA_SYNC_NAMESPACE"
    RUN: Final = "LOOMA_SYNC_RUN"
    EPOCH: Final = "LOOMA_SYNC_EPOCH"
    SHARDS: Final = "LOOMA_SYNC_SHARDS"
    SOURCE: Final = "LOOMA_SYNC_SOURCE"
    TARGET: Final = "LOOMA_SYNC_TARGET"
    UID: Final = "LOOMA_SYNC_UID"
    BATCH_SIZE: Final = "LOOMA_SYNC_BATCH_SIZE"
    DATA: Final = "LOOMA_SYNC_DATA"
    CREDENTIALS: Final = "LOOMA_SYNC_CREDENTIALS"
    # Set by Kubernetes in the pods of an indexed Job.
    SHARD: Final = "JOB_COMPLETION_INDEX"


class ExitCode(IntEnum):
    """How a worker ends; every other code is tried again, up to `backoffLimit` times for each shard.

    | code | what happened                     | what the operator does                 |
    | ---- | --------------------------------- | -------------------------------------- |
    | 0    | all records of the shard are done | waits for the other shards             |
    | 65   | bad input                         | the run fails at once, no pod is tried again |
    | 79   | a newer epoch runs                | the run fails at once, no pod is tried again |
    """

    DONE = 0
    BAD_INPUT = 65
    FENCED = 79


class SecretRef(msgspec.Struct, frozen=True, kw_only=True):
    """A Secret beside the SyncJob."""

    name: str


class Credentials(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a source asks a name and a password for; the worker finds the Secret's keys as files of a folder."""

    secret_ref: SecretRef


class Incremental(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Runs that read only what changed since the last one that succeeded.

    `overlap` is how far before that a run begins, for what was written slowly; `full_every` makes each so-manieth run a
    full one, and a `full` that no full run had before makes the next run one.
    """

    overlap: str = "5m"
    full_every: int = 0
    full: str = ""


class SourceBase(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag_field="type"
):
    """What every source has.

    `key` names the field that holds the source's own id of a record, `updated_at` the one that says when it was last
    changed. `name` is what the records say of where they came from. `fields` says which field of a record is taken from
    where in the source; without it they have one name here and there.
    """

    key: str = "id"
    updated_at: str = "updated_at"
    name: str = ""
    fields: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def type(self) -> str:
        """What `spec.source.type` says."""
        return str(self.__struct_config__.tag)


class FileSource(SourceBase, frozen=True, kw_only=True):
    """A file; `path` is below the data folder."""

    path: str


class JsonlSource(FileSource, frozen=True, kw_only=True, tag="jsonl"):
    """One JSON object a line."""


class CsvSource(FileSource, frozen=True, kw_only=True, tag="csv"):
    """Cells, with a first line of names."""


class RemoteSource(SourceBase, frozen=True, kw_only=True):
    """A source that another program keeps: `url` says where it is, and never with a name or a password."""

    url: str
    credentials: Credentials | None = None
    incremental: Incremental | None = None


class PostgresqlSource(RemoteSource, frozen=True, kw_only=True, tag="postgresql"):
    """A table of PostgreSQL, or what a query gives."""

    table: str = ""
    query: str = ""


class MongodbSource(RemoteSource, frozen=True, kw_only=True, tag="mongodb"):
    """A collection of MongoDB; `filter` is a query document as JSON."""

    collection: str
    filter: str = ""
    key: str = "_id"


class WebFileSource(RemoteSource, frozen=True, kw_only=True):
    """A file that another program keeps; `format` says what it is."""

    format: Literal["jsonl", "csv"]


class HttpSource(WebFileSource, frozen=True, kw_only=True, tag="http"):
    """A file that a web server gives."""


class S3Source(WebFileSource, frozen=True, kw_only=True, tag="s3"):
    """A file in S3, `s3://BUCKET/KEY`; `endpoint` is that of a store which is not Amazon's."""

    endpoint: str = ""
    region: str = "us-east-1"


class ZervigoSource(RemoteSource, frozen=True, kw_only=True, tag="zervigo"):
    """The platform Zervigo, by docs/openapi/zervigo.yaml; `token_url` is where a client gets its tokens."""

    token_url: str = ""
    scope: str = ""
    page_size: int = 100
    requests_per_second: int = 10


Source = JsonlSource | CsvSource | PostgresqlSource | MongodbSource | HttpSource | S3Source | ZervigoSource
"""Where the records come from, by `type`."""

Entity = Literal["talent", "company", "job", "relation"]
PolicyName = Literal["newest", "source", "target", "fieldMerge", "manual"]
OnInvalid = Literal["quarantine", "skip", "fail"]
OnMissing = Literal["keep", "delete"]
Direction = Literal["oneWay", "twoWay"]
Deletions = Literal["keep", "delete", "mark"]


class ConflictPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whose value stands where source and target both changed a field."""

    default: PolicyName = "newest"
    fields: dict[str, PolicyName] = msgspec.field(default_factory=dict)


class Validation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a record must be worth, and what becomes of one that is refused."""

    min_quality: int = 0
    on_invalid: OnInvalid = "quarantine"


class WriteBack(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a SyncJob of two ways writes to its source beside changes.

    `creations` are records that were made here, `deletions` says what becomes there of those that were deleted here.
    `external_id` is the column that takes our id of a record where the source gives its keys itself, `mark` the column
    or member that says of a record that it is deleted.
    """

    creations: bool = False
    external_id: str = ""
    deletions: Deletions = "keep"
    mark: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Where the records go: `spec.target`, and what holds there.

    `direction` says whether what is changed there is written to the source, `write_back` what else is. `references`
    names the source of whose keys a field's values are: without it they are Looma's own ids.
    """

    tenant: str
    entity: Entity
    conflict_policy: ConflictPolicy = msgspec.field(default_factory=ConflictPolicy)
    validation: Validation = msgspec.field(default_factory=Validation)
    on_missing: OnMissing = "keep"
    direction: Direction = "oneWay"
    write_back: WriteBack = WriteBack()
    references: dict[str, str] = msgspec.field(default_factory=dict)


class Reading(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a run reads of its source: all, or what was changed `since` then.

    `watermark` is up to when all was known before, `full_in` which run after this one reads all again.
    """

    mode: Literal["full", "incremental"]
    since: datetime | None = None
    watermark: datetime | None = None
    full_in: int | None = None


class ShardQuality(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How good a shard's records were before the run and are after it: how many have a score, and their sum."""

    records_before: int = 0
    score_before: int = 0
    records_after: int = 0
    score_after: int = 0


class ShardReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a worker says of its shard: one entry of `status.shards`, all counts since the run began.

    `cursor` is the worker's own word for how far it came: whoever takes its place in the same epoch begins there.
    `conflicts` are fields that both sides changed, `resolved` those of them that a policy settled. `verified` is how
    many of `total` the target was found to hold as the source has them, once the worker looked; `repaired` are those
    that it had not held as they had been written, and that were written again, None where there were none.
    `written_back` are records that were written to the source, `write_refused` those that it did not take,
    `write_moved` those that it had changed meanwhile; None where nothing was to be written. `source_requests` and the
    two after it are of a source that is asked over HTTP: questions by what was answered (`none` where nothing was),
    those asked again, and seconds that the source asked to be left alone for, or its pace. `quality` is of the records
    that were met, where the worker knows what a record is worth. `reading` says what is read, the same in all
    shards of a run.
    """

    shard: int
    epoch: int
    state: Literal["Running", "Succeeded", "Failed"] = "Running"
    worker: str = ""
    total: int | None = None
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    conflicts: int = 0
    resolved: int = 0
    quarantined: int = 0
    failed: int = 0
    verified: int | None = None
    repaired: int | None = None
    written_back: int | None = None
    write_refused: int | None = None
    write_moved: int | None = None
    rate_per_second: float = 0.0
    source_requests: dict[str, int] | None = None
    source_retries: int | None = None
    source_throttled_seconds: float | None = None
    quality: ShardQuality | None = None
    reading: Reading | None = None
    cursor: str = ""
    message: str = ""
    observed_at: datetime | None = None


def field_manager(shard: int) -> str:
    """Field manager by which a shard's worker writes its entry."""
    return f"looma-worker-{shard}"
