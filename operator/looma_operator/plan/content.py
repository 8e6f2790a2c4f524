"""What would run, as one content-addressed value, and which revision that is.

A revision is image, engine, resources, config, models with their digests, and the pod template. Replicas, route,
paused and the rollout's own settings are not part of it: changing them rolls nothing out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..resources import AIServiceSpec, Json, ModelVersion
from .canonical import HASH_LENGTH, canonical, digest
from .models import ModelsMissing, pin
from .observed import StoredRevision

__all__ = [
    "HASH_LENGTH",
    "ModelsMissing",
    "canonical",
    "content_of",
    "digest",
    "find_revision",
    "next_number",
]


def content_of(*, spec: AIServiceSpec, models: Mapping[str, ModelVersion]) -> Json | ModelsMissing:
    """The content that `spec` asks for, or the models that it lacks.

    A part that is empty is left out, so writing `config: {}` and writing nothing is the same revision.
    """
    pinned = pin(spec.model_refs, models)
    if isinstance(pinned, ModelsMissing):
        return pinned
    references = [
        {
            "name": model.metadata.name,
            "model": model.spec.model,
            "version": model.spec.version,
            "format": model.spec.format,
            "uri": model.spec.artifact.uri,
        }
        for model in pinned
    ]
    parts: Json = {
        "engine": spec.engine,
        "image": spec.image,
        "resources": spec.resources,
        "config": spec.config,
        "models": references,
        "podTemplate": spec.pod_template,
    }
    return {name: part for name, part in parts.items() if part}


def find_revision(*, content: Json, revisions: Sequence[StoredRevision]) -> StoredRevision | None:
    """The stored revision with that content."""
    wanted = digest(content)
    return next((revision for revision in revisions if revision.hash == wanted), None)


def next_number(revisions: Sequence[StoredRevision]) -> int:
    """Number for a new revision: one more than the highest that is kept (the highest is never deleted)."""
    return max((revision.number for revision in revisions), default=0) + 1
