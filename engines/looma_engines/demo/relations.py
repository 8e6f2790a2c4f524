"""How the made-up people are related to companies, jobs and each other. Dates are those of their résumés."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import msgspec

from looma_core.api.relation import OBJECTS, RelationDraft, RelationKind
from looma_core.api.resume import DEMO_SOURCE
from looma_core.api.source import Source


class Bond(msgspec.Struct, frozen=True, kw_only=True):
    """One made-up relation. Both ends are slugs: of people, of companies, or of jobs as their sources have them."""

    person: str
    kind: RelationKind
    other: str
    title: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    note: str | None = None

    def draft(self, *, person: UUID, other: UUID) -> RelationDraft:
        """What is sent, when the ids of both ends are known."""
        return RelationDraft(
            kind=self.kind,
            talent_id=person,
            **{OBJECTS[self.kind]: other},
            title=self.title,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            note=self.note,
            source=Source(type=DEMO_SOURCE, ref=f"{self.person}/{self.kind}/{self.other}"),
        )


BONDS = (
    Bond(
        person="maya-okafor",
        kind="works_at",
        other="harbour-payments",
        title="Senior Backend Engineer",
        starts_on=date(2020, 3, 1),
    ),
    Bond(
        person="daniel-reyes",
        kind="applied_to",
        other="harbour-payments/data-engineer",
        starts_on=date(2026, 9, 14),
        note="Asked for a four-day week.",
    ),
    Bond(person="daniel-reyes", kind="referred_by", other="maya-okafor", starts_on=date(2026, 9, 10)),
    Bond(
        person="priya-raman",
        kind="interviewed_for",
        other="harbour-payments/senior-backend-engineer",
        starts_on=date(2026, 10, 2),
        ends_on=date(2026, 10, 2),
    ),
    Bond(person="hannah-lindqvist", kind="knows", other="tomasz-wolski", starts_on=date(2019, 1, 1)),
    Bond(
        person="lin-yuqing",
        kind="applied_to",
        other="yunzhan/senior-backend-engineer",
        starts_on=date(2026, 9, 20),
        note="希望一个月后到岗。",
    ),
    Bond(
        person="chen-siyuan",
        kind="interviewed_for",
        other="zhiyan/algorithm-engineer",
        starts_on=date(2026, 10, 12),
        ends_on=date(2026, 10, 12),
    ),
    Bond(person="chen-siyuan", kind="referred_by", other="lin-yuqing", starts_on=date(2026, 9, 25)),
    Bond(person="zhang-haoran", kind="knows", other="lin-yuqing", starts_on=date(2021, 7, 1)),
)
"""Enough that the pages of some people, companies and jobs show what relations look like."""
