"""What would run, as one content-addressed value, and which revision that is.

A revision is image, engine, resources, config, models with their digests, and the pod template. Replicas, route,
paused and the rollout's own settings are not part of it: changing them rolls nothing out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..names import Reason
from ..resources import AIServiceSpec, Json, ModelVersion
from .observed import StoredRevision

HASH_LENGTH = 12  # 48 bits: two of a service's at most 52 revisions collide once in 10^11 services.


@dataclass(frozen=True, kw_only=True)
class ModelsMissing:
    """Models that the spec names and that cannot be used."""

    reason: Reason
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        """What to do, in a sentence."""
        names = ", ".join(self.names)
        if self.reason is Reason.MODEL_RETIRED:
            return f"ModelVersion {names} is retired: point modelRefs to another one"
        return f"ModelVersion {names} does not exist in this namespace: create it, or correct modelRefs"


def canonical(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object, length: int = HASH_LENGTH) -> str:
    """The first `length` hexadecimal digits of the value's SHA-256."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def content_of(*, spec: AIServiceSpec, models: Mapping[str, ModelVersion]) -> Json | ModelsMissing:
    """The content that `spec` asks for, or the models that it lacks.

    A part that is empty is left out, so writing `config: {}` and writing nothing is the same revision.
    """
    missing = tuple(ref.name for ref in spec.model_refs if ref.name not in models)
    if missing:
        return ModelsMissing(reason=Reason.MODEL_MISSING, names=missing)
    references = [
        {
            "name": ref.name,
            "model": models[ref.name].spec.model,
            "version": models[ref.name].spec.version,
            "format": models[ref.name].spec.format,
            "uri": models[ref.name].spec.artifact.uri,
        }
        for ref in sorted(spec.model_refs, key=lambda ref: ref.name)
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


def retired_models(*, spec: AIServiceSpec, models: Mapping[str, ModelVersion]) -> tuple[str, ...]:
    """Names of the retired models that the spec refers to."""
    return tuple(ref.name for ref in spec.model_refs if ref.name in models and models[ref.name].spec.retire)


def find_revision(*, content: Json, revisions: Sequence[StoredRevision]) -> StoredRevision | None:
    """The stored revision with that content."""
    wanted = digest(content)
    return next((revision for revision in revisions if revision.hash == wanted), None)


def next_number(revisions: Sequence[StoredRevision]) -> int:
    """Number for a new revision: one more than the highest that is kept (the highest is never deleted)."""
    return max((revision.number for revision in revisions), default=0) + 1
