"""`/api/v1/erasures`, `/audit-events` and what belongs to one person: parses requests; the services do the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, cast
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Parameter
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
from looma_engines.talent_sync.records.routes import Cursor, Limit

from .consents import ConsentService
from .erasures import ErasureService
from .events import AuditService
from .person import PersonService, readable

DEFAULT_LIMIT = 50
PersonForm = Annotated[
    Literal["json", "html"], Parameter(description="JSON, or a page that a person can read.")
]


@dataclass
class PersonOperation(Operation):
    """An answer in one of two forms."""

    def __post_init__(self) -> None:
        page = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
        for answer in (self.responses or {}).values():
            if isinstance(answer, OpenAPIResponse) and answer.content:
                answer.content["text/html"] = page


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
        format: PersonForm = "json",  # noqa: A002 - its name is what an error says
    ) -> Response[PersonExport]:
        """All that is held of a person, deleted or not, as JSON or as a page to read. The audit tells of it."""
        document = await persons.export(principal, record_id)
        headers = {
            "Content-Disposition": f'attachment; filename="person-{record_id}.{format}"',
            "Cache-Control": "no-store",
        }
        if format == "html":
            page = Response(readable(document), media_type="text/html; charset=utf-8", headers=headers)
            return cast("Response[PersonExport]", page)
        return Response(document, headers=headers)


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
    ) -> Page[AuditEvent]:
        """One page of events, the newest first."""
        filters = {"action": action, "record_id": record_id}
        return await audit.page(principal, filters=filters, limit=limit, cursor=cursor)
