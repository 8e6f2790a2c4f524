"""`/api/v1/resume-files`, and those of a talent: parses requests and renders answers; the work is in `service`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Annotated, Any, cast, get_args
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import ResponseHeader, State, UploadFile
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import Parameter
from litestar.response import Stream
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_201_CREATED,
    HTTP_204_NO_CONTENT,
    HTTP_206_PARTIAL_CONTENT,
    HTTP_304_NOT_MODIFIED,
)

from looma_core.api.page import Count, Page
from looma_core.api.person import Language
from looma_core.api.resume_file import FileState, LinkFile, NoteReading, ResumeFile
from looma_core.auth import Principal, Role
from looma_core.http import allow, answers, idempotent
from looma_core.problems import BadRequest, FieldError, UnsupportedMedia, ValidationProblem
from looma_engines.talent_sync.etag import tag_of, unchanged
from looma_engines.talent_sync.records.routes import (
    DEFAULT_LIMIT,
    Cursor,
    IfMatch,
    IfNoneMatch,
    Limit,
    required,
    tagged,
)

from .kinds import SHORT_NAMES
from .naming import disposition
from .repository import PATH
from .service import FILE_BYTES, FileService

FORM_BYTES = 64 * 1024
"""Room for a form's other fields beside the file."""
KNOWN = "The file that these bytes are already."

Whose = Annotated[UUID | None, Parameter(description="Only files of this talent.")]
Range = Annotated[
    str | None,
    Parameter(header="Range", max_length=100, description="One range of bytes, as `bytes=0-1023`."),
]
IfRange = Annotated[
    str | None,
    Parameter(
        header="If-Range",
        max_length=100,
        description="ETag of which the range is asked; of another: the whole.",
    ),
]
# Litestar keeps the name `state` for itself.
Standing = Annotated[FileState | None, Parameter(query="state", description="What a reader said of them.")]
Unlinked = Annotated[bool, Parameter(description="Only files that are nobody's yet.")]


@dataclass
class UploadOperation(Operation):
    """A file, and the language of its text."""

    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["file"],
            properties={
                "file": Schema(
                    type=OpenAPIType.STRING,
                    format=OpenAPIFormat.BINARY,
                    description="PDF, DOCX, DOC, ODT, RTF, HTML, text, PNG or JPEG; 10 MiB at most.",
                ),
                "language": Schema(type=OpenAPIType.STRING, enum=list(get_args(Language))),
            },
        )
        self.request_body = RequestBody(
            required=True, content={"multipart/form-data": OpenAPIMediaType(schema=schema)}
        )


@dataclass
class ContentOperation(Operation):
    """The bytes of a file of any type that is kept."""

    def __post_init__(self) -> None:
        any_bytes = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        answer = (self.responses or {})[str(HTTP_200_OK)]
        if isinstance(answer, OpenAPIResponse):
            answer.content = dict.fromkeys(SHORT_NAMES, any_bytes)


_UPLOAD: dict[str, Any] = {
    "status_code": HTTP_201_CREATED,
    "operation_class": UploadOperation,
    "opt": idempotent() | answers({HTTP_200_OK: KNOWN}),
    "request_max_body_size": FILE_BYTES + FORM_BYTES,
}
FILE_NAME = [
    ResponseHeader(
        name="Content-Disposition", description="The name to save the file by.", documentation_only=True
    )
]


