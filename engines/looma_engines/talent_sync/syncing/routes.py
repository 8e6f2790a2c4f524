"""`/api/v1/quarantine`, `/sync-conflicts`, `/sync-writes`, `/sync-runs`: parses requests; `reviewing` does the work."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK

from looma_core.api.page import Page
from looma_core.api.sync import (
    ConflictResolution,
    QuarantineEntry,
    QuarantineItem,
    QuarantineState,
    Repair,
    Replay,
    Settle,
    SyncConflict,
    SyncReport,
    SyncRun,
    SyncWrite,
    WriteState,
)
from looma_core.api.syncjob import Entity
from looma_core.auth import Principal, Role
from looma_core.http import allow, idempotent
from looma_engines.talent_sync.etag import tag_of
from looma_engines.talent_sync.records.routes import Cursor, IfMatch, Limit, required

from .reviewing import ReviewService

DEFAULT_LIMIT = 50
Job = Annotated[
    str | None,
    Parameter(max_length=400, pattern=r"^[A-Za-z0-9._/-]*$", description="NAMESPACE/NAME of a SyncJob."),
]
# A handler's argument cannot be called `state`: Litestar keeps the name for itself.
Settled = Annotated[
    QuarantineState | None, Parameter(query="state", description="`open` are those that wait for a person.")
]
Became = Annotated[
    WriteState | None,
    Parameter(query="state", description="`refused` are those that the source did not take."),
]
RunNumber = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="`id` of the run.")]


class QuarantineController(Controller):
    """Records that sync runs could not take."""

    path = "/api/v1/quarantine"
    tags = ("sync",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @get(summary="List the quarantine")
    async def page(
        self,
        *,
        principal: Principal,
        reviews: ReviewService,
        settled: Settled = None,
        entity: Entity | None = None,
        job: Job = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[QuarantineItem]:
        """One page of entries, newest first; without what the source had."""
        filters = {"state": settled, "entity": entity, "job": job}
        return await reviews.quarantine(principal, filters=filters, limit=limit, cursor=cursor)

    @get("/{entry_id:uuid}", summary="Read an entry")
    async def read(
        self, entry_id: UUID, principal: Principal, reviews: ReviewService
    ) -> Response[QuarantineEntry]:
        """One entry with what the source had; its version is the `ETag`."""
        return _tagged(await reviews.entry(principal, entry_id))

    @post("/{entry_id:uuid}/replay", status_code=HTTP_200_OK, summary="Put a record right", opt=idempotent())
    async def replay(
        self,
        entry_id: UUID,
        data: Replay,
        principal: Principal,
        reviews: ReviewService,
        if_match: IfMatch = None,
    ) -> Response[QuarantineEntry]:
        """Store the record as it should have been. The next run that brings the same row finds it done."""
        return _tagged(await reviews.replay(principal, entry_id, data.draft, if_match=required(if_match)))

    @post(
        "/{entry_id:uuid}/discard", status_code=HTTP_200_OK, summary="Throw a record away", opt=idempotent()
    )
    async def discard(
        self, entry_id: UUID, principal: Principal, reviews: ReviewService, if_match: IfMatch = None
    ) -> Response[QuarantineEntry]:
        """Close the entry without a record: the same row, brought again, stays closed."""
        return _tagged(await reviews.discard(principal, entry_id, if_match=required(if_match)))


class ConflictController(Controller):
    """Fields that the source and people here both changed."""

    path = "/api/v1/sync-conflicts"
    tags = ("sync",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @get(summary="List conflicts")
    async def page(
        self,
        *,
        principal: Principal,
        reviews: ReviewService,
        resolution: ConflictResolution | None = None,
        entity: Entity | None = None,
        job: Job = None,
        record_id: UUID | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[SyncConflict]:
        """One page of conflicts, newest first; `resolution=open` are those that wait for a person."""
        filters = {"resolution": resolution, "entity": entity, "job": job, "record_id": record_id}
        return await reviews.conflicts(principal, filters=filters, limit=limit, cursor=cursor)

    @post(
        "/{conflict_id:uuid}/settle", status_code=HTTP_200_OK, summary="Settle a conflict", opt=idempotent()
    )
    async def settle(
        self, conflict_id: UUID, data: Settle, principal: Principal, reviews: ReviewService
    ) -> SyncConflict:
        """Say whose value stands. The source's goes into the record as it is now; ours is there already."""
        return await reviews.settle(principal, conflict_id, take=data.take)


class WriteController(Controller):
    """What was changed here and is written to sources."""

    path = "/api/v1/sync-writes"
    tags = ("sync",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @get(summary="List writes to sources")
    async def page(
        self,
        *,
        principal: Principal,
        reviews: ReviewService,
        became: Became = None,
        entity: Entity | None = None,
        job: Job = None,
        record_id: UUID | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[SyncWrite]:
        """One page of writes, newest first; `state=refused` are those that a person has to look after."""
        filters = {"state": became, "entity": entity, "job": job, "record_id": record_id}
        return await reviews.writes(principal, filters=filters, limit=limit, cursor=cursor)

    @post("/{write_id:uuid}/again", status_code=HTTP_200_OK, summary="Try a write again", opt=idempotent())
    async def again(self, write_id: UUID, principal: Principal, reviews: ReviewService) -> SyncWrite:
        """Have the next run write what the source refused, once it takes it."""
        return await reviews.write_again(principal, write_id)


class RunController(Controller):
    """What sync runs did."""

    path = "/api/v1/sync-runs"
    tags = ("sync",)
    # Numbers and names of fields, nothing of a person: whoever operates the SyncJobs reads them too.
    opt = allow(Role.RECRUITER, Role.OPERATOR, Role.ADMIN)

    @get(summary="List runs")
    async def page(
        self,
        *,
        principal: Principal,
        reviews: ReviewService,
        job: Job = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[SyncRun]:
        """One page of runs, the latest first, also of those that go on."""
        return await reviews.runs(principal, job=job, limit=limit, cursor=cursor)

    @get("/{number:int}", summary="Read the report of a run")
    async def report(self, number: RunNumber, principal: Principal, reviews: ReviewService) -> SyncReport:
        """What a run did, what was wrong with its records, and how its conflicts were settled."""
        return await reviews.report(principal, number)

    @get("/{number:int}/repairs", summary="List what a run put right", opt=allow(Role.RECRUITER, Role.ADMIN))
    async def repairs(
        self,
        number: RunNumber,
        principal: Principal,
        reviews: ReviewService,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[Repair]:
        """One page of the records that the run, looking once more, found altered or gone, and wrote again."""
        return await reviews.repairs(principal, number, limit=limit, cursor=cursor)


def _tagged(entry: QuarantineEntry) -> Response[QuarantineEntry]:
    return Response(entry, status_code=HTTP_200_OK, headers={"ETag": tag_of(entry.version)})
