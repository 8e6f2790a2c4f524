"""`spec.config` of an AIService with the engine talent-sync."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

LARGEST_PAGE = 500
MOST_ITEMS = 1000


class TalentConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What may be set per AIService; the definition of the resource has the same limits."""

    max_page_size: Annotated[int, Meta(ge=1, le=LARGEST_PAGE, description="Most talents in one answer.")] = (
        200
    )
    max_batch_items: Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="Most changes in one request.")] = (
        MOST_ITEMS
    )
    max_import_rows: Annotated[int, Meta(ge=1, le=20_000, description="Most rows of an imported file.")] = (
        5000
    )
