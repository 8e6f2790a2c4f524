"""What keeps a relation from being stored beside others, asked of all rows of a batch. Pure.

The same as the API asks of one relation at a time: nobody works at one company twice at a time, no chain leads back to
its beginning, and no relation is there twice. What is said names nobody, as it is kept with what was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import msgspec

from looma_core.api.relation import OBJECTS, RelationFields
from looma_core.problems import FieldError
from looma_engines.talent_sync.quality.chains import find_cycle
from looma_engines.talent_sync.quality.relations import CHAINS, Span, overlapping

Ends = tuple[str, UUID, UUID, date | None]


@dataclass(frozen=True, kw_only=True)
class Related:
    """A relation that is stored."""

    id: UUID
    relation: RelationFields


class Beside:
    """The relations of a batch's people, as they stand while the batch is decided row by row.

    What a row leaves is taken until the end of the batch all the same: its rows are written by statements of many, and
    of two that change places neither could go first.

    Args:
        stored: relations of all people that the rows name, and those that the chains lead on to.
    """

    def __init__(self, stored: Iterable[Related] = ()) -> None:
        self._stands: dict[object, RelationFields] = {}
        self._of: dict[UUID, set[object]] = {}
        self._taken: dict[Ends, object] = {}
        for one in stored:
            self._stand(one.id, one.relation)

    def refuses(self, name: object, values: Mapping[str, Any]) -> tuple[FieldError, ...]:
        """What is wrong with a relation beside the others; empty if nothing is.

        Args:
            name: its id, or its key where it has no id yet; it is not beside itself.
            values: its fields, plain.
        """
        one = _relation(values)
        if self._taken.get(_ends(one), name) != name:
            return (FieldError(field="kind", message="this relation is there already, with this beginning"),)
        if one.kind == "works_at":
            here = Span(one.starts_on, one.ends_on)
            if any(overlapping(here, other) for other in self._work(one, but=name)):
                said = "the person works there at that time already: end that relation before"
                return (FieldError(field="starts_on", message=said),)
        if one.kind in CHAINS and one.other_talent_id is not None:
            chain = self._chain(one, one.other_talent_id, but=name)
            circle = find_cycle(chain, (one.talent_id, one.other_talent_id))
            if circle is not None:
                said = (
                    f"closes a circle of {len(circle) - 1} people: end or delete one of its relations first"
                )
                return (FieldError(field="other_talent_id", message=said),)
        return ()

    def stands(self, name: object, values: Mapping[str, Any]) -> None:
        """From here on the relation is there as these values say."""
        self._stand(name, _relation(values))

    def _stand(self, name: object, relation: RelationFields) -> None:
        self._stands[name] = relation
        self._of.setdefault(relation.talent_id, set()).add(name)
        self._taken[_ends(relation)] = name

    def _relations_of(self, person: UUID, *, kind: str, but: object) -> list[RelationFields]:
        found = [self._stands[name] for name in self._of.get(person, ()) if name != but]
        # One that another row changed may be of somebody else by now.
        return [one for one in found if one.talent_id == person and one.kind == kind]

    def _work(self, one: RelationFields, *, but: object) -> list[Span]:
        return [
            Span(other.starts_on, other.ends_on)
            for other in self._relations_of(one.talent_id, kind="works_at", but=but)
            if other.company_id == one.company_id
        ]

    def _chain(self, one: RelationFields, first: UUID, *, but: object) -> list[tuple[UUID, UUID]]:
        """The relations of the same kind that lead on from a person."""
        here = Span(one.starts_on, one.ends_on)
        edges: list[tuple[UUID, UUID]] = []
        waiting, met = [first], {first}
        while waiting:
            for other in self._relations_of(waiting.pop(), kind=one.kind, but=but):
                # Two may have led each other one after the other; who referred whom stays so.
                together = overlapping(here, Span(other.starts_on, other.ends_on))
                if other.other_talent_id is None or (one.kind == "reports_to" and not together):
                    continue
                edges.append((other.talent_id, other.other_talent_id))
                if other.other_talent_id not in met:
                    met.add(other.other_talent_id)
                    waiting.append(other.other_talent_id)
        return edges


def _relation(values: Mapping[str, Any]) -> RelationFields:
    return msgspec.convert(dict(values), RelationFields)


def _ends(one: RelationFields) -> Ends:
    """What no two relations have in common, as the database's own index has it."""
    other: UUID = getattr(one, OBJECTS[one.kind])
    first, second = one.talent_id, other
    if one.kind == "knows" and second < first:
        first, second = second, first
    return one.kind, first, second, one.starts_on
