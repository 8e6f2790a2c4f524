"""`spec.config` of an AIService with the engine talent-sync."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

LARGEST_PAGE = 500


class TalentConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What may be set per AIService; the definition of the resource has the same limits."""

    max_page_size: Annotated[int, Meta(ge=1, le=LARGEST_PAGE, description="Most talents in one answer.")] = (
        200
    )
