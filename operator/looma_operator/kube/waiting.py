"""Why pods of a rollout that does not get on do not answer: read only where one has waited for a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from ..names import LABEL_REVISION
from ..plan.observed import Pods
from ..resources import Json, RolloutStatus
from .client import Kube
from .pods import list_pods

PATIENCE = timedelta(seconds=5)
"""A pod that starts as it should has answered by then, or is not worth a word yet."""
STARTING = frozenset({"ContainerCreating", "PodInitializing"})
MESSAGE_LIMIT = 300


def names_that_wait(rollout: RolloutStatus | None, pods: Mapping[str, Pods], now: datetime) -> frozenset[str]:
    """The revision of a rollout that has got no further for a while for lack of pods; none where all answer.

    | rollout  | since its last progress | pods           | answer       |
    | -------- | ----------------------- | -------------- | ------------ |
    | none     | any                     | any            | none         |
    | goes on  | less than PATIENCE      | any            | none         |
    | goes on  | more                    | all answer     | none         |
    | goes on  | more                    | some do not    | its revision |
    | given up | any                     | any            | none         |
    """
    if rollout is None or rollout.failed or now - rollout.progressed_at < PATIENCE:
        return frozenset()
    counted = pods.get(rollout.revision, Pods())
    return frozenset({rollout.revision}) if counted.available < counted.spec else frozenset()


def failure_of(pod: Json) -> str:
    """What keeps a pod from answering, by its containers' states or its scheduling; empty for nothing that is told."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting and waiting.get("reason") not in STARTING:
            told = f"{container.get('image', '')}: {waiting.get('reason', '')}: {waiting.get('message', '')}"
            return told.rstrip(": ")[:MESSAGE_LIMIT]
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"[:MESSAGE_LIMIT]
    return ""


async def with_waiting(
    kube: Kube, namespace: str, selector: str, pods: Mapping[str, Pods], names: Collection[str]
) -> dict[str, Pods]:
    """The counts by revision, with why pods of `names` do not answer; as they were where pods may not be listed.

    Raises:
        KubeError: if the API server does not answer.
    """
    found: dict[str, str] = {}
    for pod in await list_pods(kube, namespace, selector):
        name = (pod["metadata"].get("labels") or {}).get(LABEL_REVISION, "")
        failure = failure_of(pod)
        if name in names and failure:
            found.setdefault(name, failure)
    return {
        name: replace(counted, failure=counted.failure or found.get(name, ""))
        for name, counted in pods.items()
    }
