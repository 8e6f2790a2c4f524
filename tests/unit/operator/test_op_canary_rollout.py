"""A canary of one AIService, asked again and again against a cluster in memory, with gateways that follow its route."""

from __future__ import annotations

from datetime import timedelta

import pytest

from looma_operator.names import EventReason
from support.operator_world import World, ask, reasons, spec, turn, weights

STEPS = [{"setWeight": 25}, {"pause": {"seconds": 30}}, {"setWeight": 50}, {"pause": {}}]
ROLLOUT = {"strategy": "Canary", "steps": STEPS, "progressDeadlineSeconds": 60}


@pytest.fixture
def canary() -> World:
    """A service of four pods at r1, whose new revisions come in steps."""
    world = World(spec=spec(rollout=ROLLOUT))
    turn(world, rounds=12)
    assert world.status["phase"] == "Ready"
    return world


def test_before_a_rollout_all_requests_go_to_the_revision_that_serves(canary):
    assert weights(canary) == {"r1": 100}
    assert canary.children["Service", "resume-stable"]["spec"]["selector"]["looma.dev/revision"] == "r1"
    assert canary.children["Service", "resume-r1"]["spec"]["selector"]["looma.dev/revision"] == "r1"


def test_a_canary_goes_its_steps_and_takes_over_when_it_is_promoted(canary):
    canary.change(image="looma-engine:2")
    seen: list[int] = []
    for _ in range(60):
        turn(canary)
        weight = weights(canary).get("r2", 0)
        if not seen or seen[-1] != weight:
            seen.append(weight)
        assert canary.counts["r1"] == 4, "what serves keeps all of its pods"
        assert canary.counts["r2"] >= -(-4 * weight // 100)
    assert seen == [0, 25, 50]
    assert canary.status["canary"]["step"] == 3
    assert canary.status["canary"]["waits"] == "somebody to promote it"
    assert canary.status["canary"]["weight"] == {"requested": 50, "achieved": 50}
    assert canary.status["phase"] == "Progressing"

    ask(canary, "promote")
    turn(canary, rounds=20)
    assert canary.status["stableRevision"] == "r2"
    assert canary.counts == {"r1": 0, "r2": 4}
    assert weights(canary) == {"r2": 100}
    assert ("Service", "resume-r2") in canary.children
    assert canary.children["Service", "resume-stable"]["spec"]["selector"]["looma.dev/revision"] == "r2"
    assert canary.status["phase"] == "Ready"
    assert reasons(canary).count(EventReason.ROLLOUT_STEP) == 4


@pytest.mark.parametrize("writes", range(5))
def test_a_look_that_got_no_further_than_some_writes_leaves_out_no_step(canary, writes):
    canary.change(image="looma-engine:2")
    canary.look(crash_after=writes)
    turn(canary, rounds=60)
    assert canary.status["rollout"]["direct"] is False
    assert canary.status["canary"]["step"] == 3
    assert "lastRollback" not in canary.status
    assert reasons(canary).count(EventReason.REVISION_CREATED) == 2
    assert EventReason.CHILD_REPAIRED not in reasons(canary)


def test_a_pause_lasts_as_long_as_it_says(canary):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=10)
    assert canary.status["rollout"]["step"] == 1
    begun = canary.now
    while canary.status["rollout"]["step"] == 1:
        turn(canary)
    assert timedelta(seconds=20) <= canary.now - begun <= timedelta(seconds=32)


def test_nothing_moves_while_a_gateway_does_not_say_what_it_does(canary):
    canary.change(image="looma-engine:2")
    for _ in range(30):
        canary.look()
        canary.tick()
    assert weights(canary) == {"r1": 75, "r2": 25}
    assert canary.status["rollout"]["step"] == 0
    assert canary.status["canary"]["waits"] == "the gateways to say what they give it"


