"""Where a record came from."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SourceType = Literal["resume", "manual", "demo", "sync"]


class Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a record came from. `type` and `ref` are unique in a tenant, so that creating is idempotent."""

    type: SourceType = "manual"
    ref: (
        Annotated[str, Meta(min_length=1, max_length=200, description="Id at the source, as the résumé's.")]
        | None
    ) = None
