"""`/api/v1/talents`: parses requests and renders answers; the work is in `service`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.datastructures import State
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT, HTTP_304_NOT_MODIFIED

from looma_core.api.page import Page
from looma_core.api.quality import Assessment, RuleInfo
from looma_core.api.talent import SourceType, Talent, TalentDraft
from looma_core.auth import Principal, Role
from looma_core.http import WRITES_NOTHING, allow, idempotent
from looma_core.problems import (
    BadRequest,
    FieldError,
    PreconditionRequired,
    UnsupportedMedia,
    ValidationProblem,
)
from looma_engines.talent_sync.config import LARGEST_PAGE
from looma_engines.talent_sync.cursor import DEFAULT_SORT, Sort
from looma_engines.talent_sync.etag import tag_of, unchanged
from looma_engines.talent_sync.quality import talents as talent_rules
from looma_engines.talent_sync.service import TalentService

PATCH_TYPES = ("application/merge-patch+json", "application/json")

IfMatch = Annotated[
    str | None, Parameter(header="If-Match", description="ETag of the version that the change starts from.")
]
IfNoneMatch = Annotated[
    str | None, Parameter(header="If-None-Match", description="ETag that the caller has.")
]
Limit = Annotated[
    int,
    Parameter(
        ge=1, le=LARGEST_PAGE, description="Most items of the page; a service may be set to give less."
    ),
]
Search = Annotated[
    str | None,
    Parameter(
        max_length=200,
        description="Words that must all occur in name, headline, location, email or skills, in any case.",
    ),
]
Cursor = Annotated[
    str | None,
    Parameter(max_length=1000, description="`next_cursor` of the page before, with the same `sort`."),
]


class TalentController(Controller):
    """The people of the caller's tenant."""

    path = "/api/v1/talents"
    tags = ("talents",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @post(status_code=HTTP_201_CREATED, summary="Create a talent", opt=idempotent())
    async def create(
        self, data: TalentDraft, principal: Principal, talents: TalentService
    ) -> Response[Talent]:
        """Store a talent. A `source` that was sent before answers the talent that it made, with status 200."""
        talent, is_new = await talents.create(principal, data)
        answer = _tagged(talent, HTTP_201_CREATED if is_new else HTTP_200_OK)
        if is_new:
            answer.headers["Location"] = f"{self.path}/{talent.id}"
        return answer

    @get(summary="List talents")
    async def page(
        self,
        *,
        principal: Principal,
        talents: TalentService,
        q: Search = None,
        limit: Limit = 50,
        cursor: Cursor = None,
        source: SourceType | None = None,
        sort: Sort = DEFAULT_SORT,
    ) -> Page[Talent]:
        """One page of talents, newest first unless `sort` says otherwise."""
        if q is not None and "\x00" in q:
            raise ValidationProblem(errors=[FieldError(field="q", message="has a control character")])
        return await talents.page(principal, sort=sort, limit=limit, cursor=cursor, q=q, source=source)

    @get("/rules", summary="List the rules of talents")
    async def rules(self) -> list[RuleInfo]:
        """Everything that is asked of a talent, those that refuse one first."""
        return talent_rules.infos()

    @post(
        "/assess",
        status_code=HTTP_200_OK,
        summary="Assess a talent without keeping it",
        opt=WRITES_NOTHING,
    )
    async def assess(self, data: TalentDraft, talents: TalentService) -> Assessment:
        """What the rules say of a draft. Nothing is kept; what does not fit its types is 422, as when creating."""
        return talents.assess(data)

    @get("/{talent_id:uuid}/quality", summary="Read the quality of a talent")
    async def quality(self, talent_id: UUID, principal: Principal, talents: TalentService) -> Assessment:
        """The score of a talent as it is stored, and all that it lost points for."""
        return await talents.quality(principal, talent_id)

    @get("/{talent_id:uuid}", summary="Read a talent")
    async def read(
        self, talent_id: UUID, principal: Principal, talents: TalentService, if_none_match: IfNoneMatch = None
    ) -> Response[Talent | None]:
        """One talent; its version is the `ETag`."""
        talent = await talents.get(principal, talent_id)
        if if_none_match is not None and unchanged(if_none_match, talent.version):
            return Response(None, status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": tag_of(talent.version)})
        return _tagged(talent, HTTP_200_OK)

    @patch("/{talent_id:uuid}", summary="Change a talent", opt=idempotent())
    async def change(
        self,
        talent_id: UUID,
        request: Request[Principal, Any, State],
        principal: Principal,
        talents: TalentService,
        if_match: IfMatch = None,
    ) -> Response[Talent]:
        """Change fields by a JSON merge patch (RFC 7396): null empties a field, lists are replaced whole."""
        if_match = _required(if_match)
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in PATCH_TYPES:
            raise UnsupportedMedia(f"Send one of: {', '.join(PATCH_TYPES)}.")
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError as error:
            raise BadRequest(str(error)) from error
        talent = await talents.change(principal, talent_id, if_match=if_match, patch=body)
        return _tagged(talent, HTTP_200_OK)

    @delete("/{talent_id:uuid}", status_code=HTTP_204_NO_CONTENT, summary="Delete a talent")
    async def remove(
        self, talent_id: UUID, principal: Principal, talents: TalentService, if_match: IfMatch = None
    ) -> None:
        """Delete a talent: no list and no search shows it from now on."""
        await talents.delete(principal, talent_id, if_match=_required(if_match))


def _required(if_match: str | None) -> str:
    if if_match is None:
        raise PreconditionRequired("Send `If-Match` with the ETag that you read.")
    return if_match


def _tagged(talent: Talent, status: int) -> Response[Any]:
    return Response(talent, status_code=status, headers={"ETag": tag_of(talent.version)})
