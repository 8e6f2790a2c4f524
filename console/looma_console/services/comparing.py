"""Which two revisions of a service a page compares, and what it shows of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from looma_console.cluster.model import Revision, Service
from looma_core.api.revision_diff import Comparison, Row


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Two revisions side by side: what would change from `before` to `after`?"""

    before: Revision
    after: Revision


def choose_sides(service: Service, *, before: str, after: str) -> Sides | None:
    """The two revisions that are meant; None where one of them is not kept, or there is only one.

    | asked for | a rollout goes on | before              | after               |
    | --------- | ----------------- | ------------------- | ------------------- |
    | both      | any               | as asked            | as asked            |
    | before    | any               | as asked            | the one that serves |
    | after     | any               | the one that serves | as asked            |
    | neither   | yes               | the one that serves | the new one         |
    | neither   | no                | the one before it   | the one that serves |
    """
    kept = {revision.name: revision for revision in service.revisions}
    stable = service.stable_revision or service.target_revision
    if not before and not after:
        if service.target_revision != stable:
            before, after = stable, service.target_revision
        else:
            # The latest active one comes first.
            before, after = next((name for name in kept if name != stable), ""), stable
        if not before:
            return None
    before, after = before or stable, after or stable
    if before not in kept or after not in kept:
        return None
    return Sides(before=kept[before], after=kept[after])


def split(comparison: Comparison) -> tuple[list[Row], list[Row]]:
    """The rows that differ, and those that do not."""
    return [row for row in comparison.rows if row.differs], [
        row for row in comparison.rows if not row.differs
    ]
