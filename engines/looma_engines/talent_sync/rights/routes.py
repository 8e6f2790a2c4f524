"""`/api/v1/erasures`, `/audit-events` and what belongs to one person: parses requests; the services do the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.datastructures.headers import Accept
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import Parameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from looma_core.api.page import Page
from looma_core.api.rights import (
    AuditAction,
    AuditEvent,
    Consent,
    ConsentDraft,
    Consents,
    Erasure,
    ErasureRequest,
    LiftRequest,
    PersonExport,
)
from looma_core.auth import Principal, Role
from looma_core.http import allow, idempotent
from looma_core.problems import NotAcceptable
from looma_engines.talent_sync.moments import EntriesBefore, EntriesSince, span_of
from looma_engines.talent_sync.records.routes import Cursor, Limit

from .consents import ConsentService
from .erasures import ErasureService
from .events import AuditService
from .forms import MEDIA_TYPES, PersonForm, readable, zipped
from .person import PersonService

DEFAULT_LIMIT = 50
Form = Annotated[
    PersonForm | None,
    Parameter(
        description="JSON, a page that a person can read, or a ZIP file with both and the list of files. Without it "
        "the header `Accept` chooses."
    ),
]
Accepted = Annotated[str, Parameter(header="Accept", include_in_schema=False)]


@dataclass
class PersonOperation(Operation):
    """An answer in one of three forms."""

    def __post_init__(self) -> None:
        page = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
        archive = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        for answer in (self.responses or {}).values():
            if isinstance(answer, OpenAPIResponse) and answer.content:
                answer.content |= {"text/html": page, "application/zip": archive}


def _acceptable(accept: str) -> PersonForm:
    """The form that a header `Accept` prefers; JSON where it takes all of them.

    Raises:
        NotAcceptable: it takes none.
    """
    forms = {kind.partition(";")[0]: form for form, kind in MEDIA_TYPES.items()}
    best = Accept(accept).best_match(list(forms))
    if best is None:
        raise NotAcceptable(f"Ask with the header Accept for one of: {', '.join(forms)}.")
    return forms[best]


class ErasureController(Controller):
    """Erasures of people, with their proofs."""

    path = "/api/v1"
    tags = ("rights",)
    opt = allow(Role.ADMIN)

    @post(
        "/talents/{person_id:uuid}/erasure",
        status_code=HTTP_201_CREATED,
        summary="Erase a person",
        opt=idempotent(),
    )
    async def erase(
        self, person_id: UUID, data: ErasureRequest, principal: Principal, erasures: ErasureService
    ) -> Erasure:
        """Erase a person in every store, deleted or not, for good. The answer is the proof."""
        return await erasures.erase(principal, person_id, data)

    @get("/erasures", summary="List erasures")
    async def page(
        self,
        principal: Principal,
        erasures: ErasureService,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[Erasure]:
        """One page of the ledger, the newest first, without the proofs."""
        return await erasures.page(principal, limit=limit, cursor=cursor)

    @get("/erasures/{erasure_id:uuid}", summary="Read an erasure")
    async def read(self, erasure_id: UUID, principal: Principal, erasures: ErasureService) -> Erasure:
        """One entry of the ledger with its proof."""
        return await erasures.get(principal, erasure_id)

    @post(
        "/erasures/{erasure_id:uuid}/lift",
        status_code=HTTP_200_OK,
        summary="Lift an erasure",
        opt=idempotent(),
    )
    async def lift(
        self, erasure_id: UUID, data: LiftRequest, principal: Principal, erasures: ErasureService
    ) -> Erasure:
        """Let syncs bring the person in again, on a new basis. What was erased stays erased."""
        return await erasures.lift(principal, erasure_id, data)


class PersonController(Controller):
    """All that is held of one person."""

    path = "/api/v1/talents/{record_id:uuid}/export"
    tags = ("rights",)
    opt = allow(Role.ADMIN)

    @get(summary="Export a person", operation_class=PersonOperation)
    async def export(
        self,
        record_id: UUID,
        principal: Principal,
        persons: PersonService,
        format: Form = None,  # noqa: A002 - its name is what an error says
        accept: Accepted = "*/*",
    ) -> Response[PersonExport]:
        """All that is held of a person, deleted or not, as JSON, a page to read, or a ZIP file with both.

        The audit tells of it.
        """
        form = format or _acceptable(accept)
        document = await persons.export(principal, record_id)
        headers = {
            "Content-Disposition": f'attachment; filename="person-{record_id}.{form}"',
            "Cache-Control": "no-store",
            "Vary": "Accept",
        }
        if form == "json":
            return Response(document, headers=headers)
        if form == "zip":
            archive = Stream(zipped(document), media_type=MEDIA_TYPES[form], headers=headers)
            return cast("Response[PersonExport]", archive)
        page = Response(readable(document), media_type=MEDIA_TYPES[form], headers=headers)
        return cast("Response[PersonExport]", page)


class ConsentController(Controller):
    """Bases on which a person's data may be used."""

    path = "/api/v1/talents/{record_id:uuid}/consents"
    tags = ("rights",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @get(summary="List consents")
    async def consents(self, record_id: UUID, principal: Principal, consents: ConsentService) -> Consents:
        """All bases of a person, also those that are over, and which purposes they allow or bar."""
        return await consents.of(principal, record_id)

    @post(status_code=HTTP_201_CREATED, summary="Give a consent", opt=idempotent())
    async def give(
        self, record_id: UUID, data: ConsentDraft, principal: Principal, consents: ConsentService
    ) -> Consent:
        """Keep a basis for a purpose."""
        return await consents.give(principal, record_id, data)

    @post(
        "/{consent_id:uuid}/withdraw",
        status_code=HTTP_200_OK,
        summary="Withdraw a consent",
        opt=idempotent(),
    )
    async def withdraw(
        self, record_id: UUID, consent_id: UUID, principal: Principal, consents: ConsentService
    ) -> Consent:
        """End a basis now. It stays to be read."""
        return await consents.withdraw(principal, record_id, consent_id)


class AuditController(Controller):
    """The log of what was done with people's data."""

    path = "/api/v1/audit-events"
    tags = ("rights",)
    opt = allow(Role.ADMIN)

    @get(summary="List events")
    async def page(
        self,
        *,
        principal: Principal,
        audit: AuditService,
        action: AuditAction | None = None,
        record_id: UUID | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        since: EntriesSince = None,
        before: EntriesBefore = None,
    ) -> Page[AuditEvent]:
        """One page of events, the newest first."""
        filters = {"action": action, "record_id": record_id}
        span = span_of(since, before)
        return await audit.page(principal, filters=filters, limit=limit, cursor=cursor, span=span)
