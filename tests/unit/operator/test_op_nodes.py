"""Whether nodes have room for a new revision's pods, and that it is told when its rollout begins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.kube import KubeError
from looma_operator.kube import kinds
from looma_operator.kube import nodes as reading
from looma_operator.kube.nodes import read_nodes
from looma_operator.names import EventReason
from looma_operator.plan.nodes import Node, lack_of_nodes, takes
from support.operator_world import World, spec, turn

Json = dict[str, Any]
CANARY = {"strategy": "Canary", "steps": [{"setWeight": 25}, {"pause": {}}]}
GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


def pod(requests: dict[str, str] | None = None, **more: Any) -> Json:
    return {"containers": [{"name": "engine", "resources": {"requests": requests or {}}}], **more}


def node(
    name: str = "a", *, labels: dict[str, str] | None = None, taints: Sequence[Json] = (), **free: str
) -> Node:
    has = {"pods": "110", **free}
    return Node(
        name=name,
        free={resource: Decimal(amount) for resource, amount in has.items()},
        labels=labels or {},
        taints=tuple(taints),
    )


@pytest.mark.parametrize(
    ("nodes", "asked", "pods", "told"),
    [
        (None, {"cpu": "8"}, 2, ""),
        ((), {"cpu": "8"}, 2, ""),
        ((node(cpu="3"), node("b", cpu="1")), {"cpu": "1"}, 4, ""),
        ((node(cpu="3"), node("b", cpu="1")), {"cpu": "1"}, 5, "5 more pods need cpu 1 each, and there is room for 4"),
        # Four cores in all are no room for a pod of two beside one of two.
        ((node(cpu="3"), node("b", cpu="1")), {"cpu": "2"}, 2, "2 more pods need cpu 2 each, and there is room for 1"),
        ((node(cpu="-1"),), {"cpu": "1"}, 1, "1 more pod needs cpu 1, and there is room for 0"),
        ((node(cpu="9", memory=str(2**30)),), {"memory": "600Mi"}, 2, "memory 600Mi each, and there is room for 1"),
        ((node(cpu="9"),), {"nvidia.com/gpu": "1"}, 1, "needs nvidia.com/gpu 1, and there is room for 0"),
        ((node(pods="1"),), {}, 2, "2 more pods need a place each, and there is room for 1"),
        ((node(cpu="1"),), {"cpu": "9"}, 0, ""),
    ],
)  # fmt: skip
def test_what_nodes_lack(nodes, asked, pods, told):
    found = lack_of_nodes(nodes, pod=pod(asked), pods=pods)
    assert told in found
    assert bool(found) == bool(told)


def test_nothing_is_said_of_pods_that_may_push_others_out():
    assert lack_of_nodes([node(cpu="0")], pod=pod({"cpu": "1"}), pods=1)
    assert not lack_of_nodes([node(cpu="0")], pod=pod({"cpu": "1"}, priorityClassName="high"), pods=1)


def affinity(*terms: Json) -> Json:
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def expression(key: str, operator: str, *values: str, by: str = "matchExpressions") -> Json:
    return {by: [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("at", "asked", "may"),
    [
        (node(), {}, True),
        (node(), {"nodeName": "a"}, True),
        (node(), {"nodeName": "b"}, False),
        (node(labels={"zone": "x"}), {"nodeSelector": {"zone": "x"}}, True),
        (node(labels={"zone": "y"}), {"nodeSelector": {"zone": "x"}}, False),
        (node(labels={"zone": "x"}), affinity(expression("zone", "In", "x", "y")), True),
        (node(labels={"zone": "z"}), affinity(expression("zone", "In", "x", "y")), False),
        (node(labels={"zone": "z"}), affinity(expression("zone", "In", "x"), expression("zone", "Exists")), True),
        (node(labels={"zone": "x"}), affinity(expression("zone", "NotIn", "x")), False),
        (node(), affinity(expression("zone", "NotIn", "x")), True),
        (node(), affinity(expression("zone", "Exists")), False),
        (node(), affinity(expression("zone", "DoesNotExist")), True),
        (node(labels={"cores": "8"}), affinity(expression("cores", "Gt", "4")), True),
        (node(labels={"cores": "8"}), affinity(expression("cores", "Lt", "4")), False),
        (node(labels={"cores": "many"}), affinity(expression("cores", "Gt", "4")), False),
        (node(), affinity(expression("metadata.name", "In", "a", by="matchFields")), True),
        (node(), affinity(expression("metadata.name", "In", "b", by="matchFields")), False),
        # A term without anything chooses no node.
        (node(), affinity({}), False),
        (node(taints=[GPU]), {}, False),
        (node(taints=[GPU]), {"tolerations": [{"operator": "Exists"}]}, True),
        (node(taints=[GPU]), {"tolerations": [{"key": "gpu", "operator": "Exists"}]}, True),
        (node(taints=[GPU]), {"tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}, True),
        (node(taints=[GPU]), {"tolerations": [{"key": "gpu", "value": "no"}]}, False),
        (node(taints=[GPU]), {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]}, False),
    ],
)  # fmt: skip
def test_which_nodes_may_have_a_pod(at: Node, asked: Json, may: bool):
    assert takes(at, pod(**asked)) is may
    lack = lack_of_nodes([at], pod=pod(**asked), pods=1)
    assert ("none of 1 takes such a pod" in lack) is not may


@given(
    free=st.lists(st.integers(-2, 12), min_size=1, max_size=6),
    asked=st.integers(1, 4),
    pods=st.integers(1, 12),
)
def test_nothing_is_said_just_where_the_pods_can_be_placed_one_by_one(free: list[int], asked: int, pods: int):
    lack = lack_of_nodes(
        [node(str(number), cpu=str(amount)) for number, amount in enumerate(free)],
        pod=pod({"cpu": str(asked)}),
        pods=pods,
    )
    left, placed = list(free), 0
    while placed < pods and (fitting := [number for number, amount in enumerate(left) if amount >= asked]):
        left[fitting[0]] -= asked
        placed += 1
    assert bool(lack) is (placed < pods)
    assert not lack or lack.endswith(f"room for {placed}")


def test_a_canary_without_room_is_told_when_it_begins():
    world = World(spec=spec(rollout=CANARY))
    world.nodes = (node(cpu="0.1"),)
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=12)
    told = [notice for notice in world.notices if notice.reason is EventReason.NO_ROOM]
    assert [one.warning for one in told] == [True]
    assert told[0].note.startswith("r2: nodes: 4 more pods need cpu 0.05")
    assert told[0].note.endswith("there is room for 0")


class _Cluster:
    """Answers with pages, or with an error where it has none."""

    def __init__(self, pods: list[list[Json]] | KubeError, nodes: list[Json]) -> None:
        self.pods = pods
        self.nodes = nodes
        self.fields = ""

    async def pages_of_all(
        self, kind: kinds.Kind, *, fields: str = ""
    ) -> AsyncIterator[tuple[list[Json], str]]:
        if kind is kinds.NODE:
            yield self.nodes, "1"
            return
        self.fields = fields
        if isinstance(self.pods, KubeError):
            raise self.pods
        for page in self.pods:
            yield page, "1"


def stored(name: str, **allocatable: str) -> Json:
    taints = [GPU, {"key": "soft", "effect": "PreferNoSchedule"}]
    return {
        "metadata": {"name": name, "labels": {"zone": "x"}},
        "spec": {"taints": taints},
        "status": {"allocatable": allocatable},
    }


def placed(at: str, cpu: str) -> Json:
    return {"spec": pod({"cpu": cpu}, **({"nodeName": at} if at else {}))}


async def read(found: _Cluster) -> tuple[Node, ...] | None:
    return await read_nodes(found)  # type: ignore[arg-type]


async def test_a_node_is_what_it_has_less_what_its_pods_ask_for():
    pages = [[placed("a", "500m"), placed("", "9")], [placed("a", "250m"), placed("b", "1")]]
    found = _Cluster(pages, [stored("a", cpu="2", pods="10"), stored("c", cpu="4", pods="10")])
    first, second = await read(found) or ()
    assert (first.name, first.free) == ("a", {"cpu": Decimal("1.25"), "pods": Decimal(8)})
    assert second.free == {"cpu": Decimal(4), "pods": Decimal(10)}
    assert (first.labels, first.taints) == ({"zone": "x"}, (GPU,))
    # Pods that have ended ask for nothing any more.
    assert found.fields == "status.phase!=Succeeded,status.phase!=Failed"


async def test_nothing_is_known_where_they_may_not_be_read_or_are_too_many(monkeypatch: pytest.MonkeyPatch):
    for code in (403, 410):
        assert await read(_Cluster(KubeError(code, "no"), [])) is None
    with pytest.raises(KubeError):
        await read(_Cluster(KubeError(500, "away"), []))
    monkeypatch.setattr(reading, "MOST_PODS", 2)
    assert await read(_Cluster([[placed("a", "1")] * 2], [stored("a")])) is not None
    assert await read(_Cluster([[placed("a", "1")] * 2, [placed("a", "1")]], [stored("a")])) is None
