"""The endpoints that every kind of record has: parses requests and renders answers; the work is in `service`.

    class JobController(RecordController[JobDraft, Job]):
        path = "/api/v1/jobs"

`DraftT` and `RecordT` in the handlers' signatures are those two when Litestar reads them, `SparseT` is a record with
some of its fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, cast
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.datastructures import State
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT, HTTP_304_NOT_MODIFIED

from looma_core.api.history import HistoryEntry
from looma_core.api.page import Page
from looma_core.api.quality import Assessment, RuleInfo
from looma_core.auth import Principal, Role
from looma_core.http import WRITES_NOTHING, allow, answers, idempotent, patches
from looma_core.problems import BadRequest, PreconditionRequired
from looma_engines.talent_sync.config import LARGEST_PAGE
from looma_engines.talent_sync.etag import tag_of, unchanged
from looma_engines.talent_sync.moments import EntriesBefore, EntriesSince, span_of
from looma_engines.talent_sync.quality.rule import infos
from looma_engines.talent_sync.records.entity import DraftT, RecordT
from looma_engines.talent_sync.records.restoring import Restorer
from looma_engines.talent_sync.records.service import RecordService
from looma_engines.talent_sync.records.sparse import Fields, SparseT, narrowed, sparse

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
Cursor = Annotated[
    str | None,
    Parameter(max_length=1000, description="`next_cursor` of the page before, with the same `sort`."),
]
HistoryCursor = Annotated[
    str | None, Parameter(max_length=1000, description="`next_cursor` of the page before.")
]
DEFAULT_LIMIT = 50


class RecordController(Controller, Generic[DraftT, RecordT]):
    """Records of the caller's tenant; a kind adds its list, whose filters are its own."""

    opt = allow(Role.RECRUITER, Role.ADMIN)

    def __class_getitem__(cls, arguments: tuple[Any, Any]) -> Any:  # noqa: ANN401 - a class of its own
        """The controller of one kind: what its handlers' signatures name is looked up here."""
        draft, record = arguments
        namespace = {"DraftT": draft, "RecordT": record, "SparseT": sparse(record)}
        return type(f"{record.__name__}{cls.__name__}", (cls,), {"signature_namespace": namespace})

    @post(
        status_code=HTTP_201_CREATED,
        summary="Create one",
        opt=idempotent() | answers({HTTP_200_OK: "The record that this `source` made before."}),
    )
    async def create(
        self, data: DraftT, principal: Principal, records: RecordService[Any, Any]
    ) -> Response[RecordT]:
        """Store a record. A `source` that was sent before answers the record that it made, with status 200."""
        record, is_new = await records.create(principal, data)
        answer = tagged(record, HTTP_201_CREATED if is_new else HTTP_200_OK)
        if is_new:
            answer.headers["Location"] = f"{self.path}/{record.id}"
        return cast("Response[RecordT]", answer)

    @get("/rules", summary="List the rules")
    async def rules(self, records: RecordService[Any, Any]) -> list[RuleInfo]:
        """Everything that is asked of such a record, what refuses one first."""
        return infos(records.entity.rules)

    @post("/assess", status_code=HTTP_200_OK, summary="Assess one without keeping it", opt=WRITES_NOTHING)
    async def assess(self, data: DraftT, records: RecordService[Any, Any]) -> Assessment:
        """What the rules say of a draft. Nothing is kept; what does not fit its types is 422, as when creating."""
        return records.assess(data)

    @get("/{record_id:uuid}/quality", summary="Read the quality of one")
    async def quality(
        self, record_id: UUID, principal: Principal, records: RecordService[Any, Any]
    ) -> Assessment:
        """The score of a record as it is stored, and all that it lost points for."""
        return await records.quality(principal, record_id)

    @get("/{record_id:uuid}/history", summary="Read the history of one")
    async def history(
        self,
        record_id: UUID,
        *,
        principal: Principal,
        records: RecordService[Any, Any],
        limit: Limit = DEFAULT_LIMIT,
        cursor: HistoryCursor = None,
        since: EntriesSince = None,
        before: EntriesBefore = None,
    ) -> Page[HistoryEntry]:
        """What was done to a record, when and by whom, the newest first; to a deleted one as well."""
        span = span_of(since, before)
        return await records.history(principal, record_id, limit=limit, cursor=cursor, span=span)

    @get(
        "/{record_id:uuid}",
        summary="Read one",
        opt=answers({HTTP_304_NOT_MODIFIED: "The caller has this version."}),
    )
    async def read(
        self,
        record_id: UUID,
        principal: Principal,
        records: RecordService[Any, Any],
        if_none_match: IfNoneMatch = None,
        fields: Fields = None,
    ) -> Response[RecordT | SparseT]:
        """One record; its version is the `ETag`."""
        record = await records.get(principal, record_id)
        if if_none_match is not None and unchanged(if_none_match, record.version):
            unsent = Response(
                None, status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": tag_of(record.version)}
            )
            return cast("Response[RecordT | SparseT]", unsent)
        return tagged(narrowed(record, fields), HTTP_200_OK)

    @patch("/{record_id:uuid}", summary="Change one", opt=idempotent() | patches("DraftT"))
    async def change(
        self,
        record_id: UUID,
        request: Request[Principal, Any, State],
        principal: Principal,
        records: RecordService[Any, Any],
        if_match: IfMatch = None,
    ) -> Response[RecordT]:
        """Change fields by a JSON merge patch (RFC 7396): null empties a field, lists are replaced whole."""
        if_match = required(if_match)
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError as error:
            raise BadRequest(str(error)) from error
        record = await records.change(principal, record_id, if_match=if_match, patch=body)
        return tagged(record, HTTP_200_OK)

    @delete("/{record_id:uuid}", status_code=HTTP_204_NO_CONTENT, summary="Delete one")
    async def remove(
        self,
        record_id: UUID,
        principal: Principal,
        records: RecordService[Any, Any],
        if_match: IfMatch = None,
    ) -> None:
        """Delete a record: no list and no search shows it from now on."""
        await records.delete(principal, record_id, if_match=required(if_match))

    @post(
        "/{record_id:uuid}/restore",
        status_code=HTTP_200_OK,
        summary="Restore a deleted one",
        opt=idempotent(),
    )
    async def restore(
        self,
        record_id: UUID,
        principal: Principal,
        restorer: Restorer[Any, Any],
        if_match: IfMatch = None,
    ) -> Response[RecordT]:
        """Bring a deleted record back as it was. Its history names the version that the deletion made."""
        record = await restorer.restore(principal, record_id, if_match=required(if_match))
        return cast("Response[RecordT]", tagged(record, HTTP_200_OK))


def required(if_match: str | None) -> str:
    """The tag that a change must name.

    Raises:
        PreconditionRequired: there is none.
    """
    if if_match is None:
        raise PreconditionRequired("Send `If-Match` with the ETag that you read.")
    return if_match


def tagged(record: Any, status: int) -> Response[Any]:  # noqa: ANN401 - of whatever kind
    """An answer with a record and its version as the ETag."""
    return Response(record, status_code=status, headers={"ETag": tag_of(record.version)})
