"""People are told of rollouts, on a real cluster: a pod that takes webhooks, named by the chart's values.

All of these are left to `make scenarios`, for their time: the release is upgraded for them, and rolled back afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from looma_cluster import binaries
from support.canaries import CANARY, REPLICAS, gone, to_the_pause
from support.cluster import Cluster, Object
from support.faults import more, until
from support.probe_service import Probe, probing
from support.receiver_pod import ReceiverPod, receiving
from support.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long]
CHART = Path(__file__).resolve().parents[2] / "charts" / "looma"
NAME = "told"
HELM_SECONDS = 300
TOLD_SECONDS = 90  # A receiver that was away is tried again after a minute at the latest.


@dataclass(frozen=True)
class People:
    """Who is told: their receiver and the key that it checks signatures with."""

    receiver: ReceiverPod
    key: bytes

    def told(self, name: str) -> list[Object]:
        """What they were told of a service, in order; every request's signature is checked."""
        found = []
        for one in self.receiver.got():
            head = one["headers"]
            signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.{one['body']}".encode()
            right = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()
            assert head["webhook-signature"] == f"v1,{right}"
            said = json.loads(one["body"])
            assert said["id"] == head["webhook-id"]
            if said["object"]["name"] == name:
                found.append(said)
        return found

    def wait_for(self, name: str, reason: str) -> Object:
        """Wait until they are told that of the service, and give it."""
        seen: list[Object] = []

        def is_told() -> bool:
            seen[:] = [said for said in self.told(name) if said["type"] == reason]
            return bool(seen)

        until(is_told, f"they are told {reason} of {name}", seconds=TOLD_SECONDS)
        return seen[0]


@pytest.fixture(scope="module")
def people(cluster: Cluster) -> Iterator[People]:
    """The release names a receiver, whose address and key are in a Secret; it is rolled back afterwards."""
    release = ("--namespace", cluster.namespace, "--kubeconfig", str(cluster.kubeconfig))
    helm = str(binaries.path("helm"))
    before = json.loads(cluster.run(helm, "status", "looma", "--output", "json", *release))["version"]
    key = secrets.token_bytes(32)
    signing = f"whsec_{base64.b64encode(key).decode()}"
    of = f"notifications.receivers.{NAME}"
    settings = [
        f"{of}.type=generic",
        *(f"{of}.url.{field}" for field in (f"secret=looma-{NAME}", "key=url")),
        *(f"{of}.signingSecret.{field}" for field in (f"secret=looma-{NAME}", "key=secret")),
        "notifications.cluster=tests",
    ]
    with receiving(cluster, NAME) as receiver:
        cluster.kubectl("delete", "secret", f"looma-{NAME}", "--ignore-not-found")
        literals = (f"--from-literal=url={receiver.url}/hook", f"--from-literal=secret={signing}")
        cluster.kubectl("create", "secret", "generic", f"looma-{NAME}", *literals)
        try:
            cluster.run(
                *(helm, "upgrade", "looma", str(CHART), "--reuse-values", "--force-conflicts", *release),
                *(word for setting in settings for word in ("--set", setting)),
                timeout=HELM_SECONDS,
            )
            _begun_anew(cluster)
            yield People(receiver, key)
        finally:
            back = ("rollback", "looma", str(before), "--force-conflicts")
            cluster.run(helm, *back, *release, check=False, timeout=HELM_SECONDS)
            _begun_anew(cluster)
            cluster.kubectl("delete", "secret", f"looma-{NAME}", "--ignore-not-found")


def _begun_anew(cluster: Cluster) -> None:
    """Wait until the operator's pods are those of the release as it is now."""
    wait = ("rollout", "status", "deployment/looma-operator", "--timeout=150s")
    cluster.kubectl(*wait, timeout=160)


@pytest.fixture
def talked_of(cluster: Cluster) -> Iterator[Probe]:
    """A probe at r1 whose new versions come in steps."""
    with probing(cluster, "talked-of") as probe:
        probe.apply(replicas=REPLICAS, rollout=CANARY)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        yield probe


def test_given_a_receiver_when_a_canary_is_promoted_then_it_is_told_of_each_happening_with_who_and_why(
    cluster: Cluster, people: People, talked_of: Probe
):
    to_the_pause(cluster, talked_of)
    waiting = people.wait_for(talked_of.name, "RolloutWaiting")
    assert (waiting["revision"], waiting["weight"]) == ({"from": "r1", "to": "r2"}, 50)
    cluster.kubectl_looma("promote", talked_of.name, "--reason", "no errors")
    talked_of.wait(stable="r2", sentence="the second version serves")
    people.wait_for(talked_of.name, "RolloutCompleted")
    told = [said for said in people.told(talked_of.name) if (said["revision"] or {}).get("to") == "r2"]
    order = list(dict.fromkeys(said["type"] for said in told))
    assert order == ["RolloutStarted", "RolloutWaiting", "RequestDone", "RolloutCompleted"]
    asked = next(said for said in told if said["type"] == "RequestDone")
    assert asked["reason"] == "no errors"
    who = cluster.kubectl("auth", "whoami", "--output", "jsonpath={.status.userInfo.username}")
    assert asked["requestedBy"] == who
    assert {said["cluster"] for said in told} == {"tests"}
    assert not cluster.get("aiservice", talked_of.name)["status"].get("notifications")


def test_given_a_receiver_that_is_away_when_a_canary_is_aborted_then_nothing_waits_for_it_and_it_is_told_later(
    cluster: Cluster, people: People, talked_of: Probe
):
    to_the_pause(cluster, talked_of)
    people.receiver.scale(0)
    try:
        with cluster.api() as api, Traffic(api, talked_of.path) as traffic:
            more(traffic, 20)
            cluster.kubectl_looma("abort", talked_of.name, "--reason", "slower")
            back = gone(cluster, talked_of, "r2")
            traffic.mark("off")
            more(traffic, 50)
        assert set(traffic.revisions("off")) == {"r1"}
        assert traffic.failures() == []
        waits = [said["reason"] for said in back["status"].get("notifications", [])]
        assert "RolloutAborted" in waits, "what nobody was told is kept with the service"
    finally:
        people.receiver.scale(1)
    aborted = people.wait_for(talked_of.name, "RolloutAborted")
    assert aborted["severity"] == "warning"
    assert aborted["reason"] == "slower"
    cluster.watch(
        "aiservice",
        talked_of.name,
        lambda service: not service["status"].get("notifications"),
        sentence="nothing is left to be told",
    )
