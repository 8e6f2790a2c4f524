"""The SyncJob as typed values, beside the other two resources in `resources`."""

from __future__ import annotations

from datetime import datetime

import msgspec

from looma_core.api.syncjob import Reading, ShardReport

from .resources import Condition, Json, Metadata, RequestRecord, to_json
from .resources_notifications import Notification

RUNNING, SUCCEEDED, FAILED, CANCELED = "Running", "Succeeded", "Failed", "Canceled"
"""What `result` of a run may be."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common shape: camelCase in the cluster, snake_case here."""


class SyncTarget(_Struct, frozen=True, kw_only=True):
    """Where the records go."""

    tenant: str
    entity: str


class SyncSchedule(_Struct, frozen=True, kw_only=True):
    """When runs begin."""

    cron: str
    time_zone: str = "Etc/UTC"


class SyncJobSpec(_Struct, frozen=True, kw_only=True):
    """spec of a SyncJob; what is for workers or Kubernetes alone stays as it was written."""

    source: Json
    target: SyncTarget | None = None
    references: Json = msgspec.field(default_factory=dict)
    conflict_policy: Json = msgspec.field(default_factory=dict)
    validation: Json = msgspec.field(default_factory=dict)
    on_missing: str = "keep"
    direction: str = "oneWay"
    write_back: Json = msgspec.field(default_factory=dict)
    image: str = ""
    parallelism: int = 1
    batch_size: int = 500
    schedule: SyncSchedule | None = None
    suspend: bool = False
    backoff_limit: int = 3
    active_deadline_seconds: int | None = None
    history_limit: int = 5
    ttl_seconds_after_finished: int | None = None
    resources: Json = msgspec.field(default_factory=dict)
    pod_template: Json = msgspec.field(default_factory=dict)

    @property
    def source_secret(self) -> str:
        """Name of the Secret with the source's credentials, or nothing."""
        credentials = self.source.get("credentials") or {}
        return str((credentials.get("secretRef") or {}).get("name", ""))


class Progress(_Struct, frozen=True, kw_only=True):
    """How far a run came; `total` and `verified` are None while one of its workers does not know.

    What was written back is None where no worker was to.
    """

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


class Run(_Struct, frozen=True, kw_only=True):
    """One run; `uid` is empty until its Job was seen, `ended_at` None while it goes on."""

    epoch: int
    job: str
    uid: str = ""
    trigger: str
    requested_by: str = ""
    reason: str = ""
    started_at: datetime
    ended_at: datetime | None = None
    result: str = RUNNING
    worker: str = ""
    message: str = ""
    shards: int = 1
    reading: Reading | None = None
    progress: Progress | None = None


class SyncJobStatus(_Struct, frozen=True, kw_only=True):
    """status of a SyncJob; `shards` is the workers'."""

    phase: str = ""
    observed_generation: int = 0
    epoch: int = 0
    active_job: str = ""
    next_run_time: datetime | None = None
    last_success_time: datetime | None = None
    progress: Progress | None = None
    shards: tuple[ShardReport, ...] = ()
    runs: tuple[Run, ...] = ()
    requests: tuple[RequestRecord, ...] = ()
    notifications: tuple[Notification, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def active(self) -> Run | None:
        """The run that goes on."""
        return next((run for run in self.runs if run.ended_at is None), None)


class SyncJob(_Struct, frozen=True, kw_only=True):
    """A SyncJob as stored."""

    metadata: Metadata
    spec: SyncJobSpec
    status: SyncJobStatus = SyncJobStatus()


def own_sync_status(status: SyncJobStatus) -> Json:
    """The part of a status that the operator writes: what workers say in `shards` stays theirs."""
    return to_json(msgspec.structs.replace(status, shards=()))
