"""`/api/v1/duplicates` and `/merges`: parses requests; the work is in `review` and `merges`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK

from looma_core.api.duplicates import (
    Duplicate,
    DuplicateDetail,
    DuplicateScan,
    DuplicateStatus,
    LookFor,
    Merge,
    MergeRequest,
    UndoMerge,
    Verdict,
)
from looma_core.api.page import Page
from looma_core.auth import Principal, Role
from looma_core.http import allow, idempotent
from looma_engines.talent_sync.duplicates.merges import Merges
from looma_engines.talent_sync.duplicates.review import DuplicateReviews
from looma_engines.talent_sync.records.routes import DEFAULT_LIMIT, Cursor, Limit

Person = Annotated[UUID | None, Parameter(description="Pairs that this person is in.")]


class DuplicateController(Controller):
    """People of the caller's tenant who may be there twice."""

    path = "/api/v1/duplicates"
    tags = ("duplicates",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @get(summary="List pairs")
    async def page(
        self,
        *,
        principal: Principal,
        reviews: DuplicateReviews,
        verdict: Verdict | None = None,
        status: DuplicateStatus | None = None,
        talent_id: Person = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[Duplicate]:
        """One page of pairs, newest first; `status=open` are those that wait for a person."""
        filters = {"verdict": verdict, "status": status}
        return await reviews.page(principal, filters=filters, person=talent_id, limit=limit, cursor=cursor)

    @get("/scan", summary="Read what the last look came to")
    async def scan(self, principal: Principal, reviews: DuplicateReviews) -> DuplicateScan:
        """What the last look at everybody who was changed came to; it is taken each night."""
        return await reviews.scan(principal)

    @post("/look", status_code=HTTP_200_OK, summary="Look for one person's at once", opt=idempotent())
    async def look(self, data: LookFor, principal: Principal, reviews: DuplicateReviews) -> Page[Duplicate]:
        """Compare one person with all who have something in common; the pairs that the person is in."""
        return await reviews.look(principal, data.talent_id)

    @get("/{duplicate_id:uuid}", summary="Read a pair")
    async def read(
        self, duplicate_id: UUID, principal: Principal, reviews: DuplicateReviews
    ) -> DuplicateDetail:
        """Both records side by side, and what each field says of the two."""
        return await reviews.read(principal, duplicate_id)

    @post(
        "/{duplicate_id:uuid}/dismiss",
        status_code=HTTP_200_OK,
        summary="Say that they are two",
        opt=idempotent(),
    )
    async def dismiss(self, duplicate_id: UUID, principal: Principal, reviews: DuplicateReviews) -> Duplicate:
        """Close the pair. It opens again when one of the two changes in a field that is compared."""
        return await reviews.dismiss(principal, duplicate_id)

    @post("/{duplicate_id:uuid}/merge", status_code=HTTP_200_OK, summary="Merge the two", opt=idempotent())
    async def merge(
        self, duplicate_id: UUID, data: MergeRequest, principal: Principal, merges: Merges
    ) -> Merge:
        """Make one of two: fields as chosen, relations and sources of the other go to the one who stays.

        The other one is deleted; whoever asks for it is told where it went (410). Both histories stay.
        """
        return await merges.merge(principal, duplicate_id, data)


class MergeController(Controller):
    """Merges of people."""

    path = "/api/v1/merges"
    tags = ("duplicates",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @get("/{merge_id:uuid}", summary="Read a merge")
    async def read(self, merge_id: UUID, principal: Principal, merges: Merges) -> Merge:
        """Who stayed, who went, what was changed and what became of the relations."""
        return await merges.read(principal, merge_id)

    @post("/{merge_id:uuid}/undo", status_code=HTTP_200_OK, summary="Undo a merge", opt=idempotent())
    async def undo(self, merge_id: UUID, data: UndoMerge, principal: Principal, merges: Merges) -> Merge:
        """Make two of one again, with what each had; the problem names fields that were changed since."""
        return await merges.undo(principal, merge_id, force=data.force)
