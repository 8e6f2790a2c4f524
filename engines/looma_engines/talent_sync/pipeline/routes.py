"""`/api/v1/stages`, `/applications` and a job's funnel: parses requests; the work is in the services."""

from __future__ import annotations

from typing import Annotated, Literal, cast
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_304_NOT_MODIFIED

from looma_core.api.page import Count, Page
from looma_core.api.pipeline import (
    KEY_PATTERN,
    Application,
    ApplicationDraft,
    ApplicationMove,
    Funnel,
    Move,
    MoveItems,
    MoveResults,
    Retirement,
    Stage,
    StageDraft,
    StageKind,
    StageNames,
    StageOrder,
    Stages,
)
from looma_core.auth import Principal, Role
from looma_core.http import allow, answers, idempotent
from looma_engines.talent_sync.etag import tag_of, unchanged
from looma_engines.talent_sync.moments import MOMENT_PATTERN, MOMENT_SCHEMA, moment_of
from looma_engines.talent_sync.records.routes import (
    DEFAULT_LIMIT,
    Cursor,
    HistoryCursor,
    IfMatch,
    IfNoneMatch,
    Limit,
    required,
    tagged,
)
from looma_engines.talent_sync.records.sparse import Fields, SparseT, narrowed, narrowed_page, sparse

from .applications import ApplicationService
from .bulk import BulkMoves
from .funnel import FunnelService
from .stages import StageService

ApplicationSort = Literal["created_at", "-created_at", "since", "-since"]
InStage = Annotated[
    str | None, Parameter(pattern=KEY_PATTERN, description="Key of the stage that they are in.")
]
OwnedBy = Annotated[str | None, Parameter(max_length=200, description="Who looks after them.")]
Stale = Annotated[
    str | None,
    Parameter(
        pattern=MOMENT_PATTERN,
        schema_extra=MOMENT_SCHEMA,
        description="Those that came to their stage before this time, and were not moved since.",
    ),
]
PEOPLE = (Role.RECRUITER, Role.ADMIN)


class StageController(Controller):
    """The stages of the caller's tenant."""

    path = "/api/v1/stages"
    tags = ("pipeline",)
    opt = allow(*PEOPLE)

    @get(summary="List stages")
    async def page(self, principal: Principal, stages: StageService) -> Stages:
        """All stages in their order. A tenant that has none gets the usual seven."""
        return await stages.all(principal)

    @post(status_code=HTTP_201_CREATED, summary="Add a stage", opt=idempotent())
    async def create(self, data: StageDraft, principal: Principal, stages: StageService) -> Response[Stage]:
        """Add a stage after the last one of its kind."""
        return _tagged(await stages.create(principal, data), HTTP_201_CREATED)

    @post("/order", status_code=HTTP_200_OK, summary="Put stages in order", opt=idempotent())
    async def order(self, data: StageOrder, principal: Principal, stages: StageService) -> Stages:
        """Put all stages that are in use in another order."""
        return await stages.order(principal, data)

    @post("/{stage_id:uuid}/rename", status_code=HTTP_200_OK, summary="Rename a stage", opt=idempotent())
    async def rename(
        self,
        stage_id: UUID,
        data: StageNames,
        principal: Principal,
        stages: StageService,
        if_match: IfMatch = None,
    ) -> Response[Stage]:
        """Call a stage otherwise; its key stays, and so does all that names it."""
        return _tagged(await stages.rename(principal, stage_id, data, if_match=required(if_match)))

    @post("/{stage_id:uuid}/retire", status_code=HTTP_200_OK, summary="Retire a stage", opt=idempotent())
    async def retire(
        self,
        stage_id: UUID,
        data: Retirement,
        principal: Principal,
        stages: StageService,
        if_match: IfMatch = None,
    ) -> Response[Stage]:
        """Use a stage no more. Applications that are in it go to the target, each with an entry in its history."""
        return _tagged(await stages.retire(principal, stage_id, data, if_match=required(if_match)))


