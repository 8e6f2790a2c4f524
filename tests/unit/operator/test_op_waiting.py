"""Why pods of a rollout do not answer: what is read of them, when, and what status keeps of it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from looma_core.kube import KubeError
from looma_operator.kube.waiting import PATIENCE, failure_of, names_that_wait, with_waiting
from looma_operator.plan.observed import Pods
from looma_operator.plan.rollout import with_failure
from looma_operator.resources import RolloutStatus
from support.operator_world import START

ROLLOUT = RolloutStatus(revision="r2", from_="r1", started_at=START, progressed_at=START)
SHORT = {"r1": Pods(spec=2, available=2), "r2": Pods(spec=1, available=0)}
PULLING = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}


def pod(*, revision: str = "r2", waiting=None, deleted: bool = False, scheduled: bool = True):
    meta = {"labels": {"looma.dev/revision": revision}}
    if deleted:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {}
    if waiting:
        status["containerStatuses"] = [{"image": "engine:2", "state": {"waiting": waiting}}]
    if not scheduled:
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "no room",
        }
        status["conditions"] = [condition]
    return {"metadata": meta, "status": status}


@pytest.mark.parametrize(
    ("rollout", "after", "pods", "names"),
    [
        (None, 60, SHORT, set()),
        (ROLLOUT, 1, SHORT, set()),
        (ROLLOUT, 6, SHORT, {"r2"}),
        (ROLLOUT, 6, {**SHORT, "r2": Pods(spec=1, available=1)}, set()),
        (msgspec.structs.replace(ROLLOUT, failed=True), 6, SHORT, set()),
    ],
)
def test_pods_are_asked_only_while_a_rollout_waits_for_them(rollout, after, pods, names):
    assert timedelta(seconds=6) > PATIENCE
    assert names_that_wait(rollout, pods, START + timedelta(seconds=after)) == names


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pod(waiting=PULLING), "engine:2: ImagePullBackOff: Back-off pulling image"),
        (pod(waiting={"reason": "ContainerCreating"}), ""),
        (pod(waiting={"reason": "CrashLoopBackOff"}), "engine:2: CrashLoopBackOff"),
        (pod(scheduled=False), "Unschedulable: no room"),
        (pod(), ""),
        ({"metadata": {}}, ""),
    ],
)
def test_what_keeps_a_pod_from_answering(given, said):
    assert failure_of(given) == said


class Listing:
    def __init__(self, *pods, code: int = 0):
        self.pods, self.code = pods, code

    async def list(self, kind, namespace, *, selector=""):
        if self.code:
            raise KubeError(self.code, "no")
        return list(self.pods)


async def test_a_revision_has_what_one_of_its_pods_says():
    listed = Listing(
        pod(deleted=True, waiting={"reason": "Old"}),
        pod(revision="r1", waiting=PULLING),
        pod(waiting=PULLING),
    )
    found = await with_waiting(listed, "looma", "", SHORT, {"r2"})
    assert found["r1"].failure == ""
    assert found["r2"].failure.startswith("engine:2: ImagePullBackOff")


async def test_where_pods_may_not_be_listed_nothing_is_said():
    assert await with_waiting(Listing(code=403), "looma", "", SHORT, {"r2"}) == SHORT
    with pytest.raises(KubeError):
        await with_waiting(Listing(code=500), "looma", "", SHORT, {"r2"})


def test_status_keeps_what_pods_said_when_they_are_gone():
    failed = msgspec.structs.replace(ROLLOUT, failed=True)
    said = with_failure(failed, {"r2": Pods(spec=1, failure="no image")})
    assert said.failure == "no image"
    assert with_failure(said, {}) == said
    assert with_failure(ROLLOUT, {"r2": Pods(spec=1, failure="no image")}) == ROLLOUT
    assert with_failure(None, {}) is None
