"""`/api/v1/resumes`, `/skills` and `/entities`: parses requests and renders answers; the work is in `service`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import ResponseHeader, State, UploadFile
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import Parameter
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_201_CREATED,
    HTTP_202_ACCEPTED,
    HTTP_204_NO_CONTENT,
    HTTP_500_INTERNAL_SERVER_ERROR,
)
from msgspec import Meta

from looma_core.api.gateway import COST_HEADER
from looma_core.api.page import Page
from looma_core.api.reading import read
from looma_core.api.resume import (
    Entity,
    ParsedResume,
    ResumeRecord,
    ResumeSource,
    ResumeSummary,
    SkillMention,
    TextInput,
)
from looma_core.auth import Principal, Role
from looma_core.http import (
    WRITES_NOTHING,
    allow,
    answers,
    essence,
    idempotent,
    leave_unfinished,
    unsupported,
)
from looma_core.problems import (
    BadRequest,
    FieldError,
    Problem,
    ProblemError,
    ValidationProblem,
)
from looma_engines.resume.documents.sniff import SHORT_NAMES
from looma_engines.resume.service import Kept, ResumeService

MAX_PAGE = 200
MAX_BATCH = 20
TEXT_COST = 1
"""A text is one page, however it comes."""

COST = [
    ResponseHeader(
        name=COST_HEADER,
        description="Pages that were read for this answer, which `route.budget` counts; 0 for a file that was known.",
        documentation_only=True,
    )
]

KNOWN = "The résumé that these bytes are already."
PENDING = "The résumé is stored, and its talent could not be created now."

AnswerT = TypeVar("AnswerT")

Limit = Annotated[int, Parameter(ge=1, le=MAX_PAGE, description="Most items of the page.")]
Cursor = Annotated[str | None, Parameter(max_length=100, description="`next_cursor` of the page before.")]
TalentId = Annotated[UUID | None, Parameter(description="Only résumés of this talent.")]


class BatchItem(msgspec.Struct, kw_only=True):
    """What became of one file of a batch: a résumé or a problem."""

    file_name: str
    status: Annotated[int, Meta(description="The status that this file alone would have been answered with.")]
    resume: ResumeRecord | None = None
    problem: Problem | None = None


class Batch(msgspec.Struct):
    """Answer to `POST /api/v1/resumes/batch`, in the order of the files."""

    items: list[BatchItem]


def _file_schema(*, name: str = "file", many: bool = False) -> Schema:
    one = Schema(
        type=OpenAPIType.STRING,
        format=OpenAPIFormat.BINARY,
        description="PDF, DOCX, HTML, RTF or plain text.",
    )
    return Schema(
        type=OpenAPIType.OBJECT,
        required=[name],
        properties={
            name: Schema(type=OpenAPIType.ARRAY, items=one, min_items=1, max_items=MAX_BATCH)
            if many
            else one,
            "source": Schema(type=OpenAPIType.STRING, enum=["resume", "demo"], default="resume"),
        },
    )


def _body(*media: tuple[str, Schema | Reference]) -> RequestBody:
    return RequestBody(
        required=True, content={name: OpenAPIMediaType(schema=schema) for name, schema in media}
    )


_TEXT_SCHEMA = Reference(ref="#/components/schemas/TextInput")


# Litestar documents a body by a handler's parameter; these handlers take two kinds of body, so they say it here.
@dataclass
class ParseOperation(Operation):
    """A file or a text."""

    def __post_init__(self) -> None:
        self.request_body = _body(("multipart/form-data", _file_schema()), ("application/json", _TEXT_SCHEMA))


@dataclass
class UploadOperation(Operation):
    """A file."""

    def __post_init__(self) -> None:
        self.request_body = _body(("multipart/form-data", _file_schema()))


@dataclass
class BatchOperation(Operation):
    """Several files."""

    def __post_init__(self) -> None:
        self.request_body = _body(("multipart/form-data", _file_schema(name="files", many=True)))


@dataclass
class DownloadOperation(Operation):
    """The bytes of a file of any type that is read."""

    def __post_init__(self) -> None:
        any_bytes = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        answer = (self.responses or {})[str(HTTP_200_OK)]
        if isinstance(answer, OpenAPIResponse):
            answer.content = dict.fromkeys(SHORT_NAMES, any_bytes)


class ResumeController(Controller):
    """The résumés of the caller's tenant."""

    path = "/api/v1/resumes"
    tags = ("resumes",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @post(
        "/parse",
        status_code=HTTP_200_OK,
        summary="Parse a résumé without keeping it",
        operation_class=ParseOperation,
        opt=WRITES_NOTHING,
        response_headers=COST,
    )
    async def parse(
        self, request: Request[Principal, Any, State], resumes: ResumeService
    ) -> Response[ParsedResume]:
        """Take a multipart `file` or JSON `{text}`; nothing is stored."""
        kind = _content_type(request)
        if kind == "application/json":
            parsed = await resumes.parse_text((await _text(request)).text)
            return _costing(parsed, parsed.pages)
        if kind == "multipart/form-data":
            _, data = await _upload(await _form(request))
            parsed = await resumes.parse_file(data)
            return _costing(parsed, parsed.pages)
        raise unsupported(kind, ["multipart/form-data", "application/json"])

    @post(
        status_code=HTTP_201_CREATED,
        summary="Keep a résumé and create its talent",
        operation_class=UploadOperation,
        opt=idempotent(in_steps=True) | answers({HTTP_200_OK: KNOWN, HTTP_202_ACCEPTED: PENDING}),
        response_headers=COST,
    )
    async def create(
        self, request: Request[Principal, Any, State], principal: Principal, resumes: ResumeService
    ) -> Response[ResumeRecord]:
        """Parse and store a file, and create its talent.

        201 is a new résumé, 200 one whose bytes were sent before. 202: it is stored, but its talent could not be
        created now; `talent_id` is null, and `POST /api/v1/resumes/{id}/talent` (or the same file again) goes on.
        """
        form = await _form(request)
        name, data = await _upload(form)
        kept = await resumes.keep(principal, file_name=name, data=data, source=_source(form))
        answer = _kept(kept, self.path)
        answer.headers[COST_HEADER] = str(kept.pages)
        return answer

    @post(
        "/batch",
        status_code=HTTP_200_OK,
        summary="Keep several résumés",
        operation_class=BatchOperation,
        opt=idempotent(in_steps=True),
        response_headers=COST,
    )
    async def batch(
        self, request: Request[Principal, Any, State], principal: Principal, resumes: ResumeService
    ) -> Response[Batch]:
        """Take up to 20 `files`; each is answered for itself, and one that is refused does not stop the others."""
        form = await _form(request)
        files = [item for item in form.getall("files", []) if isinstance(item, UploadFile)]
        if not 1 <= len(files) <= MAX_BATCH:
            raise ValidationProblem(
                errors=[FieldError(field="files", message=f"send 1 to {MAX_BATCH} files")]
            )
        source = _source(form)
        answered = [await _one_of_batch(resumes, principal, file, source) for file in files]
        if any(_may_go_on(item.status) for item, _ in answered):
            leave_unfinished()
        return _costing(Batch(items=[item for item, _ in answered]), sum(cost for _, cost in answered))

    @get(summary="List résumés")
    async def page(
        self,
        *,
        principal: Principal,
        resumes: ResumeService,
        limit: Limit = 50,
        cursor: Cursor = None,
        talent_id: TalentId = None,
    ) -> Page[ResumeSummary]:
        """One page of résumés, newest first."""
        return await resumes.page(principal, limit=limit, cursor=cursor, talent_id=talent_id)

    @get("/{resume_id:uuid}", summary="Read a résumé")
    async def read(self, resume_id: UUID, principal: Principal, resumes: ResumeService) -> ResumeRecord:
        """One résumé with what was found in it."""
        return await resumes.get(principal, resume_id)

    @get(
        "/{resume_id:uuid}/file",
        summary="Download a résumé's file",
        media_type="application/octet-stream",
        operation_class=DownloadOperation,
    )
    async def download(
        self, resume_id: UUID, principal: Principal, resumes: ResumeService
    ) -> Response[bytes]:
        """The file as it was sent, for saving: no browser shows it in our pages."""
        summary, content = await resumes.file(principal, resume_id)
        return Response(
            content,
            media_type=summary.media_type,
            headers={
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(summary.file_name, safe='')}",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox",
                "Cache-Control": "private, no-store",
            },
        )

    @post(
        "/{resume_id:uuid}/talent",
        status_code=HTTP_200_OK,
        summary="Create the talent of a résumé",
        opt=idempotent(in_steps=True) | answers({HTTP_202_ACCEPTED: PENDING}),
    )
    async def complete(
        self, resume_id: UUID, principal: Principal, resumes: ResumeService
    ) -> Response[ResumeRecord]:
        """Go on where talent-sync was away; a résumé that has its talent is answered as it is."""
        return _kept(await resumes.complete(principal, resume_id), self.path)

    @delete("/{resume_id:uuid}", status_code=HTTP_204_NO_CONTENT, summary="Erase a résumé")
    async def erase(self, resume_id: UUID, principal: Principal, resumes: ResumeService) -> None:
        """Erase the file and what was found in it; the talent stays."""
        await resumes.erase(principal, resume_id)


