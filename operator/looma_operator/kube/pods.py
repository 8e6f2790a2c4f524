"""Pods, for what they say: a rollout needs no more than their Deployments, so they need not be readable."""

from __future__ import annotations

from looma_core.kube import KubeError

from ..resources import Json
from . import kinds
from .client import Kube

FORBIDDEN = 403


async def list_pods(kube: Kube, namespace: str, selector: str) -> list[Json]:
    """The pods with those labels that stay; none where pods may not be listed.

    Raises:
        KubeError: if the API server does not answer.
    """
    try:
        pods = await kube.list(kinds.POD, namespace, selector=selector)
    except KubeError as error:
        if error.code != FORBIDDEN:
            raise
        return []
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
