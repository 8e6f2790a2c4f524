"""What keeps a relation from being stored beside others: looked up here, decided by the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from looma_core.api.relation import Relation, RelationDraft
from looma_core.problems import Conflict
from looma_engines.talent_sync.quality.chains import find_cycle
from looma_engines.talent_sync.quality.relations import CHAINS, Beside
from looma_engines.talent_sync.records.ties import Ties
from looma_engines.talent_sync.ties.lookups import RelationLookups

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.problems import ProblemError


class RelationTies(Ties[RelationDraft, Relation]):
    """A relation beside the others of its people."""

    async def look_around(
        self, session: AsyncSession, draft: RelationDraft, *, record_id: UUID | None, before: Relation | None
    ) -> Beside | None:
        """The person's other work at the company, or the circle that the relation would close.

        One such write at a time: of two that together close a circle the second waits, and sees the first.
        """
        lookups = RelationLookups(session, draft, record_id)
        if draft.kind == "works_at":
            await lookups.share(draft.kind)
            await lookups.lock(f"{draft.kind} {draft.talent_id} {draft.company_id}")
            return Beside(work=tuple(await lookups.other_work()))
        if draft.kind in CHAINS and draft.other_talent_id is not None:
            await lookups.lock(draft.kind)
            # Two may have led each other one after the other; who referred whom stays so.
            edges = await lookups.chain(at_the_same_time=draft.kind == "reports_to")
            circle = find_cycle(edges, (draft.talent_id, draft.other_talent_id))
            if circle is not None:
                names = await lookups.names(circle)
                return Beside(circle=tuple(names.get(person, str(person)) for person in circle))
        return None

    async def refuse_double(
        self, session: AsyncSession, draft: RelationDraft, *, record_id: UUID | None
    ) -> None:
        """Raise Conflict where the relation is there already."""
        double = await RelationLookups(session, draft, record_id).double()
        if double is not None:
            raise _doubled(double)


def _doubled(relation_id: UUID) -> ProblemError:
    return Conflict(
        f"This relation is there already, as {relation_id}: change that one, or give this one another beginning."
    )
