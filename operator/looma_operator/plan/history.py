"""Which revisions are kept to roll back to, and which go with their Deployments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .observed import Pods, StoredRevision
from .rollback import by_activity


def decide_deletions(
    *,
    revisions: Sequence[StoredRevision],
    in_use: Collection[str],
    pods: Mapping[str, Pods],
    limit: int,
) -> tuple[StoredRevision, ...]:
    """Revisions to delete: those beyond the `limit` latest active ones that are not in use.

    Never deleted: revisions in use (target and stable), revisions that still have pods, and the one with the
    highest number, so that no number is ever given twice.

    | revisions by activity | in use | limit | with pods | deleted |
    | --------------------- | ------ | ----- | --------- | ------- |
    | r4 r3 r2 r1           | r4     | 2     |           | r1      |
    | r4 r3 r2 r1           | r4     | 2     | r1        |         |
    | r1 r4 r3 r2           | r1     | 1     |           | r3 r2   |
    """
    highest = max((revision.number for revision in revisions), default=0)
    earlier = [revision for revision in by_activity(revisions) if revision.name not in in_use]
    return tuple(
        revision
        for revision in earlier[limit:]
        if revision.number != highest
        and not (state := pods.get(revision.name, Pods())).spec
        and not state.total
    )
