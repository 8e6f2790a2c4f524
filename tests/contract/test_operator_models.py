"""Models and the operator on the real API server: channels that move, gates, and what pods say; pods are played."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.control_plane import ControlPlane
from support.operator_process import Looma, make

pytestmark = pytest.mark.control_plane
APPS = "apps/v1"
FOLLOWS = [{"model": "ner", "channel": "stable"}]
Object = dict[str, Any]


@pytest.fixture(scope="module")
def looma(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looma]:
    """A namespace with one replica of the operator, which has an image that fetches."""
    made = make(control_plane, tmp_path_factory.mktemp("operator"))
    made.environment = {
        "LOOMA_MODEL_FETCH_IMAGE": "looma-engine:1",
        "LOOMA_PLAIN_HTTP_REGISTRY": "registry:5000",
    }
    try:
        made.start(webhook=True)
        yield made
    finally:
        made.stop()


def publish(looma: Looma, model: str, version: str, *, channel: str = "stable", **spec: Any) -> str:
    """A ModelVersion of `model`; its name."""
    name = f"{model}-{version}"
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": name, "labels": {"looma.dev/channel": channel}},
        "spec": {
            "model": model,
            "version": version,
            "format": "json",
            "artifact": {"uri": f"oci://registry:5000/{model}@sha256:" + version[0] * 64, "sizeBytes": 9},
            **spec,
        },
    }
    code, answer = looma.plane.apply(looma.path("modelversions", name), body, manager="person")
    assert code in (200, 201), answer
    return name


def model(looma: Looma, name: str) -> Object:
    """Status of a ModelVersion."""
    found: Object = looma.plane.request("GET", looma.path("modelversions", name))[1].get("status", {})
    return found


def condition(status: Object, kind: str) -> tuple[str, str, str]:
    found: Object = next((item for item in status.get("conditions", []) if item["type"] == kind), {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def serves(looma: Looma, name: str, revision: str) -> bool:
    status = looma.status(name)
    return (status.get("stableRevision"), status.get("targetRevision"), status.get("phase")) == (
        revision,
        revision,
        "Ready",
    )


def refuse(looma: Looma, service: str, revision: str, message: str) -> None:
    """Play a pod of the revision whose init container ended so."""
    labels = {
        "app.kubernetes.io/name": "custom",
        "app.kubernetes.io/instance": service,
        "app.kubernetes.io/part-of": "looma",
        "looma.dev/revision": revision,
    }
    name = f"{service}-{revision}-pod"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "engine", "image": "engine:1"}]},
    }
    code, answer = looma.plane.request("POST", looma.path("pods", group="v1"), pod)
    assert code == 201, answer
    ended = {"exitCode": 1, "message": message, "reason": "Error"}
    status = {
        "name": "fetch-models",
        "image": "looma-engine:1",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    code, answer = looma.plane.request(
        "PATCH",
        looma.path("pods", name, group="v1") + "/status",
        {"status": {"initContainerStatuses": [status]}},
        content_type="application/merge-patch+json",
    )
    assert code == 200, answer


def test_a_new_version_in_the_channel_starts_a_rollout_that_nobody_asked_for(looma: Looma):
    first = publish(looma, "ner", "1.0.0")
    looma.apply("follower", replicas=2, modelRefs=FOLLOWS)
    looma.play(lambda: serves(looma, "follower", "r1"), "it serves with the first version")
    looma.until(lambda: model(looma, first).get("phase") == "Serving", "the version says so")
    assert condition(model(looma, first), "Verified")[:2] == ("True", "Verified")
    generation = looma.get("follower")["metadata"]["generation"]

    second = publish(looma, "ner", "2.0.0")
    looma.play(lambda: serves(looma, "follower", "r2"), "the second version rolls out", floor=2)
    assert looma.get("follower")["metadata"]["generation"] == generation
    row = next(item for item in looma.status("follower")["revisions"] if item["name"] == "r2")
    assert row["changedBy"] == "looma"
    looma.until(
        lambda: model(looma, second).get("servedBy") == [{"name": "follower", "revision": "r2"}],
        "it says who has it",
    )
    looma.until(lambda: model(looma, first).get("phase") == "Verified", "and the first that nobody has")
    pod = looma.child("deployments", "follower-r2", APPS)[1]["spec"]["template"]["spec"]
    (fetching,) = pod["initContainers"]
    assert (fetching["name"], fetching["image"]) == ("fetch-models", "looma-engine:1")
    assert (
        next(item for item in pod["volumes"] if item["name"] == "models")["emptyDir"]["sizeLimit"]
        == "16385Ki"
    )


def test_a_label_that_is_taken_away_leads_back(looma: Looma):
    name = publish(looma, "tagger", "1.0.0")
    second = publish(looma, "tagger", "2.0.0")
    looma.apply("labelled", modelRefs=[{"model": "tagger", "channel": "stable"}])
    looma.play(lambda: serves(looma, "labelled", "r1"), "it serves with the second version")
    looma.plane.kubectl("-n", looma.namespace, "label", "mv", second, "looma.dev/channel-")
    looma.play(lambda: serves(looma, "labelled", "r2"), "it goes to the first")
    looma.until(lambda: model(looma, name).get("phase") == "Serving", "which serves")


def test_a_version_below_its_gate_is_rejected_and_makes_no_pod(looma: Looma):
    publish(looma, "gated", "1.0.0")
    looma.apply("careful", modelRefs=[{"model": "gated", "channel": "stable"}])
    looma.play(lambda: serves(looma, "careful", "r1"), "it serves")
    bad = publish(
        looma,
        "gated",
        "2.0.0",
        evaluation={"dataset": "held-out", "metric": "f1", "value": 0.5},
        gates={"minEvaluation": 0.8},
    )
    looma.until(lambda: model(looma, bad).get("phase") == "Rejected", "it is rejected")
    assert condition(model(looma, bad), "GatesPassed")[:2] == ("False", "EvaluationTooLow")
    looma.until(
        lambda: (
            "gated-2.0.0 of channel stable is rejected"
            in condition(looma.status("careful"), "ModelsReady")[2]
        ),
        "and the service says so",
    )
    assert looma.counts("careful") == {"r1": 1}
    looma.apply("careful", modelRefs=[{"name": bad}])
    looma.until(
        lambda: condition(looma.status("careful"), "ModelsReady")[:2] == ("False", "ModelRejected"),
        "by name it is refused as well",
    )
    assert looma.counts("careful") == {"r1": 1}


def test_what_a_pod_says_of_a_wrong_artifact_ends_the_rollout_and_is_kept(looma: Looma):
    first = publish(looma, "parser", "1.0.0")
    looma.apply("told", modelRefs=[{"model": "parser", "channel": "stable"}])
    looma.play(lambda: serves(looma, "told", "r1"), "it serves")
    looma.until(lambda: model(looma, first).get("phase") == "Serving", "the version says so")
    second = publish(looma, "parser", "2.0.0")
    looma.until(lambda: looma.status("told").get("targetRevision") == "r2", "the second is begun")
    looma.until(lambda: "r2" in looma.counts("told"), "with a pod")
    refuse(looma, "told", "r2", "DigestMismatch of parser-2.0.0: the file has sha256:b, not sha256:2")
    looma.until(
        lambda: (
            condition(model(looma, second), "Verified")
            == ("False", "DigestMismatch", "the file has sha256:b, not sha256:2")
        ),
        "the version says what is wrong",
    )
    assert model(looma, second)["phase"] == "Rejected"
    looma.until(lambda: looma.status("told").get("targetRevision") == "r1", "the channel leads back")
    looma.until(lambda: looma.counts("told") == {"r1": 1, "r2": 0}, "and no pod of it is left")


def test_a_registry_that_does_not_answer_is_told_and_rejects_nothing(looma: Looma):
    name = publish(looma, "away", "1.0.0", channel="beta")
    looma.apply("waits", modelRefs=[{"name": name}])
    looma.until(lambda: "r1" in looma.counts("waits"), "a pod is asked for")
    refuse(looma, "waits", "r1", "FetchFailed of away-1.0.0: given up after 8 tries: no answer")
    looma.until(
        lambda: condition(model(looma, name), "Verified")[:2] == ("Unknown", "FetchFailed"),
        "the version says what pods wait for",
    )
    looma.until(
        lambda: "given up after 8 tries: no answer" in condition(looma.status("waits"), "Ready")[2],
        "and the service says it",
    )
    looma.plane.request("DELETE", looma.path("pods", "waits-r1-pod", group="v1"))
    looma.play(lambda: serves(looma, "waits", "r1"), "once it answers it serves")
    looma.until(lambda: model(looma, name).get("phase") == "Serving", "and the version is verified")


@pytest.mark.long
def test_an_operator_that_starts_anew_finds_what_moved_while_it_was_away(looma: Looma):
    publish(looma, "late", "1.0.0")
    looma.apply("sleeper", modelRefs=[{"model": "late", "channel": "stable"}])
    looma.play(lambda: serves(looma, "sleeper", "r1"), "it serves")
    looma.replicas[-1].stop()
    publish(looma, "late", "2.0.0")
    looma.start(webhook=True)
    looma.play(lambda: serves(looma, "sleeper", "r2"), "the version that came meanwhile rolls out")
