"""Whether a change of the target is a return to an earlier revision, and how fast that return is.

Rolling back is going to a content that was asked for before: by applying an older file, by `helm rollback`, or by
`kubectl looma rollback`. The operator knows it by its hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .observed import StoredRevision


@dataclass(frozen=True, kw_only=True)
class RollbackDecision:
    """A return from one revision to another; `direct` starts all pods at once."""

    from_revision: str
    to_revision: str
    direct: bool


def by_activity(revisions: Sequence[StoredRevision]) -> list[StoredRevision]:
    """Revisions, the latest asked for first."""
    return sorted(revisions, key=lambda revision: (revision.activated_at, revision.number), reverse=True)


def decide_rollback(
    *,
    previous_target: str,
    target: StoredRevision | None,
    revisions: Sequence[StoredRevision],
    window: int,
) -> RollbackDecision | None:
    """The return that the change from `previous_target` to `target` is, or None if it is none.

    target is None for a content that was never asked for. window counts revisions by their last activity, without
    the one that is left.

    | left | asked for | activity        | window | answer               |
    | ---- | --------- | --------------- | ------ | -------------------- |
    | r2   | none      | r2 r1           | 3      | no rollback          |
    | r2   | r2        | r2 r1           | 3      | no rollback          |
    | none | r1        | r1              | 3      | no rollback          |
    | r2   | r1        | r2 r1           | 3      | r2 to r1, direct     |
    | r4   | r1        | r4 r3 r2 r1     | 3      | r4 to r1, direct     |
    | r4   | r1        | r4 r3 r2 r1     | 2      | r4 to r1, not direct |
    | r2   | r1        | r2 r1           | 0      | r2 to r1, not direct |
    """
    if target is None or not previous_target or target.name == previous_target:
        return None
    earlier = [revision.name for revision in by_activity(revisions) if revision.name != previous_target]
    return RollbackDecision(
        from_revision=previous_target,
        to_revision=target.name,
        direct=target.name in earlier[:window],
    )
