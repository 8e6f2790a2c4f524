"""A canary on a real API server, with a gateway that is not Looma's: steps, requests, an operator that is killed."""

from __future__ import annotations

import json
import signal

import pytest

from support.operator_process import Looma
from support.operator_routes import route, say

pytestmark = pytest.mark.control_plane

CANARY = {"strategy": "Canary", "steps": [{"setWeight": 25}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]}


def weights(looma: Looma, name: str) -> dict[str, int]:
    found = route(looma, name)
    refs = found["spec"]["rules"][0]["backendRefs"] if found else []
    return {ref["name"].removeprefix(f"{name}-"): ref["weight"] for ref in refs}


def apply(looma: Looma, name: str, image: str, **more) -> None:
    code, answer = looma.apply(
        name, image=image, replicas=4, rollout=CANARY, route={"pathPrefixes": [f"/api/v1/{name}"]}, **more
    )
    assert code in (200, 201), answer


def ask(looma: Looma, name: str, action: str) -> None:
    request = {
        "metadata": {"annotations": {"looma.dev/request": json.dumps({"id": action, "action": action})}}
    }
    code, answer = looma.plane.request(
        "PATCH", looma.path("aiservices", name), request, content_type="application/merge-patch+json"
    )
    assert code == 200, answer


def play(looma: Looma, name: str, until, sentence: str) -> None:
    """Play pods, and a gateway that follows every change, until something holds; four pods answer throughout."""

    def step() -> bool:
        if route(looma, name):
            say(looma, name)
        return until()

    looma.play(step, sentence, floor=4 if looma.status(name).get("stableRevision") else 0)


def begun(looma: Looma, name: str) -> None:
    """The service at r1, and a canary of r2 that waits with a quarter of the requests."""
    apply(looma, name, "engine:1")
    play(looma, name, lambda: looma.status(name).get("phase") == "Ready", "r1 serves")
    assert weights(looma, name) == {"r1": 100}
    apply(looma, name, "engine:2")
    play(looma, name, lambda: (looma.status(name).get("rollout") or {}).get("step") == 1, "it waits")
    assert weights(looma, name) == {"r1": 75, "r2": 25}
    assert looma.counts(name) == {"r1": 4, "r2": 1}
    service = looma.child("services", f"{name}-r2", "v1")[1]
    assert service["spec"]["selector"]["looma.dev/revision"] == "r2"


def test_a_canary_is_promoted_step_by_step_by_an_operator_that_is_killed(looma: Looma):
    begun(looma, "steps")
    ask(looma, "steps", "promote")
    looma.replicas[0].signal(signal.SIGKILL)
    looma.start(wait=False)
    play(
        looma,
        "steps",
        lambda: (looma.status("steps").get("rollout") or {}).get("step") == 3,
        "the next pause",
    )
    assert weights(looma, "steps") == {"r1": 40, "r2": 60}
    assert looma.counts("steps") == {"r1": 4, "r2": 3}
    ask(looma, "steps", "promote-full")
    play(looma, "steps", lambda: looma.counts("steps") == {"r1": 0, "r2": 4}, "it took over")
    play(looma, "steps", lambda: weights(looma, "steps") == {"r2": 100}, "the route leads there alone")
    play(looma, "steps", lambda: looma.child("services", "steps-r1", "v1")[0] == 404, "r1 has no Service")
    assert looma.status("steps")["stableRevision"] == "r2"
    assert [item["result"] for item in looma.status("steps")["requests"]] == ["Done", "Done"]


def test_an_aborted_canary_gives_everything_back(looma: Looma):
    begun(looma, "given-up")
    leader = looma.replicas[-1]
    step = f'looma_operator_canary_step{{name="given-up",namespace="{looma.namespace}"}}'
    assert f"{step} 1.0" in leader.get("/metrics")
    ask(looma, "given-up", "abort")
    play(looma, "given-up", lambda: looma.counts("given-up") == {"r1": 4, "r2": 0}, "r2 has no pods")
    assert weights(looma, "given-up")["r1"] == 100
    conditions = {item["type"]: item for item in looma.status("given-up")["conditions"]}
    assert (conditions["Degraded"]["status"], conditions["Degraded"]["reason"]) == ("True", "Aborted")
    looma.is_told("given-up", "RolloutAborted")
    assert 'looma_operator_events_total{reason="RolloutAborted"} 1.0' in leader.get("/metrics")
    # A revision that is on its way out is told of until its last pod has ended.
    play(looma, "given-up", lambda: step not in leader.get("/metrics"), "there is no canary any more")


def no_room(looma: Looma, name: str, *, cpu: str) -> list[str]:
    """What is told of a canary's room, four pods that each ask for so much, once it begins."""
    resources = {"requests": {"cpu": cpu}}
    apply(looma, name, "engine:1", resources=resources)
    play(looma, name, lambda: looma.status(name).get("phase") == "Ready", "r1 serves")
    apply(looma, name, "engine:2", resources=resources)
    looma.is_told(name, "NoRoom")
    return [event["note"] for event in looma.events(name) if event["reason"] == "NoRoom"]


def test_where_a_quota_leaves_no_room_it_is_told_when_the_canary_begins(looma: Looma):
    quotas = looma.path("resourcequotas", group="v1")
    hard = {"requests.cpu": "500m"}
    quota = {"metadata": {"name": "team"}, "spec": {"hard": hard}}
    assert looma.plane.request("POST", quotas, quota)[0] == 201
    # As the controller manager counts it.
    counted = {"status": {"hard": hard, "used": {"requests.cpu": "400m"}}}
    code, _ = looma.plane.request(
        "PATCH", f"{quotas}/team/status", counted, content_type="application/merge-patch+json"
    )
    assert code == 200
    try:
        told = no_room(looma, "crowded", cpu="100m")
    finally:
        looma.plane.request("DELETE", f"{quotas}/team")
    assert told == ["r2: quota team: 4 more pods need 0.4 of requests.cpu, 0.1 is left"]


def test_where_the_nodes_have_no_room_it_is_told_when_the_canary_begins(looma: Looma):
    assert looma.plane.request("POST", "/api/v1/nodes", {"metadata": {"name": "small"}})[0] == 201
    # As a kubelet tells of it, and without the taint by which the API server keeps pods from a new node.
    allocatable = {"status": {"allocatable": {"cpu": "1200m", "memory": "8Gi", "pods": "110"}}}
    for path, patch in (("/status", allocatable), ("", {"spec": {"taints": None}})):
        code, _ = looma.plane.request(
            "PATCH", f"/api/v1/nodes/small{path}", patch, content_type="application/merge-patch+json"
        )
        assert code == 200
    try:
        told = no_room(looma, "large", cpu="500m")
    finally:
        looma.plane.request("DELETE", "/api/v1/nodes/small")
    assert told == ["r2: nodes: 4 more pods need cpu 0.5, memory 128Mi each, and there is room for 2"]
