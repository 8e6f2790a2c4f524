"""The plan for one AIService whose children or revisions are lost, changed, taken or refused."""

from __future__ import annotations

import pytest

from looma_operator.names import EventReason, Reason
from looma_operator.plan.conditions import Refusal
from support.operator_world import World, reasons


@pytest.mark.parametrize(
    "key",
    [
        ("ControllerRevision", "resume-r1"),
        ("Deployment", "resume-r1"),
        ("Service", "resume-stable"),
        ("ServiceAccount", "resume"),
        ("PodDisruptionBudget", "resume"),
        ("NetworkPolicy", "resume"),
        ("HTTPRoute", "resume"),
    ],
)
def test_a_child_deleted_by_hand_comes_back_as_it_was(running, key):
    before = running.children.pop(key)
    running.settle()
    after = running.children[key]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after.get("data") == before.get("data")
    assert set(running.counts) == {"r1"}, "no new revision"
    assert reasons(running).count(EventReason.CHILD_REPAIRED) == 1


@pytest.mark.parametrize("revision", ["r1", "r2"])
def test_a_lost_controller_revision_is_made_again_from_its_deployment(running, revision):
    running.change(image="looma-engine:2")
    running.settle()
    lost = running.children.pop(("ControllerRevision", f"resume-{revision}"))
    running.settle()
    assert running.children["ControllerRevision", f"resume-{revision}"]["data"] == lost["data"]


def test_revision_and_deployment_lost_together_keep_their_number(running):
    del running.children["ControllerRevision", "resume-r1"]
    del running.children["Deployment", "resume-r1"]
    running.settle()
    assert running.counts == {"r1": 4}


def test_a_child_changed_by_hand_is_set_right_and_told(running):
    running.children["Service", "resume-stable"]["spec"]["ports"][0]["port"] = 81
    running.settle()
    assert running.children["Service", "resume-stable"]["spec"]["ports"][0]["port"] == 80
    assert "spec.ports" in running.notices[-1].note


def test_history_is_kept_up_to_its_limit(running):
    for number in range(2, 8):
        running.change(image=f"looma-engine:{number}")
        running.settle()
    assert sorted(running.counts, key=lambda name: int(name[1:])) == ["r4", "r5", "r6", "r7"]
    assert {name for kind, name in running.children if kind == "ControllerRevision"} == {
        f"resume-r{number}" for number in (4, 5, 6, 7)
    }
    assert EventReason.REVISION_DELETED in reasons(running)


def test_a_number_is_never_given_twice(running):
    running.change(image="looma-engine:2", revisionHistoryLimit=1)
    running.settle()
    running.change(image="looma-engine:3")
    running.settle()
    running.change(image="looma-engine:2")
    running.settle()
    running.change(image="looma-engine:4")
    running.settle()
    assert running.status["targetRevision"] == "r4"


def test_a_name_that_is_taken_is_never_taken_over():
    world = World(foreign=frozenset({("Service", "resume-stable")}))
    world.look()
    world.tick()
    world.look()
    assert ("Service", "resume-stable") not in world.children
    assert world.condition("Degraded") == ("True", "NameTaken")
    assert reasons(world).count(EventReason.NAME_TAKEN) == 1


def test_a_child_that_is_refused_shows_in_the_conditions(running):
    refusal = Refusal(
        kind="Deployment", name="resume-r1", reason=Reason.CHILD_REFUSED, message="quota exceeded"
    )
    running.look(refusals=(refusal,))
    running.look(refusals=(refusal,))
    assert running.condition("Degraded") == ("True", "ChildRefused")
    assert reasons(running).count(EventReason.CHILD_REFUSED) == 1
