"""Writing an earlier revision's content back into a spec, as a JSON patch: what `kubectl looma rollback` sends.

Only the parts that belong to a revision are written; replicas, route, paused and the rollout's settings stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .names import ACTIVATED_AT, CHANGE_REASON, LABEL_REVISION, revision_name, revision_number
from .resources import Json

_PARTS = ("image", "resources", "config", "podTemplate")
_ABSENT = object()


def _pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def spec_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spec that a revision's content stands for."""
    parts = {name: content[name] for name in _PARTS if name in content}
    if content.get("models"):
        parts["modelRefs"] = [{"name": model["name"]} for model in content["models"]]
    return parts


def rollback_patch(*, service: Json, content: Mapping[str, Any], reason: str) -> list[Json]:
    """JSON patch that makes `service` ask for `content`, only if it is still as it was read.

    | spec has | content has | operation |
    | -------- | ----------- | --------- |
    | A        | A           | none      |
    | A        | B           | replace   |
    | A        | nothing     | remove    |
    | nothing  | B           | add       |
    """
    spec: Mapping[str, Any] = service["spec"]
    metadata = service["metadata"]
    wanted = spec_parts(content)
    patch: list[Json] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
    ]
    for name in (*_PARTS, "modelRefs"):
        before, after = spec.get(name, _ABSENT), wanted.get(name, _ABSENT)
        if before == after:
            continue
        if after is _ABSENT:
            # Maps that the definition defaults come back as their defaults, and an empty one is as none.
            if before:
                patch.append({"op": "remove", "path": f"/spec/{name}"})
        else:
            patch.append({"op": "add", "path": f"/spec/{name}", "value": after})
    return patch + annotation_patch(metadata=metadata, values={CHANGE_REASON: reason})


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
