"""`/batch`, `/import` and `/export` of each kind of record: parses requests and renders answers.

The filters of an export are those of its list: both have them from `talent_sync.routes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast, get_args

from litestar import Controller, Request, get, post
from litestar.datastructures import ResponseHeader, State, UploadFile
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import Parameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from looma_core.api.exchange import BatchAnswer, BatchRequest, ImportReport
from looma_core.auth import Principal, Role
from looma_core.http import allow, essence, idempotent, unsupported
from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.exchange.exporting import MEDIA_TYPES, Exporter, file_name
from looma_engines.talent_sync.exchange.importing import Importer
from looma_engines.talent_sync.exchange.reading import Format
from looma_engines.talent_sync.records.batch import Batches
from looma_engines.talent_sync.routes import (
    CompanySort,
    CompanyWords,
    Filters,
    JobSort,
    JobWords,
    RelationSort,
    RelationWords,
    TalentSort,
    TalentWords,
    company_filters,
    job_filters,
    narrowed_by,
    relation_filters,
    talent_filters,
)

BATCH_BYTES = 10 * 2**20
FILE_BYTES = 20 * 2**20
FORM_BYTES = 64 * 1024
"""Room for a form's other fields beside the file."""

_ENDINGS: dict[str, Format] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl"}

FileFormat = Annotated[Format, Parameter(description="CSV for spreadsheets, or JSON Lines.")]


@dataclass
class ImportOperation(Operation):
    """A file, and what is done with it."""

    def __post_init__(self) -> None:
        properties: dict[str, Reference | Schema] = {
            "file": Schema(
                type=OpenAPIType.STRING,
                format=OpenAPIFormat.BINARY,
                description="CSV with a header, or JSON Lines; UTF-8.",
            ),
            "format": Schema(
                type=OpenAPIType.STRING,
                enum=list(get_args(Format)),
                description="Told from the file's name where it is left out.",
            ),
            "dry_run": Schema(
                type=OpenAPIType.STRING,
                enum=["true", "false"],
                default="false",
                description="Tell what would happen, and keep nothing.",
            ),
            "existing": Schema(
                type=OpenAPIType.STRING,
                enum=["update", "keep"],
                default="update",
                description="What becomes of a record that came from a row's source before.",
            ),
        }
        schema = Schema(type=OpenAPIType.OBJECT, required=["file"], properties=properties)
        self.request_body = RequestBody(
            required=True, content={"multipart/form-data": OpenAPIMediaType(schema=schema)}
        )


