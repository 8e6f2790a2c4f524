"""ResourceQuotas of a namespace, read where new pods may be about to come."""

from __future__ import annotations

from looma_core.kube import KubeError

from ..plan.room import Quota
from ..resources import BY_WEIGHT, AIService, Json
from . import kinds
from .client import Kube

FORBIDDEN = 403


def may_begin(service: AIService) -> bool:
    """Whether a rollout by weights may begin with this look, so that there will be pods beside those that serve."""
    status = service.status
    if service.spec.rollout.strategy not in BY_WEIGHT or not status.stable_revision:
        return False
    # A model of a channel that moves on begins one without a new generation.
    return status.observed_generation != service.metadata.generation or bool(
        service.spec.model_refs and status.rollout is None
    )


def quota_of(raw: Json) -> Quota | None:
    """The quota that a stored object is; None for one that holds for some pods only."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        return None
    return Quota(name=raw["metadata"]["name"], hard=status.get("hard") or {}, used=status.get("used") or {})


async def read_quotas(kube: Kube, namespace: str) -> tuple[Quota, ...]:
    """The quotas of a namespace; none where they may not be listed.

    Raises:
        KubeError: if the API server does not answer.
    """
    try:
        found = await kube.list(kinds.QUOTA, namespace)
    except KubeError as error:
        if error.code != FORBIDDEN:
            raise
        return ()
    return tuple(quota for raw in found if (quota := quota_of(raw)) is not None)
