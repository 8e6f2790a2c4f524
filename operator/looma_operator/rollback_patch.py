"""Which revision `kubectl looma rollback` goes back to.

The patches are core's (`looma_core.api.aiservice`), since the console sends the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from .names import ACTIVATED_AT, LABEL_REVISION, revision_name, revision_number
from .resources import Json


def choose_revision(*, revisions: Sequence[Json], target: str, asked: str) -> Json | None:
    """The ControllerRevision to go back to: the one asked for, or the latest active one beside the target.

    revisions are ControllerRevisions with `looma.dev/revision` as label; asked is r3, 3 or empty.
    """

    def name_of(raw: Json) -> str:
        return str((raw["metadata"].get("labels") or {}).get(LABEL_REVISION, ""))

    if asked:
        try:
            wanted = revision_name(revision_number(asked))
        except ValueError:
            return None
        return next((raw for raw in revisions if name_of(raw) == wanted), None)
    others = [raw for raw in revisions if name_of(raw) != target]
    return max(
        others,
        key=lambda raw: str((raw["metadata"].get("annotations") or {}).get(ACTIVATED_AT, "")),
        default=None,
    )
