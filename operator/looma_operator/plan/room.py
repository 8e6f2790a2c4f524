"""Whether the namespace's ResourceQuotas leave room for a new revision's pods: told before there is any. Pure.

A quota that holds for some pods only (`scopes`, `scopeSelector`) is passed over, since which pods it counts is decided
elsewhere. Nodes are in `nodes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..resources import Json
from .drift import parse_quantity

PODS = "pods"
_COUNTED_AS = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": PODS}


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A ResourceQuota for all pods of its namespace: what may be used and what is, as its status says."""

    name: str
    hard: Mapping[str, str]
    used: Mapping[str, str]


def needs(pod: Json) -> dict[str, Decimal]:
    """What one pod of a template's spec is counted with, by a quota's names for it.

    The containers together, or the greediest init container where that asks for more; a limit is a request where there
    is none. Source: "Resource sharing within containers", Kubernetes' documentation of init containers.
    """
    together: dict[str, Decimal] = {}
    for container in pod.get("containers") or []:
        for name, amount in _of(container).items():
            together[name] = together.get(name, Decimal(0)) + amount
    for container in pod.get("initContainers") or []:
        for name, amount in _of(container).items():
            together[name] = max(together.get(name, Decimal(0)), amount)
    return {**together, PODS: Decimal(1)}


def _of(container: Json) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    asked = {"requests": {**limits, **(resources.get("requests") or {})}, "limits": limits}
    return {
        f"{kind}.{name}": parse_quantity(value)
        for kind, amounts in asked.items()
        for name, value in amounts.items()
    }


def shortage(quotas: Sequence[Quota], *, pod: Json, pods: int) -> str:
    """What the quotas lack for that many more pods, or an empty text where nothing is known to lack.

    | hard, used           | each pod asks for | pods | answer                                               |
    | -------------------- | ----------------- | ---- | ---------------------------------------------------- |
    | cpu 2, 1             | 500m              | 2    |                                                      |
    | cpu 2, 1             | 500m              | 3    | quota team: 3 more pods need 1.5 of cpu, 1 is left   |
    | cpu 2, 1             | nothing           | 1    | quota team: cpu has to be asked for, the pods do not |
    """
    if pods <= 0:
        return ""
    wanted = needs(pod)
    lacks: list[str] = []
    for quota in quotas:
        for name, hard in sorted(quota.hard.items()):
            counted = _COUNTED_AS.get(name, name)
            if not counted.startswith(("requests.", "limits.")) and counted != PODS:
                continue
            if counted not in wanted:
                if counted.endswith((".cpu", ".memory")):
                    lacks.append(f"quota {quota.name}: {name} has to be asked for, the pods do not")
                continue
            left = parse_quantity(hard) - parse_quantity(quota.used.get(name, "0"))
            total = wanted[counted] * pods
            if total > left:
                need = f"{pods} more {'pod needs' if pods == 1 else 'pods need'} {_plain(total)} of {name}"
                lacks.append(f"quota {quota.name}: {need}, {_plain(max(left, Decimal(0)))} is left")
    return "; ".join(lacks)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
