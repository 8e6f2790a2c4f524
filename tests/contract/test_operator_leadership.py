"""Two replicas and one Lease: killed, stopped and woken leaders, against a real API server.

The promise of takeover is six seconds (docs/operations.md); the Lease's own times make five of them.
"""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime

import pytest

from looma_operator.names import REQUEST
from support.audit import AuditLog
from support.operator_process import Looma, Replica
from support.operator_routes import MERGE, route, say

pytestmark = pytest.mark.control_plane
TAKEOVER_SECONDS = 6.0
WORKERS = 8  # Of the operator's queue.


@pytest.fixture
def pair(bare_looma: Looma) -> Looma:
    bare_looma.start()
    bare_looma.start()
    return bare_looma


def holder(looma: Looma) -> str:
    code, lease = looma.child("leases", "looma-operator", "coordination.k8s.io/v1")
    return lease["spec"].get("holderIdentity", "").split("_")[0] if code == 200 else ""


def roles(looma: Looma) -> tuple[Replica, Replica]:
    """The leader and the standby."""
    looma.until(lambda: bool(holder(looma)), "somebody leads")
    leader = next(item for item in looma.replicas if item.name == holder(looma))
    return leader, next(item for item in looma.replicas if item is not leader)


def test_one_leads_and_the_other_stands_by(pair: Looma):
    leader, standby = roles(pair)
    assert "looma_operator_leader 1.0" in leader.get("/metrics")
    assert "looma_operator_leader 0.0" in standby.get("/metrics")
    assert "ok" in standby.get("/readyz"), "a standby answers the webhook, so it is ready"


def test_a_leader_killed_in_a_rollout_is_replaced_and_the_rollout_ends(pair: Looma, record_property):
    leader, standby = roles(pair)
    pair.apply("road", replicas=4)
    pair.play(lambda: pair.status("road").get("phase") == "Ready", "r1 serves")
    pair.apply("road", replicas=4, image="engine:2")
    pair.play(lambda: 0 < pair.counts("road").get("r2", 0) < 4, "the rollout is under way", floor=4)

    killed = time.monotonic()
    leader.signal(signal.SIGKILL)
    pair.until(lambda: holder(pair) == standby.name, "the standby takes over", seconds=TAKEOVER_SECONDS)
    took = time.monotonic() - killed
    record_property("takeover_seconds", round(took, 2))
    print(f"takeover after SIGKILL: {took:.2f} s")
    pair.play(lambda: pair.status("road").get("stableRevision") == "r2", "the rollout ends", floor=4)
    assert pair.counts("road") == {"r1": 0, "r2": 4}


def test_a_leader_that_ends_in_order_hands_over_at_once(pair: Looma):
    leader, standby = roles(pair)
    assert leader.stop() == 0
    # Sooner than a Lease that nobody gave back would have run out.
    pair.until(lambda: holder(pair) == standby.name, "the standby leads", seconds=3)


@pytest.mark.long
def test_a_leader_that_slept_writes_nothing(pair: Looma):
    """Stopped in the middle of its work, overtaken, and woken: not one write of it changes anything after that.

    What is in the kernel's hands when the process stops goes out when it wakes. For an object its precondition fails
    then; an event has none, so at most the one that each worker was sending may come, and it tells of the time before.
    """
    leader, standby = roles(pair)
    for number in range(12):
        pair.apply(f"many-{number}", replicas=2)
    pair.until(lambda: len(pair.deployments()) >= 3, "the leader is in the middle of it")
    leader.signal(signal.SIGSTOP)
    stopped = datetime.now(UTC).isoformat()
    pair.until(lambda: holder(pair) == standby.name, "the standby takes over", seconds=TAKEOVER_SECONDS)
    pair.play(
        lambda: all(pair.status(f"many-{number}").get("phase") == "Ready" for number in range(12)),
        "the standby finishes the work",
        seconds=60,
    )
    before = _at_rest(pair)
    leader.signal(signal.SIGCONT)
    pair.until(
        lambda: "looma_operator_leader 0.0" in leader.get("/metrics"),
        "the sleeper knows that it does not lead",
    )
    # Longer than every retry and write that it could still have had under way.
    deadline = time.monotonic() + 3
    pair.until(lambda: time.monotonic() > deadline, "its old work runs out", seconds=10)
    after = _versions(pair)
    late = [name for name in after if name.startswith("events/") and name not in before]
    assert {name: version for name, version in after.items() if name not in late} == before
    assert len(late) <= WORKERS
    for name in late:
        code, event = pair.child("events", name.removeprefix("events/"), "events.k8s.io/v1")
        assert code == 200
        assert event["eventTime"] < stopped
    assert holder(pair) == standby.name


