"""Whether quotas leave room for a new revision's pods, and that it is told when its rollout begins."""

from __future__ import annotations

from typing import Any

import pytest

from looma_core.kube import KubeError
from looma_operator.kube.quotas import may_begin, quota_of, read_quotas
from looma_operator.names import EventReason
from looma_operator.plan.room import Quota, needs, shortage
from support.operator_world import World, reasons, spec, turn

CANARY = {"strategy": "Canary", "steps": [{"setWeight": 25}, {"pause": {}}]}


def pod(requests: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "engine", "resources": {"requests": requests or {}}}], **more}


def quota(hard: dict[str, str], **used: str) -> Quota:
    return Quota(name="team", hard=hard, used={name.replace("_", "."): value for name, value in used.items()})


def test_a_pod_needs_what_its_containers_ask_for_together_or_its_greediest_init_container():
    asked = {
        "containers": [
            {"resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "1Gi"}}},
            {"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}},
        ],
        "initContainers": [{"resources": {"requests": {"cpu": "2"}}}],
    }
    found = {name: str(amount) for name, amount in needs(asked).items()}
    assert found["requests.cpu"] == "2"
    assert found["requests.memory"] == str(1024**3 + 64 * 1024**2)
    assert found["limits.cpu"] == "1"
    assert found["pods"] == "1"


@pytest.mark.parametrize(
    ("hard", "used", "asked", "pods", "told"),
    [
        ({"cpu": "2"}, {"cpu": "1"}, {"cpu": "500m"}, 2, ""),
        ({"cpu": "2"}, {"cpu": "1"}, {"cpu": "500m"}, 3, "quota team: 3 more pods need 1.5 of cpu, 1 is left"),
        ({"requests.cpu": "2"}, {"requests_cpu": "3"}, {"cpu": "1"}, 1, "1 more pod needs 1 of requests.cpu, 0"),
        ({"pods": "5"}, {"pods": "4"}, {}, 2, "2 more pods need 2 of pods, 1 is left"),
        ({"count/pods": "5"}, {}, {}, 5, ""),
        ({"memory": "1Gi"}, {}, {}, 1, "memory has to be asked for, the pods do not"),
        ({"limits.cpu": "1"}, {}, {"cpu": "1"}, 1, "limits.cpu has to be asked for"),
        ({"requests.nvidia.com/gpu": "1"}, {}, {"cpu": "1"}, 3, ""),
        ({"services": "1", "requests.storage": "1Gi"}, {"services": "1"}, {"cpu": "1"}, 3, ""),
        ({"cpu": "2"}, {"cpu": "2"}, {"cpu": "1"}, 0, ""),
    ],
)  # fmt: skip
def test_what_quotas_lack(hard, used, asked, pods, told):
    found = shortage([quota(hard, **used)], pod=pod(asked), pods=pods)
    assert told in found
    assert bool(found) == bool(told)


def test_a_canary_without_room_is_told_when_it_begins_and_once():
    world = World(spec=spec(rollout=CANARY))
    world.quotas = (quota({"cpu": "300m"}, cpu="200m"),)
    turn(world, rounds=12)
    assert EventReason.NO_ROOM not in reasons(world), "the first revision is no rollout beside another"
    world.change(image="looma-engine:2")
    turn(world, rounds=12)
    told = [notice for notice in world.notices if notice.reason is EventReason.NO_ROOM]
    assert [(one.note, one.warning) for one in told] == [
        ("r2: quota team: 4 more pods need 0.2 of cpu, 0.1 is left", True)
    ]
    order = reasons(world)
    assert order.index(EventReason.NO_ROOM) < order.index(EventReason.ROLLOUT_STEP)


def test_where_there_is_room_nothing_is_told():
    world = World(spec=spec(rollout=CANARY))
    world.quotas = (quota({"cpu": "400m", "pods": "8"}, cpu="200m", pods="4"),)
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=12)
    assert EventReason.NO_ROOM not in reasons(world)


def test_quotas_are_asked_for_only_where_a_rollout_by_weights_may_begin():
    world = World(spec=spec(rollout=CANARY))
    assert not may_begin(world.service), "nothing serves yet"
    turn(world, rounds=12)
    assert not may_begin(world.service), "nothing has changed"
    world.change(image="looma-engine:2")
    assert may_begin(world.service)
    world.change(rollout={"strategy": "Rolling"})
    assert not may_begin(world.service)


class _Answers:
    def __init__(self, answer: list[dict[str, Any]] | KubeError) -> None:
        self.answer = answer

    async def list(self, _kind: object, _namespace: str) -> list[dict[str, Any]]:
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer


async def test_quotas_that_may_not_be_read_or_hold_for_some_pods_only_are_passed_over():
    stored = {
        "metadata": {"name": "team"},
        "spec": {},
        "status": {"hard": {"cpu": "1"}, "used": {"cpu": "0"}},
    }
    some = stored | {"spec": {"scopes": ["BestEffort"]}}
    assert quota_of(some) is None
    assert await read_quotas(_Answers([stored, some]), "looma") == (  # type: ignore[arg-type]
        Quota(name="team", hard={"cpu": "1"}, used={"cpu": "0"}),
    )
    assert await read_quotas(_Answers(KubeError(403, "no")), "looma") == ()  # type: ignore[arg-type]
    with pytest.raises(KubeError):
        await read_quotas(_Answers(KubeError(500, "away")), "looma")  # type: ignore[arg-type]
