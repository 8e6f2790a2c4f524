"""`/api/v1/skills`: its list and what is asked of a taxonomy alone; all else is `records.routes`."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from litestar import get, post
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK

from looma_core.api.page import Count, Page
from looma_core.api.skill import (
    Skill,
    SkillDraft,
    SkillImport,
    SkillKind,
    SkillMatches,
    SkillRefs,
    SkillStatus,
)
from looma_core.api.source import SourceType
from looma_core.auth import Principal
from looma_core.http import idempotent
from looma_engines.talent_sync.moments import MOMENT_PATTERN, MOMENT_SCHEMA, moment_of
from looma_engines.talent_sync.records.routes import DEFAULT_LIMIT, Cursor, Limit, RecordController
from looma_engines.talent_sync.records.service import RecordService
from looma_engines.talent_sync.records.sparse import Fields, SparseT, narrowed_page
from looma_engines.talent_sync.routes import Filters, narrowed_by
from looma_engines.talent_sync.skills.importing import SkillImporter
from looma_engines.talent_sync.skills.lookups import SkillLookups

SkillSort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "key", "-key"]
Words = Annotated[
    str | None,
    Parameter(max_length=200, description="Words that must all occur in the key or a name, in any case."),
]
Parent = Annotated[UUID | None, Parameter(description="Skills right below this one.")]
Top = Annotated[
    bool | None, Parameter(description="With true skills without a parent, with false the others.")
]
Since = Annotated[
    str | None,
    Parameter(
        pattern=MOMENT_PATTERN,
        schema_extra=MOMENT_SCHEMA,
        description="Skills that were changed at this moment or later.",
    ),
]
Text = Annotated[
    str,
    Parameter(
        min_length=1,
        max_length=200,
        description="A name in Chinese or English as somebody types it, or its beginning.",
    ),
]
Most = Annotated[int, Parameter(ge=1, le=50, description="Most suggestions.")]


def skill_filters(
    *,
    source: SourceType | None = None,
    kind: SkillKind | None = None,
    status: SkillStatus | None = None,
    parent: Parent = None,
    top: Top = None,
    updated_since: Since = None,
) -> dict[str, object]:
    """What a list of skills and its count may be narrowed to, by field."""
    return {
        "source_type": source,
        "kind": kind,
        "status": status,
        "parent": parent,
        "top": top,
        "updated_since": moment_of("updated_since", updated_since),
    }


class SkillController(RecordController[SkillDraft, Skill]):
    """The taxonomy of the caller's tenant."""

    path = "/api/v1/skills"
    tags = ("skills",)
    dependencies = narrowed_by(skill_filters)

    @get(summary="List skills")
    async def page(
        self,
        *,
        principal: Principal,
        records: RecordService[SkillDraft, Skill],
        q: Words = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        filters: Filters,
        sort: SkillSort = "key",
        fields: Fields = None,
    ) -> Page[Skill] | Page[SparseT]:
        """One page of skills, by their keys unless `sort` says otherwise."""
        found = await records.page(principal, sort=sort, limit=limit, cursor=cursor, q=q, filters=filters)
        return narrowed_page(found, fields, Skill)

    @get("/count", summary="Count skills")
    async def count(
        self,
        *,
        principal: Principal,
        records: RecordService[SkillDraft, Skill],
        q: Words = None,
        filters: Filters,
    ) -> Count:
        """How many skills the list has with these filters: exact up to 1,000, an estimate beyond."""
        return await records.count(principal, q=q, filters=filters)

    @get("/lookup", summary="Find the skill that a text means")
    async def lookup(
        self, principal: Principal, skills: SkillLookups, text: Text, limit: Most = 10
    ) -> SkillMatches:
        """Resolve a name or another name, in whatever case, width and spelling, and suggest as somebody types.

        Skills of just that name come first, `exact`; more than one where it is ambiguous. A retired skill answers as
        the one that took its place.
        """
        return await skills.resolve(principal, text, limit=limit)

    @post("/starter", status_code=HTTP_200_OK, summary="Load the starting taxonomy", opt=idempotent())
    async def starter(self, principal: Principal, taxonomies: SkillImporter) -> SkillImport:
        """Bring in Looma's own taxonomy of common skills. What people here changed since stays so."""
        return await taxonomies.starter(principal)

    @get("/{record_id:uuid}/children", summary="List the skills right below one")
    async def children(self, record_id: UUID, principal: Principal, skills: SkillLookups) -> SkillRefs:
        """The skills right below one, at most 500, by their keys."""
        return await skills.children(principal, record_id)

    @get("/{record_id:uuid}/ancestors", summary="List all skills above one")
    async def ancestors(self, record_id: UUID, principal: Principal, skills: SkillLookups) -> SkillRefs:
        """All skills above one, the nearest first."""
        return await skills.ancestors(principal, record_id)