class ApplicationController(Controller):
    """Applications of the caller's tenant."""

    path = "/api/v1/applications"
    tags = ("pipeline",)
    opt = allow(*PEOPLE)
    signature_namespace = {"SparseT": sparse(Application)}  # noqa: RUF012 - Litestar's own protocol

    @get(summary="List applications")
    async def page(
        self,
        *,
        principal: Principal,
        applications: ApplicationService,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        job_id: UUID | None = None,
        talent_id: UUID | None = None,
        stage: InStage = None,
        kind: StageKind | None = None,
        owner: OwnedBy = None,
        stale_since: Stale = None,
        sort: ApplicationSort = "-created_at",
        fields: Fields = None,
    ) -> Page[Application] | Page[SparseT]:
        """One page of applications, newest first unless `sort` says otherwise."""
        filters = {"job_id": job_id, "talent_id": talent_id, "stage": stage, "kind": kind, "owner": owner}
        found = await applications.page(
            principal,
            sort=sort,
            limit=limit,
            cursor=cursor,
            filters=filters,
            stale_since=moment_of("stale_since", stale_since),
        )
        return narrowed_page(found, fields, Application)

    @get("/count", summary="Count applications")
    async def count(
        self,
        *,
        principal: Principal,
        applications: ApplicationService,
        job_id: UUID | None = None,
        talent_id: UUID | None = None,
        stage: InStage = None,
        kind: StageKind | None = None,
        owner: OwnedBy = None,
        stale_since: Stale = None,
    ) -> Count:
        """How many applications the list has with these filters: exact up to 1,000, an estimate beyond."""
        filters = {"job_id": job_id, "talent_id": talent_id, "stage": stage, "kind": kind, "owner": owner}
        return await applications.count(
            principal, filters=filters, stale_since=moment_of("stale_since", stale_since)
        )

    @post(status_code=HTTP_201_CREATED, summary="Create an application", opt=idempotent())
    async def create(
        self, data: ApplicationDraft, principal: Principal, applications: ApplicationService
    ) -> Response[Application]:
        """Let a person apply to a job. One that is open already is not made twice: 409 names it."""
        made = await applications.create(principal, data)
        answer = tagged(made, HTTP_201_CREATED)
        answer.headers["Location"] = f"{self.path}/{made.id}"
        return answer

    @post("/moves", status_code=HTTP_200_OK, summary="Move several", opt=idempotent())
    async def move_several(self, data: MoveItems, principal: Principal, bulk: BulkMoves) -> MoveResults:
        """Move several applications. Each is judged for itself, and the answer says what became of it."""
        return MoveResults(items=await bulk.apply(principal, data.items))

    @get(
        "/{application_id:uuid}",
        summary="Read an application",
        opt=answers({HTTP_304_NOT_MODIFIED: "The caller has this version."}),
    )
    async def read(
        self,
        application_id: UUID,
        principal: Principal,
        applications: ApplicationService,
        if_none_match: IfNoneMatch = None,
        fields: Fields = None,
    ) -> Response[Application | SparseT]:
        """One application; its version is the `ETag`."""
        found = await applications.get(principal, application_id)
        if if_none_match is not None and unchanged(if_none_match, found.version):
            unsent = Response(
                None, status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": tag_of(found.version)}
            )
            return cast("Response[Application | SparseT]", unsent)
        return tagged(narrowed(found, fields), HTTP_200_OK)

    @post(
        "/{application_id:uuid}/moves",
        status_code=HTTP_200_OK,
        summary="Move an application",
        opt=idempotent(),
    )
    async def move(
        self,
        application_id: UUID,
        data: Move,
        principal: Principal,
        applications: ApplicationService,
        if_match: IfMatch = None,
    ) -> Response[Application]:
        """Move an application to another stage, open it again, or hand it over."""
        return tagged(
            await applications.move(principal, application_id, data, if_match=required(if_match)),
            HTTP_200_OK,
        )

    @get("/{application_id:uuid}/moves", summary="List the moves of an application")
    async def moves(
        self,
        application_id: UUID,
        principal: Principal,
        applications: ApplicationService,
        limit: Limit = DEFAULT_LIMIT,
        cursor: HistoryCursor = None,
    ) -> Page[ApplicationMove]:
        """One page of its history, the newest first: who moved it where, when and why."""
        return await applications.history(principal, application_id, limit=limit, cursor=cursor)


class FunnelController(Controller):
    """How far a job's applications came."""

    path = "/api/v1/jobs/{job_id:uuid}/funnel"
    tags = ("pipeline",)
    opt = allow(*PEOPLE)

    @get(summary="Read a job's funnel")
    async def funnel(self, job_id: UUID, principal: Principal, funnels: FunnelService) -> Funnel:
        """For each stage how many are in it, how many came to it, and how long half of the stays took at most."""
        return await funnels.of(principal, job_id)


def _tagged(stage: Stage, status: int = HTTP_200_OK) -> Response[Stage]:
    return Response(stage, status_code=status, headers={"ETag": tag_of(stage.version)})
