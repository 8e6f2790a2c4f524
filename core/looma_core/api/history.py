"""What was done to a record: one entry for each version."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Action = Literal["create", "update", "delete", "restore"]


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field, before and after. Null is a field without a value."""

    field: Annotated[str, Meta(examples=["location"])]
    before: Annotated[Any, Meta(description="Null where the record was created.")] = None
    after: Any = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a record, as the database wrote it down."""

    version: Annotated[int, Meta(description="The version that it made.")]
    action: Action
    at: datetime
    actor: Annotated[
        str | None, Meta(description="`sub` of the token; null where nobody asked, as in a migration.")
    ]
    origin: Annotated[str, Meta(description="What it came through.", examples=["api", "sync", "migration"])]
    changes: Annotated[
        list[FieldChange],
        Meta(description="Fields that have another value since; of a creation all that had one."),
    ]
