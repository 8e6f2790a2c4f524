"""Nodes and what their pods ask for, read where new pods may be about to come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from looma_core.kube import KubeError

from ..plan.drift import parse_quantity
from ..plan.nodes import Node, blocking, requests_of
from ..resources import Json
from . import kinds
from .client import Kube
from .quotas import FORBIDDEN

MOST_PODS = 2000
"""Of a greater cluster nothing is known: reading it for each rollout would cost more than an early word is worth."""
_GONE = 410
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


def node_of(raw: Json, used: Mapping[str, Decimal]) -> Node:
    """The node that a stored object is, with what its pods ask for in all."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    return Node(
        name=raw["metadata"]["name"],
        free={
            name: parse_quantity(amount) - used.get(name, Decimal(0))
            for name, amount in (status.get("allocatable") or {}).items()
        },
        labels=raw["metadata"].get("labels") or {},
        taints=blocking(spec.get("taints") or []),
    )


async def read_nodes(kube: Kube) -> tuple[Node, ...] | None:
    """The cluster's nodes; None where they or the pods may not be listed, or there are too many.

    Raises:
        KubeError: if the API server does not answer.
    """
    used: defaultdict[str, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    known = 0
    try:
        async for pods, _ in kube.pages_of_all(kinds.POD, fields=_NOT_ENDED):
            known += len(pods)
            if known > MOST_PODS:
                return None
            for pod in pods:
                for name, amount in requests_of(pod["spec"]).items():
                    used[pod["spec"].get("nodeName", "")][name] += amount
        return tuple(
            [
                node_of(raw, used[raw["metadata"]["name"]])
                async for page, _ in kube.pages_of_all(kinds.NODE)
                for raw in page
            ]
        )
    except KubeError as error:
        if error.code not in {FORBIDDEN, _GONE}:
            raise
        return None