@dataclass
class ExportOperation(Operation):
    """A file of one of two kinds."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        text = Schema(type=OpenAPIType.STRING)
        answer.content = {name: OpenAPIMediaType(schema=text) for name in MEDIA_TYPES.values()}  # type: ignore[union-attr]


FILE_NAME = [
    ResponseHeader(
        name="Content-Disposition", description="The name to save the file by.", documentation_only=True
    )
]
_EXPORT: dict[str, Any] = {
    "summary": "Export all that a list has",
    "operation_class": ExportOperation,
    "response_headers": FILE_NAME,
}


class ExchangeController(Controller):
    """Many records of the caller's tenant at once; a kind adds its export, whose filters are its list's."""

    opt = allow(Role.RECRUITER, Role.ADMIN)

    @post(
        "/batch",
        status_code=HTTP_200_OK,
        summary="Create, change and delete several",
        opt=idempotent(),
        request_max_body_size=BATCH_BYTES,
    )
    async def batch(self, data: BatchRequest, principal: Principal, batches: Batches) -> BatchAnswer:
        """Each item has its own result, with the status that it alone would have had.

        All are one transaction. An item that is refused takes back what it did, and nothing else.
        """
        return BatchAnswer(items=await batches.apply(principal, data.items))

    @post(
        "/import",
        status_code=HTTP_200_OK,
        summary="Import a file",
        operation_class=ImportOperation,
        opt=idempotent(),
        request_max_body_size=FILE_BYTES + FORM_BYTES,
    )
    async def import_file(
        self, request: Request[Principal, Any, State], principal: Principal, importer: Importer
    ) -> ImportReport:
        """Create and change records by the rows of a file; each row has its own result.

        A row changes the record with its `id`, else the one that came from its source before, else it creates one. A
        row with a `version` is refused if the record was changed since. What a row does not have stays as it is.
        """
        kind = essence(request.headers.get("content-type", ""))
        if kind != "multipart/form-data":
            raise unsupported(kind, ["multipart/form-data"])
        form = await request.form()
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise _wrong("file", "send a CSV or JSON Lines file")
        return await importer.run(
            principal,
            file.file,
            _format(form.get("format"), file.filename),
            dry_run=_one_of("dry_run", form.get("dry_run", "false"), ("false", "true")) == "true",
            keep_existing=_one_of("existing", form.get("existing", "update"), ("update", "keep")) == "keep",
        )


class TalentExchange(ExchangeController):
    """Many people at once."""

    path = "/api/v1/talents"
    tags = ("talents",)
    dependencies = narrowed_by(talent_filters)

    @get("/export", **_EXPORT)
    async def export(
        self,
        *,
        principal: Principal,
        exporter: Exporter,
        format: FileFormat = "csv",  # noqa: A002 - its name is what an error says
        q: TalentWords = None,
        filters: Filters,
        sort: TalentSort = "-created_at",
    ) -> Stream:
        """All talents that a list with the same filters has, as they are at one moment."""
        parts = await exporter.begin(principal, format, sort=sort, q=q, filters=filters)
        return _sent(parts, "talents", format)


class CompanyExchange(ExchangeController):
    """Many companies at once."""

    path = "/api/v1/companies"
    tags = ("companies",)
    dependencies = narrowed_by(company_filters)

    @get("/export", **_EXPORT)
    async def export(
        self,
        *,
        principal: Principal,
        exporter: Exporter,
        format: FileFormat = "csv",  # noqa: A002 - its name is what an error says
        q: CompanyWords = None,
        filters: Filters,
        sort: CompanySort = "-created_at",
    ) -> Stream:
        """All companies that a list with the same filters has, as they are at one moment."""
        parts = await exporter.begin(principal, format, sort=sort, q=q, filters=filters)
        return _sent(parts, "companies", format)


class JobExchange(ExchangeController):
    """Many jobs at once."""

    path = "/api/v1/jobs"
    tags = ("jobs",)
    dependencies = narrowed_by(job_filters)

    @get("/export", **_EXPORT)
    async def export(
        self,
        *,
        principal: Principal,
        exporter: Exporter,
        format: FileFormat = "csv",  # noqa: A002 - its name is what an error says
        q: JobWords = None,
        filters: Filters,
        sort: JobSort = "-created_at",
    ) -> Stream:
        """All jobs that a list with the same filters has, as they are at one moment."""
        parts = await exporter.begin(principal, format, sort=sort, q=q, filters=filters)
        return _sent(parts, "jobs", format)


class RelationExchange(ExchangeController):
    """Many relations at once."""

    path = "/api/v1/relations"
    tags = ("relations",)
    dependencies = narrowed_by(relation_filters)

    @get("/export", **_EXPORT)
    async def export(
        self,
        *,
        principal: Principal,
        exporter: Exporter,
        format: FileFormat = "csv",  # noqa: A002 - its name is what an error says
        q: RelationWords = None,
        filters: Filters,
        sort: RelationSort = "-created_at",
    ) -> Stream:
        """All relations that a list with the same filters has, as they are at one moment."""
        parts = await exporter.begin(principal, format, sort=sort, q=q, filters=filters)
        return _sent(parts, "relations", format)


def _sent(parts: Any, kind: str, file_format: Format) -> Stream:  # noqa: ANN401 - an asynchronous iterator
    return Stream(
        parts,
        media_type=MEDIA_TYPES[file_format],
        headers={
            "Content-Disposition": f'attachment; filename="{file_name(kind, file_format)}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


def _format(said: object, name: str) -> Format:
    if said is not None:
        return cast("Format", _one_of("format", said, get_args(Format)))
    known = _ENDINGS.get(name.rpartition(".")[2].lower())
    if known is None:
        raise _wrong("format", "write `csv` or `jsonl`, or send a file whose name ends so")
    return known


def _one_of(field: str, said: object, words: tuple[str, ...]) -> str:
    if said not in words:
        raise _wrong(field, f"write one of: {', '.join(words)}")
    return str(said)


def _wrong(field: str, message: str) -> ValidationProblem:
    return ValidationProblem(errors=[FieldError(field=field, message=message)])