def test_gateways_that_never_follow_are_a_failure_after_the_deadline(canary):
    canary.change(image="looma-engine:2")
    for _ in range(90):
        canary.look()
        canary.gateway_gives("gateway-1", r1=100)
        canary.tick()
        canary.gateway_gives("gateway-1", r1=100)
    assert canary.status["rollout"]["failed"] is True
    assert canary.condition("Degraded") == ("True", "ProgressDeadlineExceeded")
    assert weights(canary) == {"r1": 100}
    assert canary.counts == {"r1": 4, "r2": 0}


def test_an_abort_takes_all_requests_at_once_and_pods_only_when_they_have_gone(canary):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=60)
    assert weights(canary) == {"r1": 50, "r2": 50}
    ask(canary, "abort")
    canary.look()
    # Still in the route, so that the gateway has nothing to build anew.
    assert weights(canary) == {"r1": 100, "r2": 0}
    assert canary.counts["r2"] == 2, "the gateway still gives it requests"
    assert canary.counts["r1"] == 4
    assert "trafficOffAt" not in canary.status["rollout"]
    turn(canary, rounds=6)
    off = canary.status["rollout"]["trafficOffAt"]
    turn(canary)
    assert canary.status["rollout"]["trafficOffAt"] == off, "the first look that found nothing goes there"
    assert canary.counts == {"r1": 4, "r2": 0}
    assert weights(canary) == {"r1": 100}
    assert canary.condition("Degraded") == ("True", "Aborted")
    assert canary.status["phase"] == "Degraded"
    assert canary.status["stableRevision"] == "r1"
    assert EventReason.ROLLOUT_ABORTED in reasons(canary)

    ask(canary, "retry")
    turn(canary, rounds=60)
    assert weights(canary) == {"r1": 50, "r2": 50}
    ask(canary, "promote-full")
    turn(canary, rounds=20)
    assert canary.status["stableRevision"] == "r2"


def test_a_new_spec_in_the_middle_begins_anew_and_the_half_done_one_gets_nothing(canary):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=60)
    canary.change(image="looma-engine:3")
    canary.look()
    assert weights(canary) == {"r1": 100, "r2": 0, "r3": 0}
    turn(canary, rounds=60)
    assert weights(canary) == {"r1": 50, "r3": 50}
    assert canary.counts == {"r1": 4, "r2": 0, "r3": 2}


def test_going_back_in_the_middle_takes_the_requests_at_once(canary):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=60)
    canary.change(image="looma-engine:1")
    canary.look()
    assert weights(canary) == {"r1": 100, "r2": 0}
    turn(canary, rounds=10)
    assert canary.counts == {"r1": 4, "r2": 0}
    assert canary.status["phase"] == "Ready"


def test_a_rollback_after_it_took_over_leaves_out_the_steps(canary):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=40)
    ask(canary, "promote-full")
    turn(canary, rounds=20)
    assert canary.status["stableRevision"] == "r2"
    canary.change(image="looma-engine:1")
    turn(canary, rounds=20)
    assert canary.status["stableRevision"] == "r1"
    assert canary.status["lastRollback"]["to"] == "r1"
    assert canary.counts == {"r1": 4, "r2": 0}


def test_a_pause_of_the_spec_freezes_pods_and_requests(canary):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=10)
    before = weights(canary)
    assert before["r2"] == 25
    canary.change(paused=True)
    turn(canary, rounds=60)
    assert weights(canary) == before
    canary.change(paused=True, replicas=8)
    turn(canary, rounds=5)
    assert canary.counts == {"r1": 8, "r2": 2}
    canary.change(paused=False)
    turn(canary, rounds=60)
    assert weights(canary) == {"r1": 50, "r2": 50}