def test_a_leader_that_slept_in_a_canary_writes_nothing(pair: Looma):
    """Stopped with half of the requests at the canary, overtaken, and woken when the canary is given up.

    By the API server's own record: of all that the sleeper sent after it woke, nothing but an event was taken.
    """
    leader, standby = roles(pair)
    canary = {"strategy": "Canary", "steps": [{"setWeight": 50}, {"pause": {}}]}
    paths = {"pathPrefixes": ["/api/v1/split"]}

    def step() -> None:
        if route(pair, "split"):
            say(pair, "split")

    def at(phase: str, serves: str) -> bool:
        step()
        status = pair.status("split")
        return (status.get("phase"), status.get("stableRevision")) == (phase, serves)

    def waits() -> bool:
        step()
        return bool((pair.status("split").get("rollout") or {}).get("step") == 1)

    pair.apply("split", replicas=4, rollout=canary, route=paths)
    pair.play(lambda: at("Ready", "r1"), "r1 serves")
    pair.apply("split", replicas=4, rollout=canary, route=paths, image="engine:2")
    pair.play(waits, "half of the requests are the canary's", floor=4)

    # The sleeper hears of both, and has begun to carry them out or not: it stops in the middle.
    request = {"metadata": {"annotations": {REQUEST: json.dumps({"id": "on", "action": "promote-full"})}}}
    path = pair.path("aiservices", "split")
    assert pair.plane.request("PATCH", path, request, content_type=MERGE)[0] == 200
    leader.signal(signal.SIGSTOP)
    pair.until(lambda: holder(pair) == standby.name, "the standby takes over", seconds=TAKEOVER_SECONDS)
    pair.play(lambda: at("Ready", "r2"), "the other one promotes it", floor=4)
    pair.play(lambda: pair.counts("split") == {"r1": 0, "r2": 4}, "r1 has no pods", floor=4)
    # Back to where the sleeper believes to be, as far as the objects' versions let anyone believe it.
    pair.apply("split", replicas=4, rollout=canary, route=paths, image="engine:3")
    pair.play(waits, "the next canary waits", floor=4)

    log = AuditLog(pair.plane.audit)
    before = _at_rest(pair)
    log.skip()
    leader.signal(signal.SIGCONT)
    pair.until(
        lambda: "looma_operator_leader 0.0" in leader.get("/metrics"),
        "the sleeper knows that it does not lead",
    )
    deadline = time.monotonic() + 3
    pair.until(lambda: time.monotonic() > deadline, "its old work runs out", seconds=10)
    sleeper = f"{pair.namespace}-{leader.name}"
    taken = [
        entry for entry in log.read() if entry.user == sleeper and entry.writes and entry.status in (200, 201)
    ]
    assert {entry.resource for entry in taken} <= {"events"}
    assert len(taken) <= WORKERS
    after = _versions(pair)
    written = {name for name in after if after[name] != before.get(name)}
    assert {name for name in written if not name.startswith("events/")} == set()
    assert pair.counts("split") == {"r1": 0, "r2": 4, "r3": 2}


def _at_rest(looma: Looma) -> dict[str, str]:
    """Versions of all objects once nothing was written for a while: events follow the status."""
    seen: dict[str, str] = {}
    since = time.monotonic()

    def quiet() -> bool:
        nonlocal seen, since
        now = _versions(looma)
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since >= 3

    looma.until(quiet, "nothing is left to write")
    return _versions(looma)


def _versions(looma: Looma) -> dict[str, str]:
    found = {}
    for plural, group in (
        ("aiservices", "looma.dev/v1alpha1"),
        ("deployments", "apps/v1"),
        ("controllerrevisions", "apps/v1"),
        ("services", "v1"),
        ("events", "events.k8s.io/v1"),
    ):
        for item in looma.plane.request("GET", looma.path(plural, group=group))[1]["items"]:
            found[f"{plural}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
    return found


def test_everything_is_looked_at_when_leadership_begins(bare_looma: Looma):
    bare_looma.apply("waiting")
    bare_looma.start()
    bare_looma.play(
        lambda: bare_looma.status("waiting").get("phase") == "Ready", "what was there before is served"
    )
