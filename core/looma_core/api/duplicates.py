"""People who may be there twice: pairs, what speaks for and against them, merges."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.api.talent import Talent

Verdict = Literal["certain", "likely", "unlikely"]
DuplicateStatus = Literal["open", "dismissed", "merged", "gone"]
Take = Literal["keep", "other", "both"]
MergedField = Literal[
    "full_name",
    "email",
    "phone",
    "location",
    "headline",
    "summary",
    "language",
    "skills",
    "experience",
    "education",
]
RelationFate = Literal["moved", "doubled", "own", "refused"]

Weight = Annotated[
    float,
    Meta(
        description="log2 of the odds that it is one person: 10 is about 1000 to 1, 0 is even.",
        examples=[14.35],
    ),
]


class DuplicatePerson(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two, as a list shows it; without a name where the record was deleted."""

    id: UUID
    full_name: Annotated[str | None, Meta(examples=["Ada Lovelace"])] = None
    headline: str | None = None
    location: str | None = None


class Duplicate(msgspec.Struct, kw_only=True):
    """Two records that may be of one person.

    `dismissed` are two people, as somebody said; they are open again when one of them changes in a field that is
    compared. `gone` waits for nobody: one of the two was merged into somebody else.
    """

    id: UUID
    verdict: Verdict
    weight: Weight
    status: DuplicateStatus
    people: Annotated[list[DuplicatePerson], Meta(description="The two, the older record first.")]
    created_at: datetime
    updated_at: datetime
    settled_at: datetime | None = None
    settled_by: Annotated[str | None, Meta(description="`sub` of the token that settled it.")] = None
    merge_id: Annotated[UUID | None, Meta(description="The merge, where they were merged.")] = None


class DuplicateReason(msgspec.Struct, frozen=True, kw_only=True):
    """What one field says of the two."""

    field: Annotated[str, Meta(examples=["phone"])]
    outcome: Annotated[
        str,
        Meta(
            description="A word for programs; `says` is the sentence for people.",
            examples=["same", "transliterated", "together", "different"],
        ),
    ]
    weight: Annotated[
        float, Meta(description="How much it speaks for one person, or against it.", examples=[10.23])
    ]
    says: Annotated[str, Meta(examples=["The telephone number is the same."])]


class DuplicateDetail(Duplicate, kw_only=True):
    """The two side by side, and what each field says of them."""

    records: Annotated[list[Talent], Meta(description="The two as they are now, the older one first.")]
    reasons: Annotated[
        list[DuplicateReason], Meta(description="By the records as they are now; none where one is gone.")
    ]


class LookFor(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose duplicates to look for at once."""

    talent_id: UUID


class DuplicateScan(msgspec.Struct, kw_only=True):
    """What the last look at everybody who was changed came to."""

    ended_at: Annotated[datetime | None, Meta(description="Null where there was none yet.")] = None
    people: Annotated[int, Meta(description="Records that were looked at.")] = 0
    found: Annotated[int, Meta(description="Pairs that are new or changed their verdict.")] = 0
    skipped: Annotated[
        dict[str, int],
        Meta(
            description="Blocks that were left out as too many people are in them, by kind of key.",
            examples=[{"name": 3}],
        ),
    ] = msgspec.field(default_factory=dict)


class MergeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which of the two stays, what it takes of the other, and the versions that both were read in."""

    keep: Annotated[UUID, Meta(description="The record that stays.")]
    keep_version: Annotated[int, Meta(ge=1, description="Its version as it was read: its `If-Match`.")]
    other_version: Annotated[int, Meta(ge=1, description="The same of the record that goes.")]
    fields: Annotated[
        dict[MergedField, Take],
        Meta(
            description="Whose value each field takes; `both` joins lists. A field that is not named keeps its own"
            " value, or takes the other's where it has none; a list that is not named is joined.",
            examples=[{"email": "other", "skills": "both"}],
        ),
    ] = msgspec.field(default_factory=dict)


class UndoMerge(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How to take a merge apart."""

    force: Annotated[
        bool,
        Meta(description="Put back also what was changed since; the history keeps what is lost by it."),
    ] = False


class MergedRelation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one relation of the record that went."""

    id: UUID
    fate: Annotated[
        RelationFate,
        Meta(
            description="`moved` to the record that stayed. The rest were hidden, until the merge is undone: `doubled`"
            " was there already, or has a second open application to the job, `own` was between the two, `refused` the"
            " rules do not allow beside the others."
        ),
    ]


class Merge(msgspec.Struct, kw_only=True):
    """A merge of two records, and whether it was undone."""

    id: UUID
    duplicate_id: UUID
    kept: Annotated[UUID, Meta(description="The record that stayed.")]
    other: Annotated[UUID, Meta(description="The record that went.")]
    changed: Annotated[list[str], Meta(description="Fields that the record that stayed took of the other.")]
    relations: list[MergedRelation]
    merged_at: datetime
    merged_by: str
    undone_at: datetime | None = None
    undone_by: str | None = None
