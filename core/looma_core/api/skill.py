"""A skill of a tenant's taxonomy: what clients send (`SkillDraft`) and what talent-sync answers (`Skill`).

A skill is known by its `key`, which stays as it is and is used once. It has a Chinese and an English name, other names
in any language, and skills above it, as many as fit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.source import Source
from looma_core.problems import HINTS

SkillKind = Literal["group", "skill", "knowledge", "tool", "language"]
"""`group` is a heading, `tool` a technology or a product, `language` one that people speak."""
SkillStatus = Literal["active", "retired"]

KEY_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
HINTS[KEY_PATTERN] = "write small letters, digits and hyphens between them, such as project-management"
LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"
HINTS[LANGUAGE_PATTERN] = "write a language as en, zh or pt-BR"

SkillKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=KEY_PATTERN,
        description="What the skill is known by; it stays as it is, and no other skill ever gets it.",
        examples=["c-plus-plus"],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class SkillAlias(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Another name of a skill."""

    language: Annotated[str, Meta(pattern=LANGUAGE_PATTERN, max_length=35, examples=["zh"])]
    name: Annotated[Name, Meta(examples=["C++语言"])]


class SkillFields(msgspec.Struct, kw_only=True):
    """The fields that a client may set."""

    key: Annotated[
        SkillKey | None, Meta(description="Left out when it is created: made of the English name.")
    ] = None
    name_en: Annotated[Name | None, Meta(description="The name in English.", examples=["C++"])] = None
    name_zh: Annotated[Name | None, Meta(description="The name in Chinese.", examples=["C++"])] = None
    aliases: Annotated[
        list[SkillAlias], Meta(max_length=300, description="Other names, each with its language.")
    ] = msgspec.field(default_factory=list)
    kind: SkillKind = "skill"
    parents: Annotated[
        list[UUID], Meta(max_length=20, description="Ids of the skills that it is a part or a kind of.")
    ] = msgspec.field(default_factory=list)
    esco_uri: (
        Annotated[
            str,
            Meta(
                max_length=200,
                description="The same concept in ESCO, the European classification.",
                examples=["http://data.europa.eu/esco/skill/00000000-0000-0000-0000-000000000000"],
            ),
        ]
        | None
    ) = None
    status: Annotated[
        SkillStatus, Meta(description="A retired one is suggested no more; whoever has it is still found.")
    ] = "active"
    replaced_by: Annotated[
        UUID | None, Meta(description="Of a retired one: the skill that took its place, and has its names.")
    ] = None


class SkillDraft(SkillFields, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/skills`; also the shape that a merge patch must still fit."""

    source: Source = msgspec.field(default_factory=Source)


class Skill(SkillFields, kw_only=True):
    """A skill as stored. `version` counts changes from 1 and is the ETag."""

    key: SkillKey
    id: UUID
    version: int
    source: Source
    created_at: datetime
    updated_at: datetime


class SkillRef(msgspec.Struct, frozen=True, kw_only=True):
    """A skill by its names."""

    id: UUID
    key: str
    name_en: str | None
    name_zh: str | None
    kind: SkillKind
    status: SkillStatus


class SkillMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that a text may mean."""

    skill: SkillRef
    name: Annotated[str, Meta(description="The name that fits, as the skill has it.", examples=["Node.js"])]
    language: Annotated[str, Meta(description="The language of that name.", examples=["en"])]
    match: Annotated[
        Literal["exact", "prefix", "part"],
        Meta(description="`exact` is the skill itself; the others are suggestions, the best first."),
    ]


class SkillMatches(msgspec.Struct, frozen=True, kw_only=True):
    """What a text may mean."""

    items: list[SkillMatch]


class SkillRefs(msgspec.Struct, frozen=True, kw_only=True):
    """Skills around another one."""

    items: list[SkillRef]


class SkillImport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the rows of a taxonomy."""

    created: int
    updated: int
    unchanged: int
    kept: Annotated[int, Meta(description="Changed by people here since the last import, and left so.")]
    refused: int