@pytest.mark.parametrize("rollout", [ROLLOUT, spec()["rollout"]], ids=["Canary", "Rolling"])
def test_a_rollout_that_is_paused_by_request_stays_and_goes_on(rollout):
    world = World(spec=spec(rollout=rollout))
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=3)
    ask(world, "pause")
    world.look()
    before = (dict(world.counts), weights(world))
    turn(world, rounds=90)
    assert (world.counts, weights(world)) == before
    assert world.status["phase"] == "Paused"
    assert world.condition("Paused") == ("True", "Requested")
    ask(world, "resume")
    turn(world, rounds=60)
    ask(world, "promote-full")
    turn(world, rounds=20)
    assert world.status["stableRevision"] == "r2"
    assert world.status["phase"] == "Ready"


def test_a_canary_that_never_comes_up_gets_nothing_and_is_given_up(canary):
    canary.broken = {"looma-engine:2"}
    canary.change(image="looma-engine:2")
    for _ in range(90):
        turn(canary)
        assert weights(canary).get("r2", 0) == 0
    assert canary.status["rollout"]["failed"] is True
    assert canary.counts == {"r1": 4, "r2": 0}


def test_without_a_path_the_pods_are_the_weights():
    world = World(spec=spec(rollout=ROLLOUT, route={"pathPrefixes": []}))
    turn(world, rounds=10)
    world.change(image="looma-engine:2")
    for _ in range(60):
        turn(world)
        assert world.serving >= 4
    assert world.counts == {"r1": 2, "r2": 2}
    assert "looma.dev/revision" not in world.children["Service", "resume-stable"]["spec"]["selector"]
    assert "pods" in world.status["canary"]["message"]
    ask(world, "abort")
    for _ in range(20):
        turn(world)
        assert world.serving >= 4
    assert world.counts == {"r1": 4, "r2": 0}


def test_a_service_that_becomes_a_canary_is_led_to_its_revision_when_gateways_know_it():
    world = World(spec=spec())
    turn(world, rounds=10)
    assert weights(world) == {"stable": 100}
    world.change(rollout=ROLLOUT)
    assert world.look() == 2.0, "nothing else tells it when gateways know the Service"
    assert ("Service", "resume-r1") in world.children
    assert weights(world) == {"stable": 100}
    turn(world, rounds=5)
    assert weights(world) == {"r1": 100}
    world.change(rollout={"strategy": "Rolling", "progressDeadlineSeconds": 60})
    turn(world, rounds=5)
    world.gateway_says(Accepted=("True", "Accepted", ""), ResolvedRefs=("True", "ResolvedRefs", ""))
    turn(world, rounds=3)
    assert weights(world) == {"stable": 100}
    assert ("Service", "resume-r1") not in world.children


BLUE_GREEN = {"strategy": "BlueGreen", "progressDeadlineSeconds": 60, "preview": {"header": "X-Preview"}}


def previewed(world: World) -> str:
    """The Service that the header leads to, empty if it leads nowhere."""
    rules = world.children["HTTPRoute", "resume"]["spec"]["rules"]
    if len(rules) == 1:
        return ""
    (match,) = rules[1]["matches"]
    assert match["headers"] == [{"type": "Exact", "name": "X-Preview", "value": "true"}]
    return str(rules[1]["backendRefs"][0]["name"])


def test_blue_green_has_all_pods_then_waits_then_takes_everything_at_once():
    world = World(spec=spec(rollout=BLUE_GREEN))
    turn(world, rounds=12)
    assert previewed(world) == ""
    world.change(image="looma-engine:2")
    turn(world, rounds=30)
    assert world.counts == {"r1": 4, "r2": 4}
    assert weights(world) == {"r1": 100, "r2": 0}
    assert previewed(world) == "resume-r2"
    assert world.status["canary"]["waits"] == "somebody to promote it"
    ask(world, "promote")
    seen = []
    for _ in range(6):
        turn(world, rounds=1)
        seen.append(weights(world).get("r2"))
    assert set(seen) <= {0, 100}
    assert world.status["stableRevision"] == "r2"
    assert previewed(world) == ""
    # What served before stays for half a minute.
    assert world.counts == {"r1": 4, "r2": 4}
    assert world.status["retained"]["revision"] == "r1"
    turn(world, rounds=40)
    assert world.counts == {"r1": 0, "r2": 4}
    assert "retained" not in world.status


