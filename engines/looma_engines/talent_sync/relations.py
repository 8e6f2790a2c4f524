"""Relations: what their drafts become, and how they are found."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ColumnElement, and_, or_

from looma_core.api.relation import Relation, RelationDraft
from looma_engines.talent_sync.kinds import tidy_relation
from looma_engines.talent_sync.models import CompanyRow, JobRow, RelationRow, TalentRow
from looma_engines.talent_sync.quality.relations import RULES
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.ties.relations import RelationTies


def holds_on(day: date) -> ColumnElement[bool]:
    """Relations that hold on a day; an end that is not known is open."""
    row = RelationRow
    # `begins` is a start that is never null: those that had begun are a range of an index.
    return and_(row.begins <= day, or_(row.ends_on.is_(None), row.ends_on >= day))


RELATIONS: Entity[RelationDraft, Relation] = Entity(
    name="relation",
    draft=RelationDraft,
    table="relations",
    record=Relation,
    row=RelationRow,
    sorts={
        "created_at": RelationRow.created_at,
        "updated_at": RelationRow.updated_at,
        "starts_on": RelationRow.begins,
    },
    rules=RULES,
    tidy=tidy_relation,
    references={
        "talent_id": TalentRow,
        "company_id": CompanyRow,
        "job_id": JobRow,
        "other_talent_id": TalentRow,
    },
    names={
        "talent_name": ("talent_id", TalentRow.full_name),
        "company_name": ("company_id", CompanyRow.name),
        "job_title": ("job_id", JobRow.title),
        "other_talent_name": ("other_talent_id", TalentRow.full_name),
    },
    conditions={"on": holds_on},
    ties=RelationTies(),
)
