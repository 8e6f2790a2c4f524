"""Where the pages about incoming records lead to."""

from __future__ import annotations

from uuid import UUID

from flask import url_for

from looma_core.api.syncjob import Entity


def page_of(entity: Entity, record_id: UUID) -> str:
    """Address of the page that shows a record.

    | entity   | answer                                                |
    | -------- | ----------------------------------------------------- |
    | talent   | /people/ID                                            |
    | company  | /companies/ID                                         |
    | job      | /jobs/ID                                              |
    | relation | /relations/ID, which leads to the person it is about  |
    """
    match entity:
        case "talent":
            return url_for("people.person", talent_id=record_id)
        case "company":
            return url_for("records.record", name="companies", record_id=record_id)
        case "job":
            return url_for("records.record", name="jobs", record_id=record_id)
        case "relation":
            return url_for("relations.relation", relation_id=record_id)
