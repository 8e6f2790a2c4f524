"""The plan for one AIService, asked again and again against a cluster in memory: rollouts, ways back, pauses."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looma_operator.names import EventReason
from looma_operator.plan.observed import Peer
from support.operator_world import START, World, reasons, spec


def test_the_first_look_makes_all_children_and_ends_ready(running):
    assert {kind for kind, _ in running.children} == {
        "ControllerRevision",
        "ServiceAccount",
        "NetworkPolicy",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
        "HTTPRoute",
    }
    assert running.status["phase"] == "Ready"
    assert running.status["stableRevision"] == running.status["targetRevision"] == "r1"
    assert running.condition("Ready") == ("True", "Available")
    assert reasons(running) == [
        EventReason.REVISION_CREATED,
        EventReason.ROLLOUT_STARTED,
        EventReason.ROLLOUT_COMPLETED,
    ]
    assert all(child["metadata"]["ownerReferences"][0]["uid"] == "u1" for child in running.children.values())


def test_asking_again_writes_nothing(running):
    before = running.writes
    for _ in range(3):
        running.look()
        running.tick(100)
    assert running.writes == before


def test_a_new_image_rolls_out_without_losing_capacity(running):
    running.change(image="looma-engine:2")
    seen = []
    for _ in range(30):
        running.look()
        seen.append((running.serving, dict(running.counts)))
        running.tick()
    assert all(serving >= 4 for serving, _ in seen)
    assert all(sum(counts.values()) <= 5 for _, counts in seen)
    assert running.counts == {"r1": 0, "r2": 4}
    assert running.status["stableRevision"] == "r2"
    assert "rollout" not in running.status
    assert running.status["revisions"][0]["name"] == "r2"
    assert running.status["revisions"][1]["state"] == "Kept"


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 6},
        {"route": {"pathPrefixes": ["/api/v1/skills"]}},
        {"rollout": {"strategy": "Rolling", "progressDeadlineSeconds": 30}},
        {"revisionHistoryLimit": 2},
        {"rollbackWindow": 1},
        {"config": {}},
    ],
)
def test_what_is_no_part_of_a_revision_rolls_nothing_out(running, change):
    running.change(**change)
    running.settle()
    assert running.status["targetRevision"] == "r1"
    assert set(running.counts) == {"r1"}


def test_going_back_is_known_by_content_and_goes_straight(running):
    running.change(image="looma-engine:2")
    running.settle()
    running.author = type(running.author)(name="bob", reason="answers are wrong")
    running.change(image="looma-engine:1")
    running.look()
    assert running.counts["r1"] == 4, "inside the window all pods are started at once"
    assert running.status["phase"] == "RollingBack"
    running.settle()
    back = running.read_status.last_rollback
    assert (back.from_, back.to, back.reason, back.requested_by) == ("r2", "r1", "answers are wrong", "bob")
    assert back.completed_at is not None
    assert running.status["stableRevision"] == "r1"
    assert running.counts == {"r1": 4, "r2": 0}
    assert EventReason.ROLLBACK_STARTED in reasons(running)
    assert EventReason.ROLLBACK_COMPLETED in reasons(running)


def test_outside_the_window_a_rollback_is_rolled_out_like_a_new_revision(running):
    running.change(rollbackWindow=0, image="looma-engine:2")
    running.settle()
    running.change(image="looma-engine:1")
    running.look()
    assert running.counts["r1"] == 1
    running.settle()
    assert running.read_status.last_rollback.to == "r1"


def test_a_rollback_in_the_middle_of_a_rollout(running):
    running.broken.add("looma-engine:2")
    running.change(image="looma-engine:2")
    running.look()
    running.tick()
    running.look()
    assert running.counts == {"r1": 4, "r2": 1}
    running.change(image="looma-engine:1")
    running.settle()
    back = running.read_status.last_rollback
    assert (back.from_, back.to) == ("r2", "r1")
    assert running.counts == {"r1": 4, "r2": 0}
    assert running.status["phase"] == "Ready"


def test_a_new_spec_in_the_middle_of_a_rollout_takes_its_place(running):
    running.change(image="looma-engine:2")
    for _ in range(4):
        running.look()
        running.tick()
    assert 0 < running.counts["r2"] < 4
    running.change(image="looma-engine:3")
    for _ in range(30):
        running.look()
        assert running.serving >= 4
        running.tick()
    assert running.counts == {"r1": 0, "r2": 0, "r3": 4}
    assert running.status["stableRevision"] == "r3"


def test_scaling_together_with_a_new_spec(running):
    running.change(image="looma-engine:2", replicas=8)
    for _ in range(30):
        running.look()
        assert running.serving >= 4
        running.tick()
    assert running.counts == {"r1": 0, "r2": 8}


def test_a_rollout_that_gets_no_pod_further_is_given_up(running):
    running.broken.add("looma-engine:2")
    running.change(image="looma-engine:2")
    wake = None
    for _ in range(3):
        wake = running.look()
        running.tick()
    assert wake is not None
    assert 50 < wake <= 60.1
    running.tick(61)
    running.settle()
    assert running.status["phase"] == "Degraded"
    assert running.condition("Degraded") == ("True", "ProgressDeadlineExceeded")
    assert running.condition("Ready") == ("True", "Available")
    assert running.counts == {"r1": 4, "r2": 0}
    assert running.status["stableRevision"] == "r1"
    assert reasons(running).count(EventReason.ROLLOUT_FAILED) == 1
    assert next(row for row in running.status["revisions"] if row["name"] == "r2")["state"] == "Failed"


def test_a_failure_halfway_gives_the_old_revision_all_replicas_again(running):
    running.change(image="looma-engine:2")
    for _ in range(5):
        running.look()
        running.tick()
    halfway = running.counts["r2"]
    assert 0 < halfway < 4
    running.broken.add("looma-engine:2")
    for _ in range(20):
        running.look()
        assert running.serving >= 4
        running.tick(10)
    assert running.counts == {"r1": 4, "r2": 0}
    assert running.status["phase"] == "Degraded"


def test_after_a_failure_another_spec_or_a_retry_goes_on(running):
    running.broken.add("looma-engine:2")
    running.change(image="looma-engine:2")
    running.look()
    running.tick(61)
    running.settle()
    running.broken.clear()
    running.annotations["looma.dev/request"] = json.dumps(
        {"id": "1", "action": "retry", "reason": "registry is back"}
    )
    running.settle()
    assert running.status["stableRevision"] == "r2"
    assert running.status["phase"] == "Ready"
    assert running.status["requests"][0]["result"] == "Done"
    running.settle()
    assert len(running.status["requests"]) == 1, "each id is carried out once"


def test_the_first_revision_keeps_trying_past_its_deadline():
    world = World(broken={"looma-engine:1"})
    world.look()
    world.tick(61)
    world.settle()
    assert world.status["phase"] == "Degraded"
    assert world.counts == {"r1": 4}
    world.broken.clear()
    world.settle()
    assert world.status["phase"] == "Ready"
    assert world.status["stableRevision"] == "r1"


def test_a_pause_freezes_a_rollout_and_its_deadline(running):
    running.change(image="looma-engine:2")
    running.look()
    running.tick()
    running.look()
    frozen = dict(running.counts)
    running.change(paused=True)
    for _ in range(5):
        running.look()
        running.tick(100)
    assert running.counts == frozen
    assert running.status["phase"] == "Paused"
    running.change(paused=False)
    running.look()
    assert running.status["phase"] == "Progressing", "the time of the pause does not count as no progress"
    running.settle()
    assert running.status["stableRevision"] == "r2"


def test_under_a_pause_a_changed_spec_waits_and_scaling_goes_on(running):
    running.change(paused=True)
    running.settle()
    running.change(image="looma-engine:2", replicas=6)
    running.settle()
    assert running.counts == {"r1": 6}
    assert (
        "waits" in next(item for item in running.status["conditions"] if item["type"] == "Paused")["message"]
    )
    running.change(paused=False)
    running.settle()
    assert running.counts == {"r1": 0, "r2": 6}


def test_a_service_that_is_created_paused_starts_nothing_until_it_is_not():
    world = World(spec=spec(paused=True))
    world.settle()
    assert world.counts == {"r1": 0}
    world.change(paused=False)
    world.settle()
    assert world.counts == {"r1": 4}


@pytest.mark.parametrize("replicas", [0, 1])
def test_few_replicas(replicas):
    world = World(spec=spec(replicas=replicas))
    world.settle()
    world.change(image="looma-engine:2")
    for _ in range(20):
        world.look()
        assert world.serving >= replicas
        world.tick()
    assert world.counts == {"r1": 0, "r2": replicas}
    assert world.status["phase"] == "Ready"


def test_an_older_service_keeps_its_path(running):
    running.peers = (
        Peer(name="first", created_at=START - timedelta(days=1), path_prefixes=("/api/v1/resumes",)),
        Peer(name="later", created_at=START + timedelta(days=1), path_prefixes=("/api/v1/resumes",)),
    )
    running.settle()
    assert running.condition("RouteAccepted") == ("False", "PathConflict")
    message = next(item for item in running.status["conditions"] if item["type"] == "RouteAccepted")[
        "message"
    ]
    assert "first" in message
    assert "later" not in message


def test_pods_that_stay_away_degrade_the_service_after_the_deadline(running):
    running.broken.add("looma-engine:1")
    running.children["Deployment", "resume-r1"]["status"]["availableReplicas"] = 1
    wake = running.look()
    assert running.condition("Ready") == ("False", "ReplicasUnavailable")
    assert running.status["phase"] == "Progressing"
    assert wake is not None
    running.tick(61)
    running.look()
    assert running.condition("Degraded") == ("True", "ReplicasUnavailable")


def test_a_restart_changes_the_pod_template_but_not_the_revision(running):
    running.annotations["looma.dev/request"] = json.dumps({"id": "7", "action": "restart"})
    running.settle()
    template = running.children["Deployment", "resume-r1"]["spec"]["template"]
    assert "looma.dev/restarted-at" in template["metadata"]["annotations"]
    assert running.status["targetRevision"] == "r1"
    assert running.status["requests"][0]["requestedBy"] == "ada"


def test_status_that_was_lost_is_found_again(running):
    running.change(image="looma-engine:2")
    running.settle()
    running.status = {}
    running.settle()
    assert running.status["stableRevision"] == "r2"
    assert running.counts == {"r1": 0, "r2": 4}


STEPS = st.one_of(
    st.tuples(st.just("image"), st.integers(1, 4)),
    st.tuples(st.just("replicas"), st.integers(0, 8)),
    st.tuples(st.just("paused"), st.booleans()),
    st.tuples(st.just("crash"), st.integers(0, 12)),
    st.tuples(st.just("tick"), st.integers(1, 40)),
    st.tuples(st.just("delete"), st.integers(0, 11)),
    st.tuples(st.just("gateway_api"), st.booleans()),
)


@settings(max_examples=settings().max_examples // 2)
@given(steps=st.lists(STEPS, max_size=25))
def test_whatever_happens_capacity_holds_and_the_end_is_the_spec(steps):
    """Changes, crashes between any two writes and deletions by hand: pods that serve are not taken below the spec."""
    world = World()
    world.settle()
    for step, value in steps:
        if step == "image":
            world.change(image=f"looma-engine:{value}")
        elif step in ("replicas", "paused"):
            world.change(**{step: value})
        elif step == "crash":
            world.look(crash_after=value)
        elif step == "tick":
            world.tick(value)
        elif step == "gateway_api":
            world.install_gateway_api(value)
        else:
            keys = sorted(key for key in world.children if key[0] != "Deployment")
            world.children.pop(keys[value % len(keys)])
        before = world.serving
        world.look()
        assert world.serving >= min(before, world.spec["replicas"])
    world.change(paused=False)
    world.install_gateway_api(True)
    world.settle(rounds=120)
    assert ("HTTPRoute", "resume") in world.children
    assert world.status["phase"] == "Ready"
    target = world.status["targetRevision"]
    assert world.status["stableRevision"] == target
    row = next(row for row in world.status["revisions"] if row["name"] == target)
    assert row["image"] == world.spec["image"]
    assert world.counts == {name: world.spec["replicas"] if name == target else 0 for name in world.counts}
