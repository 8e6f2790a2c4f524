"""ModelVersion documents as the pages show them, and which services mean or have them: pure reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from looma_console.cluster.documents import Document
from looma_console.cluster.model import Condition
from looma_core.api.semver import Precedence, precedence

CHANNEL = "looma.dev/channel"
"""The label by which services follow the highest version."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """A revision of a service that has a model; `revision` is empty where it is not known."""

    service: str
    revision: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A service whose spec means a model now: by its name, or by the channel that it follows."""

    service: str
    channel: str


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One version of a model.

    `evaluation` is such as `f1 0.91 on held-out` in its three parts, `least` what the gate wants of it. `served_by`
    are revisions of which pods that answer have it, one for each service.
    """

    name: str
    model: str
    version: str
    format: str
    uri: str
    size: int | None
    channel: str
    phase: str
    retired: bool
    dataset: str
    metric: str
    value: float | None
    least: float | None
    conditions: tuple[Condition, ...]
    served_by: tuple[Use, ...]

    @property
    def digest(self) -> str:
        """The artifact's digest, `sha256:` and 64 digits."""
        return self.uri.rpartition("@")[2]

    @property
    def refusals(self) -> tuple[Condition, ...]:
        """Why no service may use it: a gate that it does not pass, or an artifact that pods could not take."""
        return tuple(item for item in self.conditions if not item.good)

    @property
    def order(self) -> tuple[Precedence, str]:
        """What versions of a model are sorted by."""
        try:
            return precedence(self.version), self.name
        except ValueError:
            # The definition lets none in that is no semantic version; a page is no place to fail over one.
            return (-1, 0, 0, False, ()), self.name


@dataclass(frozen=True, kw_only=True)
class Model:
    """All versions of one model, the highest first."""

    name: str
    versions: tuple[ModelVersion, ...]


def read_model_version(document: Document) -> ModelVersion:
    """A ModelVersion as the pages show it."""
    metadata: Document = document["metadata"]
    spec: Document = document["spec"]
    status: Document = document.get("status") or {}
    artifact: Document = spec.get("artifact") or {}
    evaluation: Document = spec.get("evaluation") or {}
    value = evaluation.get("value")
    least = (spec.get("gates") or {}).get("minEvaluation")
    retired = bool(spec.get("retire"))
    size = artifact.get("sizeBytes")
    return ModelVersion(
        name=str(metadata["name"]),
        model=str(spec.get("model", "")),
        version=str(spec.get("version", "")),
        format=str(spec.get("format", "")),
        uri=str(artifact.get("uri", "")),
        size=None if size is None else int(size),
        channel=str((metadata.get("labels") or {}).get(CHANNEL, "")),
        phase=str(status.get("phase") or ("Retired" if retired else "Pending")),
        retired=retired,
        dataset=str(evaluation.get("dataset", "")),
        metric=str(evaluation.get("metric", "")),
        value=None if value is None else float(value),
        least=None if least is None else float(least),
        conditions=tuple(_condition(item) for item in status.get("conditions") or ()),
        served_by=tuple(
            Use(service=str(item.get("name", "")), revision=str(item.get("revision") or ""))
            for item in status.get("servedBy") or ()
        ),
    )


def by_model(documents: Iterable[Document]) -> tuple[Model, ...]:
    """All versions, by model and from the highest to the lowest."""
    versions = [read_model_version(document) for document in documents]
    return tuple(
        Model(
            name=name,
            versions=tuple(
                sorted(
                    (item for item in versions if item.model == name),
                    key=lambda item: item.order,
                    reverse=True,
                )
            ),
        )
        for name in sorted({item.model for item in versions})
    )


def references(services: Iterable[Document]) -> dict[tuple[str, str, str], list[Reference]]:
    """Who refers to what, by (name, "", "") and by ("", model, channel)."""
    found: dict[tuple[str, str, str], list[Reference]] = {}
    for service in services:
        for ref in service["spec"].get("modelRefs") or ():
            channel = str(ref.get("channel") or "")
            key = (str(ref.get("name") or ""), str(ref.get("model") or ""), channel)
            found.setdefault(key, []).append(
                Reference(service=str(service["metadata"]["name"]), channel=channel)
            )
    return found


def meant_by(
    version: ModelVersion, refs: Mapping[tuple[str, str, str], list[Reference]]
) -> tuple[Reference, ...]:
    """The services whose spec names the version, and those that follow its channel (which may give them another)."""
    followers = refs.get(("", version.model, version.channel), []) if version.channel else []
    return (*refs.get((version.name, "", ""), []), *followers)


def pinned_in(revisions: Iterable[Document], name: str) -> tuple[Use, ...]:
    """The kept revisions whose content holds the ModelVersion of that name, by service, the latest first."""
    found = []
    for item in revisions:
        labels: Document = item["metadata"].get("labels") or {}
        if any(model.get("name") == name for model in (item.get("data") or {}).get("models") or ()):
            use = Use(
                service=str(labels.get("app.kubernetes.io/instance", "")),
                revision=str(labels.get("looma.dev/revision", "")),
            )
            found.append((use.service, -int(item.get("revision") or 0), use))
    return tuple(use for *_, use in sorted(found, key=lambda entry: entry[:2]))


def _condition(item: Document) -> Condition:
    kind, status = str(item.get("type", "")), str(item.get("status", "Unknown"))
    reason = str(item.get("reason", ""))
    # Nobody has fetched a version that no service uses yet; one that pods could not fetch is another matter.
    unknown = status == "Unknown" and reason == "NotFetched"
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=str(item.get("message", "")),
        good=kind == "Retired" or status == "True" or unknown,
    )