class Entities(msgspec.Struct):
    """Answer to `POST /api/v1/entities/extract`."""

    entities: list[Entity]


class Skills(msgspec.Struct):
    """Answer to `POST /api/v1/skills/extract`."""

    skills: list[SkillMention]


class ExtractController(Controller):
    """Spans of a text, without a résumé around it."""

    path = "/api/v1"
    tags = ("extract",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @post(
        "/entities/extract",
        status_code=HTTP_200_OK,
        summary="Find entities in a text",
        opt=WRITES_NOTHING,
        response_headers=COST,
    )
    async def entities(self, data: TextInput, resumes: ResumeService) -> Response[Entities]:
        """Names, organisations, titles, schools, degrees, places, dates, skills; offsets in code points of `text`."""
        return _costing(Entities(await resumes.entities(data.text)), TEXT_COST)

    @post(
        "/skills/extract",
        status_code=HTTP_200_OK,
        summary="Find skills in a text",
        opt=WRITES_NOTHING,
        response_headers=COST,
    )
    async def skills(self, data: TextInput, resumes: ResumeService) -> Response[Skills]:
        """Every mention of a skill of Looma's list; offsets in code points of `text`."""
        return _costing(Skills(await resumes.skills(data.text)), TEXT_COST)


def _content_type(request: Request[Any, Any, Any]) -> str:
    return essence(request.headers.get("content-type", ""))


async def _text(request: Request[Any, Any, Any]) -> TextInput:
    try:
        return read(msgspec.json.decode(await request.body()), TextInput)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from error


async def _form(request: Request[Any, Any, Any]) -> Any:  # noqa: ANN401 - Litestar's FormMultiDict of str and UploadFile
    kind = _content_type(request)
    if kind != "multipart/form-data":
        raise unsupported(kind, ["multipart/form-data"])
    try:
        return await request.form()
    except UnicodeDecodeError as error:
        raise BadRequest("A field of the form is not UTF-8.") from error


async def _upload(form: Any) -> tuple[str, bytes]:  # noqa: ANN401 - as above
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise ValidationProblem(errors=[FieldError(field="file", message="send the résumé as a file")])
    return file.filename, await file.read()


def _source(form: Any) -> ResumeSource:  # noqa: ANN401 - as above
    try:
        source: ResumeSource = msgspec.convert(form.get("source", "resume"), ResumeSource)
    except msgspec.ValidationError as error:
        raise ValidationProblem(
            errors=[FieldError(field="source", message="write `resume` or `demo`")]
        ) from error
    return source


async def _one_of_batch(
    resumes: ResumeService, principal: Principal, file: UploadFile, source: ResumeSource
) -> tuple[BatchItem, int]:
    """What became of a file, and what that cost."""
    try:
        kept = await resumes.keep(principal, file_name=file.filename, data=await file.read(), source=source)
    except ProblemError as error:
        item = BatchItem(file_name=file.filename, status=error.status, problem=error.problem())
        return item, int(error.headers.get(COST_HEADER, "0"))
    return BatchItem(file_name=file.filename, status=_status(kept), resume=_with_warning(kept)), kept.pages


def _costing(answer: AnswerT, pages: int) -> Response[AnswerT]:
    return Response(answer, headers={COST_HEADER: str(pages)})


def _may_go_on(status: int) -> bool:
    """Whether the same file again can bring more: its talent is missing, or the engine could not do its part."""
    return status == HTTP_202_ACCEPTED or status >= HTTP_500_INTERNAL_SERVER_ERROR


def _kept(kept: Kept, path: str) -> Response[ResumeRecord]:
    headers = {"Location": f"{path}/{kept.record.id}"} if kept.is_new else {}
    if _may_go_on(_status(kept)):
        leave_unfinished()
    return Response(_with_warning(kept), status_code=_status(kept), headers=headers)


def _status(kept: Kept) -> int:
    """Status of a kept résumé: 202 while its talent is missing, 201 when new, else 200."""
    if kept.pending is not None:
        return HTTP_202_ACCEPTED
    return HTTP_201_CREATED if kept.is_new else HTTP_200_OK


def _with_warning(kept: Kept) -> ResumeRecord:
    """The record, with a warning while its talent is missing."""
    if kept.pending is None:
        return kept.record
    warning = (
        f"The résumé is stored, but its talent was not created: {kept.pending}. "
        f"POST /api/v1/resumes/{kept.record.id}/talent, or the same file again, goes on."
    )
    parsed = msgspec.structs.replace(kept.record.parsed, warnings=[*kept.record.parsed.warnings, warning])
    return msgspec.structs.replace(kept.record, parsed=parsed)
