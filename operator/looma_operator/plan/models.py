"""Which ModelVersions a service's references pin, which may not be pinned, and what is wrong with those that are.

A revision holds what was pinned, never the reference: a channel that moves on is another content, and so a rollout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from looma_core.api.models import FETCH_FAILED, REFUSED, path_in_pod
from looma_core.api.semver import precedence

from ..names import GATEWAY_ENGINE, LABEL_CHANNEL, Reason
from ..resources import AIServiceSpec, Json, ModelRef, ModelVersion, ModelVersionSpec
from .canonical import canonical

VERIFIED = "Verified"


@dataclass(frozen=True, kw_only=True)
class ModelsMissing:
    """Models that the spec refers to and that cannot be used."""

    reason: Reason
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        """What to do, in a sentence."""
        names = ", ".join(self.names)
        match self.reason:
            case Reason.MODEL_RETIRED:
                return f"ModelVersion {names} is retired: point modelRefs to another one"
            case Reason.MODEL_REJECTED:
                return f"ModelVersion {names} is rejected, its conditions say why: point modelRefs to another one"
            case Reason.CHANNEL_EMPTY:
                return (
                    f"No ModelVersion of {names} can be used: label one with {LABEL_CHANNEL} that is neither "
                    "retired nor rejected, or correct modelRefs"
                )
            case _:
                return (
                    f"ModelVersion {names} does not exist in this namespace: create it, or correct modelRefs"
                )


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """What new revisions fetch their models with; without an image they are only told where the models are.

    `plain_http_registry` is HOST:PORT of the registry in the cluster, which has no certificate.
    """

    image: str = ""
    plain_http_registry: str = ""


def fails_gates(spec: ModelVersionSpec) -> bool:
    """Whether the evaluation is below what the gate asks for."""
    least = spec.gates.min_evaluation
    return least is not None and (spec.evaluation is None or spec.evaluation.value < least)


def is_refused(model: ModelVersion) -> bool:
    """Whether a pod found that the artifact is missing, another one, or not what its format says."""
    return any(item.type == VERIFIED and item.status == "False" for item in model.status.conditions)


def is_rejected(model: ModelVersion) -> bool:
    """Whether no new revision may use it for what it is, however often that is tried."""
    return fails_gates(model.spec) or is_refused(model)


def in_channel(ref: ModelRef, models: Mapping[str, ModelVersion]) -> list[ModelVersion]:
    """The versions in the channel that `ref` names, the highest first; those that may not be used as well."""
    found = [
        model
        for model in models.values()
        if model.spec.model == ref.model and model.metadata.labels.get(LABEL_CHANNEL) == ref.channel
    ]
    return sorted(
        found, key=lambda model: (precedence(model.spec.version), model.metadata.name), reverse=True
    )


def choose(ref: ModelRef, models: Mapping[str, ModelVersion]) -> ModelVersion | None:
    """The version that a reference means now.

    | reference          | answer                                                              |
    | ------------------ | ------------------------------------------------------------------- |
    | {name}             | that one, whatever it is                                            |
    | {model, channel}   | the highest of the channel that is neither retired nor rejected     |
    """
    if ref.name:
        return models.get(ref.name)
    usable = (model for model in in_channel(ref, models) if not (model.spec.retire or is_rejected(model)))
    return next(usable, None)


def pin(
    refs: Sequence[ModelRef], models: Mapping[str, ModelVersion]
) -> tuple[ModelVersion, ...] | ModelsMissing:
    """The versions that the references mean now, each once, by name; or the references that mean none."""
    chosen = [(ref, choose(ref, models)) for ref in refs]
    absent = tuple(ref.name for ref, model in chosen if model is None and ref.name)
    if absent:
        return ModelsMissing(reason=Reason.MODEL_MISSING, names=absent)
    empty = tuple(f"{ref.model} in channel {ref.channel}" for ref, model in chosen if model is None)
    if empty:
        return ModelsMissing(reason=Reason.CHANNEL_EMPTY, names=empty)
    pinned = {model.metadata.name: model for _, model in chosen if model is not None}
    return tuple(pinned[name] for name in sorted(pinned))


def unusable(*, spec: AIServiceSpec, models: Mapping[str, ModelVersion]) -> ModelsMissing | None:
    """The versions that the spec names and that may not enter a new revision; those of channels were chosen so."""
    named = [models[ref.name] for ref in spec.model_refs if ref.name in models]
    for reason, holds in (
        (Reason.MODEL_REJECTED, is_rejected),
        (Reason.MODEL_RETIRED, lambda model: model.spec.retire),
    ):
        if found := tuple(model.metadata.name for model in named if holds(model)):
            return ModelsMissing(reason=reason, names=found)
    return None


def passed_over(*, spec: AIServiceSpec, models: Mapping[str, ModelVersion]) -> str:
    """What a channel has above the version that was chosen, and why that was not; empty for nothing."""
    told = []
    for ref in spec.model_refs:
        for model in in_channel(ref, models) if ref.channel else ():
            if not is_rejected(model):
                # A retired one was meant to be left.
                if not model.spec.retire:
                    break
                continue
            told.append(f"{model.metadata.name} of channel {ref.channel} is rejected: {why_rejected(model)}")
    return "; ".join(told)


def why_rejected(model: ModelVersion) -> str:
    """Why no new revision may use it, in a sentence."""
    if fails_gates(model.spec) and model.spec.evaluation is not None:
        evaluation = model.spec.evaluation
        return (
            f"{evaluation.metric} {evaluation.value:g} on {evaluation.dataset} is below "
            f"gates.minEvaluation {model.spec.gates.min_evaluation:g}"
        )
    found = next((item for item in model.status.conditions if item.type == VERIFIED), None)
    return f"{found.reason}, {found.message}" if found is not None else ""


def trouble(content: Json, models: Mapping[str, ModelVersion]) -> tuple[str, bool]:
    """What pods found wrong with the models of a revision, and whether it is the models' own fault."""
    for entry in content.get("models", []):
        model = models.get(entry["name"])
        conditions = model.status.conditions if model is not None else ()
        for item in conditions:
            if item.type == VERIFIED and item.reason in (*REFUSED, FETCH_FAILED):
                return f"ModelVersion {entry['name']}: {item.reason}, {item.message}", item.reason in REFUSED
    return "", False


def note_fetching(*, fetcher: Fetcher, content: Json, models: Mapping[str, ModelVersion]) -> str:
    """How the pods of a new revision fetch its models, as JSON; empty where they fetch none.

    It is kept beside the content and is no part of it: with which image a revision fetches does not change when the
    operator does, and revisions of before stay as they are.
    """
    entries = content.get("models", [])
    if not entries or not fetcher.image or content.get("engine") == GATEWAY_ENGINE:
        return ""
    sizes = {entry["name"]: models[entry["name"]].spec.artifact.size_bytes for entry in entries}
    return canonical(
        {
            "image": fetcher.image,
            "plainHttpRegistry": fetcher.plain_http_registry,
            "sizes": {name: size for name, size in sizes.items() if size is not None},
        }
    )


def told_to_pods(content: Json, *, fetched: bool) -> str:
    """The value of LOOMA_MODELS: what was pinned, with the path of each file where they are fetched."""
    entries = [
        {**entry, "path": path_in_pod(entry["name"], entry["format"])} if fetched else entry
        for entry in content.get("models", [])
    ]
    return canonical(entries)
