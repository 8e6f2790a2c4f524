"""Records in bulk: several changes in one request, and files that are imported."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.problems import FieldError, Problem


class BatchItem(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One change. What belongs to another `action` must not be there."""

    action: Literal["create", "update", "delete"]
    id: Annotated[UUID | None, Meta(description="Of the record to update or delete.")] = None
    if_match: Annotated[
        str | None,
        Meta(description="ETag of the version that an update or a deletion starts from.", examples=['"3"']),
    ] = None
    draft: Annotated[dict[str, Any] | None, Meta(description="To create, as `POST` takes it.")] = None
    patch: Annotated[
        dict[str, Any] | None, Meta(description="To update: a JSON merge patch, as `PATCH` takes it.")
    ] = None


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST .../batch`. Each item is judged for itself; only its form is the whole request's."""

    items: list[BatchItem]


class BatchResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one item."""

    index: Annotated[int, Meta(description="Place of the item in the request, from 0.")]
    status: Annotated[int, Meta(description="The status that this item alone would have been answered with.")]
    id: UUID | None = None
    version: int | None = None
    etag: str | None = None
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct):
    """Answer to `POST .../batch`, in the order of the items."""

    items: list[BatchResult]


RowStatus = Literal["created", "updated", "unchanged", "existing", "refused"]


class RowResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one row of a file."""

    line: Annotated[int, Meta(description="Where the row begins in the file, from 1.")]
    status: RowStatus
    id: UUID | None = None
    errors: list[FieldError] = msgspec.field(default_factory=list)


class RowCounts(msgspec.Struct, kw_only=True):
    """How many rows ended in each way."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    existing: int = 0
    refused: int = 0


class ImportReport(msgspec.Struct, kw_only=True):
    """Answer to `POST .../import`, in the order of the file."""

    dry_run: Annotated[bool, Meta(description="Whether nothing was kept.")]
    counts: RowCounts
    rows: list[RowResult]