class PersonFileController(Controller):
    """Résumé files that come for a person."""

    path = "/api/v1/talents/{record_id:uuid}/resume-files"
    tags = ("resume files",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @post(summary="Keep a résumé file of a person", **_UPLOAD)
    async def upload(
        self,
        record_id: UUID,
        request: Request[Principal, Any, State],
        principal: Principal,
        files: FileService,
    ) -> Response[ResumeFile]:
        """Keep a file. The same bytes for the same person are one file: it is answered, with status 200."""
        return await _uploaded(request, principal, files, record_id)


class FileController(Controller):
    """The résumé files of the caller's tenant."""

    path = PATH
    tags = ("resume files",)
    opt = allow(Role.RECRUITER, Role.ADMIN)

    @post(summary="Keep a résumé file of nobody yet", **_UPLOAD)
    async def upload(
        self, request: Request[Principal, Any, State], principal: Principal, files: FileService
    ) -> Response[ResumeFile]:
        """Keep a file before it is known whose it is. The same bytes again are that file, with status 200."""
        return await _uploaded(request, principal, files, None)

    @get(summary="List résumé files")
    async def page(
        self,
        *,
        principal: Principal,
        files: FileService,
        talent_id: Whose = None,
        standing: Standing = None,
        unlinked: Unlinked = False,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[ResumeFile]:
        """One page of files without their content, newest first."""
        filters = {"talent_id": talent_id, "state": standing, "unlinked": unlinked}
        return await files.page(principal, filters=filters, limit=limit, cursor=cursor)

    @get("/count", summary="Count résumé files")
    async def count(
        self,
        *,
        principal: Principal,
        files: FileService,
        talent_id: Whose = None,
        standing: Standing = None,
        unlinked: Unlinked = False,
    ) -> Count:
        """How many files the list has with these filters: exact up to 1,000, an estimate beyond."""
        filters = {"talent_id": talent_id, "state": standing, "unlinked": unlinked}
        return await files.count(principal, filters)

    @get(
        "/{file_id:uuid}",
        summary="Read what is known of a résumé file",
        opt=answers({HTTP_304_NOT_MODIFIED: "The caller has this version."}),
    )
    async def read(
        self, file_id: UUID, principal: Principal, files: FileService, if_none_match: IfNoneMatch = None
    ) -> Response[ResumeFile]:
        """One file without its content; its version is the `ETag`."""
        file = await files.get(principal, file_id)
        if if_none_match is not None and unchanged(if_none_match, file.version):
            return cast("Response[ResumeFile]", _unsent(tag_of(file.version)))
        return tagged(file, HTTP_200_OK)

    @get(
        "/{file_id:uuid}/content",
        summary="Download a résumé file",
        operation_class=ContentOperation,
        response_headers=FILE_NAME,
        opt=answers(
            {
                HTTP_206_PARTIAL_CONTENT: "The bytes that `Range` asks for.",
                HTTP_304_NOT_MODIFIED: "The caller has these bytes.",
            }
        ),
    )
    async def content(
        self,
        file_id: UUID,
        *,
        principal: Principal,
        files: FileService,
        if_none_match: IfNoneMatch = None,
        asked: Range = None,
        if_range: IfRange = None,
    ) -> Stream:
        """The file as it came, for saving: no browser shows it in our pages. The audit tells of it.

        The `ETag` is of the bytes, which never change. One range is served; what asks otherwise gets the whole.
        """
        if if_none_match is not None or if_range is not None:
            file = await files.get(principal, file_id)
            if if_none_match is not None and unchanged(if_none_match, file.sha256):
                return cast("Stream", _unsent(tag_of(file.sha256)))
            if if_range is not None and if_range != tag_of(file.sha256):
                asked = None
        file, span, parts = await files.content(principal, file_id, asked=asked)
        is_whole = span.length == file.size
        return Stream(
            parts,
            status_code=HTTP_200_OK if is_whole else HTTP_206_PARTIAL_CONTENT,
            media_type=file.media_type,
            headers={
                "Content-Disposition": disposition(file.file_name),
                "Content-Length": str(span.length),
                "Accept-Ranges": "bytes",
                **({} if is_whole else {"Content-Range": f"bytes {span.first}-{span.last}/{file.size}"}),
                "ETag": tag_of(file.sha256),
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox",
                "Cache-Control": "private, no-store",
            },
        )

    @post("/{file_id:uuid}/link", status_code=HTTP_200_OK, summary="Say whose file it is", opt=idempotent())
    async def link(
        self,
        file_id: UUID,
        data: LinkFile,
        principal: Principal,
        files: FileService,
        if_match: IfMatch = None,
    ) -> Response[ResumeFile]:
        """Give a file to a person, whoever had it before. It gets the next number of that person's files."""
        file = await files.link(principal, file_id, data.talent_id, if_match=required(if_match))
        return tagged(file, HTTP_200_OK)

    @post(
        "/{file_id:uuid}/reading",
        status_code=HTTP_200_OK,
        summary="Note what a reader said of a file",
        opt=idempotent(),
    )
    async def reading(
        self,
        file_id: UUID,
        data: NoteReading,
        principal: Principal,
        files: FileService,
        if_match: IfMatch = None,
    ) -> Response[ResumeFile]:
        """Keep whether a reader, such as the résumé engine, could read the file; if not, why."""
        file = await files.note_reading(principal, file_id, data, if_match=required(if_match))
        return tagged(file, HTTP_200_OK)

    @delete("/{file_id:uuid}", status_code=HTTP_204_NO_CONTENT, summary="Delete a résumé file")
    async def remove(
        self, file_id: UUID, principal: Principal, files: FileService, if_match: IfMatch = None
    ) -> None:
        """Delete a file: no list shows it from now on. Its bytes go when its time is over."""
        await files.delete(principal, file_id, if_match=required(if_match))


async def _uploaded(
    request: Request[Principal, Any, State],
    principal: Principal,
    files: FileService,
    talent_id: UUID | None,
) -> Response[ResumeFile]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMedia("Send `multipart/form-data` with a `file`.")
    try:
        form = await request.form()
    except UnicodeDecodeError as error:
        raise BadRequest("A field of the form is not UTF-8.") from error
    sent = form.get("file")
    if not isinstance(sent, UploadFile):
        raise ValidationProblem(errors=[FieldError(field="file", message="send the résumé as a file")])
    file, is_new = await files.store(
        principal,
        talent_id=talent_id,
        file_name=sent.filename,
        file=cast("IO[bytes]", sent.file),
        language=_language(form.get("language")),
    )
    answer = tagged(file, HTTP_201_CREATED if is_new else HTTP_200_OK)
    if is_new:
        answer.headers["Location"] = f"{PATH}/{file.id}"
    return cast("Response[ResumeFile]", answer)


def _language(said: object) -> str | None:
    if said is None:
        return None
    try:
        language: str = msgspec.convert(said, Language)
    except msgspec.ValidationError as error:
        message = f"write one of: {', '.join(get_args(Language))}"
        raise ValidationProblem(errors=[FieldError(field="language", message=message)]) from error
    return language


def _unsent(tag: str) -> Response[bytes]:
    return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
