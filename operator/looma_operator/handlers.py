"""Kopf's part: watches that wake the queue. Nothing is decided and nothing written here.

Only `on.event` handlers are used, so Kopf itself writes nothing either: no finalizers, no annotations, no events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import kopf

from .echoes import Seen
from .indexing import Index
from .kube import kinds
from .names import GROUP, LABEL_INSTANCE, LABEL_NAME, LABEL_PART_OF, PART_OF, VERSION
from .queueing import Key
from .render.analysis_job import ANALYSIS_JOB
from .render.sync import SYNC


class Wake(Protocol):
    """Wakes the queue for an object; `seen` is what was heard of it, None for a reason that another's change gives."""

    def __call__(self, key: Key, seen: Seen | None = None) -> None:
        """Have the object looked at."""


WATCHED_RUNS = ("jobs", "cronjobs")


def owner_key(body: Mapping[str, Any]) -> Key | None:
    """The AIService that controls the object, or None if none does."""
    metadata = body.get("metadata", {})
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller") and str(reference.get("apiVersion", "")).startswith(f"{GROUP}/"):
            return Key(kinds.AI_SERVICE.name, metadata["namespace"], reference["name"])
    return None


def sync_key(body: Mapping[str, Any]) -> Key | None:
    """The SyncJob that the Job or CronJob is for, or None: by its labels, since a CronJob's Jobs are not its own."""
    metadata = body.get("metadata", {})
    labels = metadata.get("labels") or {}
    if labels.get(LABEL_NAME) != SYNC or not labels.get(LABEL_INSTANCE):
        return None
    return Key(kinds.SYNC_JOB.name, metadata["namespace"], labels[LABEL_INSTANCE])


def _leads_to(spec: Mapping[str, Any]) -> frozenset[str]:
    """The services that a route names as fallback and as shadow."""
    route = spec.get("route") or {}
    named = (route.get("fallback"), route.get("shadow"))
    return frozenset(target["service"] for target in named if target and target.get("service"))


class RouteBook:
    """What the AIServices named when last seen, so that a change wakes just whom it concerns.

    That is models, paths, and the services to which their routes lead as well.
    """

    def __init__(self) -> None:
        """Begin empty; the first listing fills it."""
        # All by namespace as well: names are of one.
        self._models: Index[Key, tuple[str, str]] = Index()
        self._followed: Index[Key, tuple[str, str]] = Index()
        self._paths: Index[Key, tuple[str, str]] = Index()
        self._leads_to: Index[Key, tuple[str, str]] = Index()
        self._versions: dict[tuple[str, str], frozenset[str]] = {}
        self._targets: dict[Key, str] = {}

    def note(
        self, key: Key, spec: Mapping[str, Any] | None, target: str = ""
    ) -> tuple[frozenset[str], frozenset[Key]]:
        """Remember a service (None: it is gone) and `target`: which revision it asks for and how far that has come.

        Answers the models for which something changed, and the services whose paths it met or meets, or whose route
        leads to it, if it has just come or gone.
        """

        def here(names: Iterable[str]) -> frozenset[tuple[str, str]]:
            return frozenset((key.namespace, name) for name in names)

        came_or_went = (key in self._leads_to) != (spec is not None)
        moved = self._targets.pop(key, "") != target
        models = paths = frozenset[tuple[str, str]]()
        if spec is None:
            before_models, before_paths = self._models.drop(key), self._paths.drop(key)
            self._followed.drop(key)
            self._leads_to.drop(key)
        else:
            self._targets[key] = target
            references = spec.get("modelRefs") or []
            followed = here(item["model"] for item in references if item.get("model"))
            models = here(item["name"] for item in references if item.get("name")).union(
                *(here(self._versions.get(model, ())) for model in followed)
            )
            paths = here((spec.get("route") or {}).get("pathPrefixes") or [])
            before_models, before_paths = self._models.put(key, models), self._paths.put(key, paths)
            self._followed.put(key, followed)
            self._leads_to.put(key, here(_leads_to(spec)))
        rivals = {rival for path in before_paths ^ paths for rival in self._paths.holders(path)}
        if came_or_went:
            rivals.update(self._leads_to.holders((key.namespace, key.name)))
        changed = models | before_models if moved else models ^ before_models
        return frozenset(name for _, name in changed), frozenset(rivals - {key})

    def users_of(self, namespace: str, name: str, model: str = "") -> frozenset[Key]:
        """The services that name the ModelVersion, or follow a channel of its model; remembers that there is it."""
        if model:
            known = self._versions.get((namespace, model), frozenset())
            self._versions[namespace, model] = known | {name}
        named, follow = self._models.holders((namespace, name)), self._followed.holders((namespace, model))
        return frozenset((*named, *follow))


def register(registry: kopf.OperatorRegistry, wake: Wake, note: Callable[..., object]) -> None:
    """Register the watches; `wake` gets the key of every object that may want a look, `note` each AIService before."""
    book = RouteBook()

    @kopf.on.event(GROUP, VERSION, kinds.AI_SERVICE.plural, registry=registry)
    async def service_changed(
        event: kopf.RawEvent, namespace: str | None, name: str, spec: kopf.Spec, status: kopf.Status, **_: Any
    ) -> None:
        namespace = namespace or ""
        key = Key(kinds.AI_SERVICE.name, namespace, name)
        gone = event["type"] == "DELETED"
        raw = event["object"]
        note(raw, gone=gone)
        moved = [str(status.get(name) or "") for name in ("targetRevision", "stableRevision", "phase")]
        # Whether any pod answers is what its models tell; how many is nothing to them.
        moved.append("answers" if status.get("readyReplicas") else "")
        models, rivals = book.note(key, None if gone else spec, "/".join(moved))
        wake(key, None if gone else Seen(key.kind, name, raw["metadata"]["resourceVersion"]))
        for other in {*rivals, *(Key(kinds.MODEL_VERSION.name, namespace, model) for model in models)}:
            wake(other)

    @kopf.on.event(GROUP, VERSION, kinds.MODEL_VERSION.plural, registry=registry)
    async def model_changed(namespace: str | None, name: str, spec: kopf.Spec, **_: Any) -> None:
        namespace = namespace or ""
        users = book.users_of(namespace, name, str(spec.get("model") or ""))
        for key in {Key(kinds.MODEL_VERSION.name, namespace, name), *users}:
            wake(key)

    @kopf.on.event(GROUP, VERSION, kinds.SYNC_JOB.plural, registry=registry)
    async def sync_job_changed(namespace: str | None, name: str, **_: Any) -> None:
        wake(Key(kinds.SYNC_JOB.name, namespace or "", name))

    async def analysis_job_changed(body: kopf.Body, **_: Any) -> None:
        key = owner_key(body)
        if key is not None:
            wake(key)

    measures = {LABEL_PART_OF: PART_OF, LABEL_NAME: ANALYSIS_JOB}
    kopf.on.event("batch", "v1", "jobs", registry=registry, id="analysis-jobs", labels=measures)(
        analysis_job_changed
    )

    async def run_changed(body: kopf.Body, **_: Any) -> None:
        key = sync_key(body)
        if key is not None:
            wake(key)

    for plural in WATCHED_RUNS:
        labels = {LABEL_PART_OF: PART_OF, LABEL_NAME: SYNC}
        kopf.on.event("batch", "v1", plural, registry=registry, id=f"run-{plural}", labels=labels)(
            run_changed
        )
