"""Which revision `kubectl looma rollback` goes back to, and the patch of an annotation that carries a request.

The patch of the rollback itself is core's (`looma_core.api.aiservice`), since the console sends the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .names import ACTIVATED_AT, LABEL_REVISION, revision_name, revision_number
from .resources import Json


def _pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def annotation_patch(*, metadata: Json, values: Mapping[str, str]) -> list[Json]:
    """JSON patch that sets annotations, or removes those with an empty value."""
    present: Mapping[str, str] | None = metadata.get("annotations")
    patch: list[Json] = []
    if present is None and any(values.values()):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    for name, value in values.items():
        path = f"/metadata/annotations/{_pointer(name)}"
        if value:
            patch.append({"op": "add", "path": path, "value": value})
        elif name in (present or {}):
            patch.append({"op": "remove", "path": path})
    return patch


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
