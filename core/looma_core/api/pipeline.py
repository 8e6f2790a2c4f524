"""Applications of people to jobs, the stages that they go through, and how far a job's applications came."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from looma_core.problems import HINTS, Problem

StageKind = Literal["open", "hired", "rejected", "withdrawn"]
"""What it means to be in a stage: all but `open` are an end."""
MoveAction = Literal["create", "move", "reopen", "hand-over"]

MOST_STAGES = 100
"""In use at a time: more are no board."""
KEY_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
HINTS[KEY_PATTERN] = "write 1 to 40 small letters, digits and underscores, a letter first, such as phone_call"

StageKey = Annotated[
    str,
    Meta(
        pattern=KEY_PATTERN,
        description="Name of a stage for programs: unique in a tenant, and never changed.",
        examples=["screening"],
    ),
]
StageName = Annotated[str, Meta(min_length=1, max_length=60)]
Owner = Annotated[
    str, Meta(min_length=1, max_length=200, description="Who looks after it: `sub` of a token.")
]
Reason = Annotated[str, Meta(max_length=2000)]


class StageNames(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a stage is called by people."""

    name_zh: Annotated[StageName, Meta(examples=["初筛"])]
    name_en: Annotated[StageName, Meta(examples=["Screening"])]


class StageDraft(StageNames, kw_only=True, forbid_unknown_fields=True):
    """A new stage: it comes after the last one of its kind."""

    key: StageKey
    kind: StageKind = "open"


class Stage(msgspec.Struct, kw_only=True):
    """A stage. `version` counts changes from 1 and is what `If-Match` names."""

    id: UUID
    key: StageKey
    name_zh: str
    name_en: str
    kind: StageKind
    place: Annotated[int, Meta(description="The order on a board, from 0.")]
    version: int
    applications: Annotated[int, Meta(description="How many are in it now.")]
    created_at: datetime
    retired_at: Annotated[
        datetime | None, Meta(description="Nothing is moved to it any more; null while it is in use.")
    ] = None


class Stages(msgspec.Struct, kw_only=True):
    """The stages of a tenant in their order; those that were retired come last."""

    items: list[Stage]


class StageOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All stages that are in use, by their keys, in the order that they are to have."""

    order: Annotated[list[StageKey], Meta(max_length=MOST_STAGES)]


class Retirement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where the applications of a stage go that is used no more."""

    target: Annotated[
        StageKey | None,
        Meta(description="A stage of the same kind; may be left out where no application is in the stage."),
    ] = None


class ApplicationDraft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person applies to a job."""

    talent_id: Annotated[UUID, Meta(description="Who applies.")]
    job_id: Annotated[UUID, Meta(description="What for; a job that is not closed.")]
    stage: Annotated[
        StageKey | None, Meta(description="An open stage to begin in; the first one if it is left out.")
    ] = None
    owner: Owner | None = None
    source: (
        Annotated[
            str, Meta(max_length=100, description="How the person came.", examples=["referral", "job board"])
        ]
        | None
    ) = None


class Application(msgspec.Struct, kw_only=True):
    """An application as stored. `version` counts changes from 1 and is the ETag.

    The names are those of today: they change without the version.
    """

    id: UUID
    version: int
    talent_id: UUID
    job_id: UUID
    relation_id: Annotated[UUID, Meta(description="The relation `applied_to` that it hangs on.")]
    stage: StageKey
    kind: Annotated[StageKind, Meta(description="That of the stage.")]
    since: Annotated[datetime, Meta(description="Since when it is in the stage.")]
    owner: str | None
    source: str | None
    reason: Annotated[str | None, Meta(description="Why it came to the stage, where somebody said so.")]
    created_at: datetime
    updated_at: datetime
    talent_name: str | None = None
    job_title: str | None = None


class Move(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an application goes. The stage that it is in, with another owner, hands it over."""

    to: StageKey
    reason: Annotated[
        Reason | None, Meta(description="Needed to reject, and to open again what was closed.")
    ] = None
    owner: Annotated[
        Owner | None, Meta(description="Who looks after it from now on; left out, it stays as it is.")
    ] = None


class ApplicationMove(msgspec.Struct, kw_only=True):
    """One entry of an application's history: what it was before the first is null."""

    number: Annotated[int, Meta(description="The version of the application that it made.")]
    action: MoveAction
    from_stage: StageKey | None
    to_stage: StageKey
    kind: Annotated[StageKind, Meta(description="That of the stage that it came to.")]
    at: datetime
    by: Annotated[str | None, Meta(description="`sub` of the token; null where nobody asked.")]
    reason: str | None
    owner: Annotated[str | None, Meta(description="Who looks after it since.")]


class ApplicationHistory(Application, kw_only=True):
    """An application with all its moves, as the export of a person has it."""

    deleted: Annotated[bool, Meta(description="Whether it is hidden, as its relation is.")]
    moves: Annotated[list[ApplicationMove], Meta(description="The newest first.")]


class MoveItem(Move, kw_only=True, forbid_unknown_fields=True):
    """One move of several."""

    id: UUID
    if_match: Annotated[str, Meta(description="ETag of the version that was read.", examples=['"3"'])]


class MoveItems(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Several moves. Each is judged for itself; only its form is the whole request's."""

    items: list[MoveItem]


class MoveResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one of them."""

    index: Annotated[int, Meta(description="Place of the item in the request, from 0.")]
    status: Annotated[int, Meta(description="The status that this move alone would have been answered with.")]
    id: UUID
    version: int | None = None
    etag: str | None = None
    problem: Problem | None = None


class MoveResults(msgspec.Struct):
    """What became of several moves, in the order of the request."""

    items: list[MoveResult]


class FunnelStage(msgspec.Struct, kw_only=True):
    """One stage of a job's funnel."""

    stage: StageKey
    name_zh: str
    name_en: str
    kind: StageKind
    now: Annotated[int, Meta(description="Applications that are in it.")]
    reached: Annotated[int, Meta(description="Applications that are or were in it.")]
    median_days: Annotated[
        float | None,
        Meta(description="How long half of the stays in it took at most, of those that are over."),
    ] = None


class Funnel(msgspec.Struct, kw_only=True):
    """How far the applications to a job came."""

    job_id: UUID
    applications: int
    stages: list[FunnelStage]
