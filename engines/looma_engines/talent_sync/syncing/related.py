"""Reads the relations beside those of a batch, and keeps others from writing such meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from looma_core.api.relation import RelationFields
from looma_engines.talent_sync.quality.relations import CHAINS
from looma_engines.talent_sync.rights.naming import read_id

from .batch import Execute
from .beside import Beside, Related
from .deciding import Known
from .source_row import SourceRow

LOCKED = ("referred_by", "reports_to", "works_at")
"""What a batch of relations locks, in this order; the API locks the one that it writes (`ties.lookups`)."""
_FIELDS = "id, kind, talent_id, company_id, job_id, other_talent_id, starts_on, ends_on"


def lock_relations(execute: Execute) -> None:
    """Wait for all others who write relations that depend on others, and keep them waiting until the commit."""
    for what in LOCKED:
        execute(
            "SELECT pg_advisory_xact_lock(hashtextextended("
            "'looma.relations ' || current_setting('looma.tenant') || ' ' || %(what)s, 0)) AS held",
            what=what,
        )


def relations_beside(execute: Execute, rows: Iterable[SourceRow], known: Mapping[str, Known]) -> Beside:
    """The relations of all people that the rows name now, or that what is stored of them names."""
    named = [values for row in rows for values in (row.values, *_stored(known.get(row.key)))]
    people = {number for values in named for name in _PEOPLE if (number := read_id(str(values.get(name))))}
    if not people:
        return Beside()
    found = execute(
        f"""WITH RECURSIVE beside AS (
            SELECT {_FIELDS} FROM talent_sync.relations
            WHERE deleted_at IS NULL AND talent_id = ANY(%(people)s)
            UNION
            SELECT {", ".join(f"further.{name}" for name in _FIELDS.split(", "))}
            FROM talent_sync.relations AS further
            JOIN beside ON further.talent_id = beside.other_talent_id AND further.kind = beside.kind
            WHERE further.deleted_at IS NULL AND beside.kind = ANY(%(chains)s))
        SELECT * FROM beside""",  # noqa: S608 - our own names
        people=sorted(people),
        chains=sorted(CHAINS),
    )
    return Beside(
        Related(id=row.id, relation=msgspec.convert(row._asdict(), RelationFields)) for row in found
    )


_PEOPLE = ("talent_id", "other_talent_id")


def _stored(known: Known | None) -> tuple[Mapping[str, Any], ...]:
    return (known.values,) if known is not None else ()