@pytest.mark.parametrize("after", [{"strategy": "BlueGreen"}, {"strategy": "BlueGreen", "autoPromote": True}])
def test_a_canary_that_becomes_blue_green_is_asked_for_once_more(canary, after):
    canary.change(image="looma-engine:2")
    turn(canary, rounds=40)
    assert canary.status["rollout"]["step"] == 3
    canary.change(rollout=after)
    seen = []
    for _ in range(20):
        turn(canary)
        seen.append(weights(canary).get("r2", 0))
    if after.get("autoPromote"):
        assert set(seen) <= {0, 50, 100}
        assert canary.status["stableRevision"] == "r2"
        return
    assert seen[-1] == 0, "all or nothing, and nobody has promoted it yet"
    assert 100 not in seen
    assert canary.counts == {"r1": 4, "r2": 4}
    assert canary.status["canary"]["waits"] == "somebody to promote it"
    assert canary.status["rollout"]["strategy"] == "BlueGreen"
    ask(canary, "promote")
    turn(canary, rounds=20)
    assert canary.status["stableRevision"] == "r2"


def test_blue_green_that_becomes_a_canary_goes_its_steps():
    world = World(spec=spec(rollout={"strategy": "BlueGreen"}))
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=12)
    assert world.status["canary"]["waits"] == "somebody to promote it"
    world.change(rollout=ROLLOUT)
    seen: list[int] = []
    for _ in range(40):
        turn(world)
        weight = weights(world).get("r2", 0)
        if not seen or seen[-1] != weight:
            seen.append(weight)
    assert seen == [25, 50], "its pods were all there already"
    assert world.status["stableRevision"] == "r1"


def test_going_back_while_the_pods_are_still_there_takes_no_start():
    world = World(spec=spec(rollout=BLUE_GREEN | {"autoPromote": True}))
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=12)
    assert world.status["stableRevision"] == "r2", "nobody was asked"
    assert world.counts == {"r1": 4, "r2": 4}
    world.change(image="looma-engine:1")
    world.look()
    assert weights(world) == {"r1": 100, "r2": 0}
    turn(world, rounds=3)
    assert world.status["stableRevision"] == "r1"


def test_a_pause_forgets_no_pods_that_stay():
    world = World(spec=spec(rollout=BLUE_GREEN | {"autoPromote": True, "scaleDownDelaySeconds": 600}))
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    turn(world, rounds=12)
    world.change(paused=True)
    turn(world, rounds=5)
    world.change(paused=False)
    turn(world, rounds=5)
    assert world.counts == {"r1": 4, "r2": 4}


def test_a_weight_that_is_reduced_without_a_gateway_leaves_no_fewer_pods_than_asked_for():
    """Pods are the weights there: those of the canary stay until others serve in their places."""
    steps = [{"setWeight": 75}, {"pause": {"seconds": 2}}, {"setWeight": 25}, {"pause": {}}]
    world = World(spec=spec(rollout=ROLLOUT | {"steps": steps}), gateway_api=False)
    turn(world, rounds=12)
    world.change(image="looma-engine:2")
    seen: list[dict[str, int]] = []
    for _ in range(30):
        world.look()
        serving = {
            child["metadata"]["labels"]["looma.dev/revision"]: min(
                child["spec"]["replicas"], child.get("status", {}).get("availableReplicas", 0)
            )
            for (kind, _), child in world.children.items()
            if kind == "Deployment"
        }
        assert sum(serving.values()) >= 4, (serving, seen)
        seen.append(serving)
        world.tick()
    assert {"r1": 1, "r2": 3} in seen
    assert seen[-1] == {"r1": 3, "r2": 1}
