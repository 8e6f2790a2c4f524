"""Whether the cluster's nodes have room for a new revision's pods: told before there is any. Pure.

It is said only where it is sure: what is not looked at here (spreading, affinity to other pods, volumes that are bound
to a zone) may leave less room, never more. A pod with a priority class may push others out, so nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..resources import Json
from .room import PODS, needs

Amounts = Mapping[str, Decimal]
_BLOCKING = frozenset({"NoSchedule", "NoExecute"})
_MEBIBYTE = 1024**2


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node as the scheduler sees it.

    `free` is what pods may still ask for, by resource as in `requests`, and `pods`: what it has less what its pods ask
    for. `taints` are those that keep pods away.
    """

    name: str
    free: Amounts
    labels: Mapping[str, str]
    taints: tuple[Json, ...] = ()


def requests_of(pod: Json) -> dict[str, Decimal]:
    """What a pod's spec asks of its node: its requests, and one of its pods."""
    prefix = "requests."
    asked = {
        name.removeprefix(prefix): amount
        for name, amount in needs(pod).items()
        if name.startswith(prefix) and amount
    }
    return {**asked, PODS: Decimal(1)}


def takes(node: Node, pod: Json) -> bool:
    """Whether a node may have pods of this spec, however full it is.

    Source: "Assigning Pods to Nodes" and "Taints and Tolerations", Kubernetes' documentation.
    """
    if pod.get("nodeName") not in {None, "", node.name}:
        return False
    if any(node.labels.get(name) != value for name, value in (pod.get("nodeSelector") or {}).items()):
        return False
    affinity = (pod.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_is_term(node, term) for term in required.get("nodeSelectorTerms") or []):
        return False
    tolerations = pod.get("tolerations") or []
    return all(any(_tolerates(one, taint) for one in tolerations) for taint in node.taints)


def _is_term(node: Node, term: Json) -> bool:
    by_label, by_field = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not by_label and not by_field:
        return False
    return all(_matches(one, node.labels) for one in by_label) and all(
        _matches(one, {"metadata.name": node.name}) for one in by_field
    )


def _matches(expression: Json, values: Mapping[str, str]) -> bool:
    value, given, operator = (
        values.get(expression["key"]),
        expression.get("values") or [],
        expression["operator"],
    )
    if operator in {"Gt", "Lt"}:
        try:
            over = int(value or "") - int(given[0])
        except (ValueError, IndexError):
            return False
        return over > 0 if operator == "Gt" else over < 0
    known = {
        "In": value in given,
        "NotIn": value not in given,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    # What this release does not know may fit.
    return known.get(operator, True)


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    key = toleration.get("key") or ""
    if toleration.get("operator") == "Exists":
        return key in {"", taint["key"]}
    return key == taint["key"] and (toleration.get("value") or "") == (taint.get("value") or "")


def blocking(taints: Sequence[Json]) -> tuple[Json, ...]:
    """Those that keep a pod away that does not tolerate them."""
    return tuple(taint for taint in taints if taint.get("effect") in _BLOCKING)


def room(node: Node, asked: Amounts) -> int:
    """For how many pods that ask for so much a node has room."""
    return max(0, min(int(node.free.get(name, Decimal(0)) // amount) for name, amount in asked.items()))


def lack_of_nodes(nodes: Sequence[Node] | None, *, pod: Json, pods: int) -> str:
    """What the nodes lack for that many more pods, or an empty text where nothing is known to lack.

    | nodes                        | each asks for | pods | answer                                               |
    | ---------------------------- | ------------- | ---- | ---------------------------------------------------- |
    | None: they may not be read   | anything      | 2    |                                                      |
    | a: 3 cpu left, b: 1 cpu left | cpu 1         | 4    |                                                      |
    | a: 3 cpu left, b: 1 cpu left | cpu 2         | 2    | 2 more pods need cpu 2 each, and there is room for 1 |
    | each with a taint            | cpu 2         | 1    | none of 2 takes such a pod (their taints, …)         |
    """
    # A cluster without nodes gets them when there are pods for them.
    if not nodes or pods <= 0 or pod.get("priorityClassName"):
        return ""
    fitting = [node for node in nodes if takes(node, pod)]
    if not fitting:
        return (
            f"nodes: none of {len(nodes)} takes such a pod (their taints, its nodeSelector or its affinity)"
        )
    asked = requests_of(pod)
    has = sum(room(node, asked) for node in fitting)
    if has >= pods:
        return ""
    each = ", ".join(
        f"{name} {_plain(name, amount)}" for name, amount in sorted(asked.items()) if name != PODS
    )
    need = f"{pods} more {'pod needs' if pods == 1 else 'pods need'} {each or 'a place'}"
    return f"nodes: {need}{' each' if pods > 1 else ''}, and there is room for {has}"


def _plain(name: str, amount: Decimal) -> str:
    if name in {"memory", "ephemeral-storage"} and amount >= _MEBIBYTE:
        return f"{amount / _MEBIBYTE:.0f}Mi"
    return f"{amount.normalize():f}"
