"""What pods say of the models that they fetch: read only while some of them are not there yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from looma_core.api.models import FetchFailure, parse_failure

from ..names import FETCH, LABEL_INSTANCE, LABEL_PART_OF, LABEL_REVISION, PART_OF
from ..plan.observed import Pods, StoredRevision
from ..plan.records import ModelUse
from ..render.children import CONTENT
from ..render.models import FETCH_CONTAINER
from ..resources import Json, ModelVersion
from . import kinds
from .client import Kube
from .pods import list_pods

Failures = Mapping[tuple[str, str], FetchFailure]
"""The failure that a pod told of last, by service and revision."""


def names_that_fetch(revisions: Sequence[StoredRevision], pods: Mapping[str, Pods]) -> frozenset[str]:
    """The revisions that have fewer pods that answer than they should, and fetch models before that."""
    counts = {revision.name: pods.get(revision.name, Pods()) for revision in revisions if revision.fetch}
    return frozenset(name for name, counted in counts.items() if counted.available < counted.spec)


def failure_of(pod: Json) -> FetchFailure | None:
    """Why the pod's init container could not fetch a model when it last ended."""
    for status in (pod.get("status") or {}).get("initContainerStatuses") or []:
        if status.get("name") != FETCH_CONTAINER:
            continue
        for when in ("state", "lastState"):
            ended = (status.get(when) or {}).get("terminated") or {}
            found = parse_failure(str(ended.get("message", ""))) if ended.get("exitCode") else None
            if found is not None:
                return found
    return None


async def read_failures(kube: Kube, namespace: str, selector: str) -> Failures:
    """The failures of the pods with those labels; none where pods may not be listed, as a rollout needs no more.

    Raises:
        KubeError: if the API server does not answer.
    """
    found: dict[tuple[str, str], FetchFailure] = {}
    for pod in await list_pods(kube, namespace, selector):
        labels = pod["metadata"].get("labels") or {}
        failure = failure_of(pod)
        if failure is not None:
            found[labels.get(LABEL_INSTANCE, ""), labels.get(LABEL_REVISION, "")] = failure
    return found


def with_failures(pods: Mapping[str, Pods], failures: Failures, fetching: Collection[str]) -> dict[str, Pods]:
    """The counts by revision, with what those say that could not fetch."""
    told = {revision: failure for (_, revision), failure in failures.items() if revision in fetching}
    return {
        name: replace(counted, failure=counted.failure or f"Model {told[name].name}: {told[name].message}")
        if name in told
        else counted
        for name, counted in pods.items()
    }


def use_of(deployment: Json, model: ModelVersion) -> ModelUse | None:
    """How the pods of a revision's Deployment use the model, or None if they do not."""
    meta = deployment["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    try:
        content = msgspec.json.decode(annotations.get(CONTENT, "{}"), type=dict[str, object])
        entries = msgspec.convert(content.get("models", []), list[dict[str, str]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    wanted = (model.metadata.name, model.spec.artifact.uri)
    if not any((entry.get("name"), entry.get("uri")) == wanted for entry in entries):
        return None
    available = int((deployment.get("status") or {}).get("availableReplicas", 0))
    return ModelUse(
        service=labels.get(LABEL_INSTANCE, ""),
        revision=labels.get(LABEL_REVISION, ""),
        available=available,
        verifies=FETCH in annotations,
        fetching=FETCH in annotations and available < int(deployment["spec"].get("replicas", 1)),
    )


async def read_uses(kube: Kube, namespace: str, model: ModelVersion) -> tuple[ModelUse, ...]:
    """The revisions of the namespace whose pods use the model, with what they say of it.

    Raises:
        KubeError: if the API server does not answer.
    """
    selector = f"{LABEL_PART_OF}={PART_OF},{LABEL_REVISION}"
    deployments = await kube.list(kinds.DEPLOYMENT, namespace, selector=selector)
    uses = [use for item in deployments if (use := use_of(item, model)) is not None]
    if not any(use.fetching for use in uses):
        return tuple(uses)
    failures = await read_failures(kube, namespace, selector)

    def told(use: ModelUse) -> FetchFailure | None:
        failure = failures.get((use.service, use.revision))
        return failure if failure is not None and failure.name == model.metadata.name else None

    return tuple(replace(use, failure=told(use)) for use in uses)
