"""The operator as a process with least rights, against a real API server; pods are played by the test."""

from __future__ import annotations

import pytest

from support.operator_process import Looma

pytestmark = pytest.mark.control_plane
APPS, POLICY, NETWORK = "apps/v1", "policy/v1", "networking.k8s.io/v1"
GATEWAY = "gateway.networking.k8s.io/v1"


def ready(looma: Looma, name: str, revision: str) -> bool:
    status = looma.status(name)
    return (status.get("phase"), status.get("stableRevision"), status.get("targetRevision")) == (
        "Ready",
        revision,
        revision,
    )


def up(looma: Looma, name: str, **spec) -> None:
    """A service that is Ready at r1."""
    code, answer = looma.apply(name, **spec)
    assert code in (200, 201), answer
    looma.play(lambda: ready(looma, name, "r1"), f"{name} is Ready at r1")


def test_a_service_gets_its_children_and_becomes_ready(looma: Looma):
    up(looma, "first", replicas=2)
    assert looma.child("deployments", "first-r1", APPS)[0] == 200
    assert looma.child("controllerrevisions", "first-r1", APPS)[1]["data"]["image"] == "engine:1"
    assert looma.child("services", "first-stable", "v1")[1]["spec"]["ports"][0]["port"] == 80
    assert looma.child("serviceaccounts", "first", "v1")[1]["automountServiceAccountToken"] is False
    assert looma.child("poddisruptionbudgets", "first", POLICY)[1]["spec"]["maxUnavailable"] == "25%"
    assert looma.child("networkpolicies", "first", NETWORK)[0] == 200
    service = looma.get("first")
    assert "finalizers" not in service["metadata"]
    assert {entry["manager"] for entry in service["metadata"]["managedFields"]} == {"person", "looma"}
    looma.is_told("first", "RolloutCompleted")
    assert looma.reasons("first") == {"RevisionCreated", "RolloutStarted", "RolloutCompleted"}


def test_kubectl_waits_for_a_service_to_be_ready(looma: Looma):
    up(looma, "awaited", replicas=2)
    wait = ("-n", looma.namespace, "wait", "--for=condition=Ready")
    assert "condition met" in looma.plane.kubectl(*wait, "ais/awaited", "--timeout=5s")
    code, _ = looma.apply("never", image="broken:1")
    assert code in (200, 201)
    looma.play(
        lambda: looma.status("never").get("phase") == "Pending",
        "its pods are waited for",
        broken=frozenset({"broken:1"}),
    )
    said = looma.plane.kubectl(*wait, "ais/never", "--timeout=1s", check=False)
    assert "condition met" not in said


def test_it_comes_to_rest(looma: Looma):
    up(looma, "rest")
    before = looma.replicas[0].get("/metrics")
    looma.plane.kubectl("-n", looma.namespace, "annotate", "ais", "rest", "touched=yes")
    looma.until(
        lambda: (
            _count(
                looma.replicas[0].get("/metrics"), 'reconcile_seconds_count{kind="AIService",result="done"}'
            )
            > _count(before, 'reconcile_seconds_count{kind="AIService",result="done"}')
        ),
        "it was looked at again",
    )
    after = looma.replicas[0].get("/metrics")
    for kind in ("Deployment", "Service", "ControllerRevision"):
        line = f'actions_total{{action="apply",kind="{kind}",result="done"}}'
        assert _count(after, line) == _count(before, line)


def _count(metrics: str, series: str) -> float:
    for line in metrics.splitlines():
        if line.startswith("looma_operator_" + series):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def test_a_change_rolls_out_and_an_earlier_file_rolls_it_back(looma: Looma):
    up(looma, "road", replicas=3)
    looma.apply("road", replicas=3, image="engine:2")
    looma.play(lambda: ready(looma, "road", "r2"), "r2 serves", floor=3)
    assert looma.counts("road") == {"r1": 0, "r2": 3}

    code, _ = looma.apply(
        "road", replicas=3, image="engine:1", annotations={"looma.dev/change-reason": "wrong answers"}
    )
    assert code == 200
    looma.play(lambda: ready(looma, "road", "r1"), "r1 serves again", floor=3)
    back = looma.status("road")["lastRollback"]
    assert (back["from"], back["to"], back["reason"], back["requestedBy"]) == (
        "r2",
        "r1",
        "wrong answers",
        "admin",
    )
    assert back["completedAt"] > back["startedAt"]
    looma.is_told("road", "RollbackStarted", "RollbackCompleted")


def test_a_bad_revision_is_given_up_and_the_old_one_serves(looma: Looma):
    up(looma, "bad", replicas=2, rollout={"progressDeadlineSeconds": 5})
    looma.apply("bad", replicas=2, image="broken:1", rollout={"progressDeadlineSeconds": 5})
    looma.play(
        lambda: looma.status("bad")["phase"] == "Degraded" and looma.counts("bad") == {"r1": 2, "r2": 0},
        "the rollout is given up",
        broken=frozenset({"broken:1"}),
        floor=2,
    )
    degraded = next(item for item in looma.status("bad")["conditions"] if item["type"] == "Degraded")
    assert degraded["reason"] == "ProgressDeadlineExceeded"
    assert "r1 keeps serving" in degraded["message"]


@pytest.mark.parametrize(
    ("plural", "name", "group"),
    [
        ("deployments", "drift-r1", APPS),
        ("controllerrevisions", "drift-r1", APPS),
        ("services", "drift-stable", "v1"),
        ("serviceaccounts", "drift", "v1"),
        ("poddisruptionbudgets", "drift", POLICY),
        ("networkpolicies", "drift", NETWORK),
        ("httproutes", "drift", GATEWAY),
    ],
)
def test_a_child_deleted_by_hand_comes_back(looma: Looma, plural, name, group):
    if looma.child("deployments", "drift-r1", APPS)[0] == 404:
        up(looma, "drift", route={"pathPrefixes": ["/api/v1/drift"]})
    looma.plane.request("DELETE", looma.path(plural, name, group=group))
    looma.play(lambda: looma.child(plural, name, group)[0] == 200, f"{name} comes back")
    looma.play(lambda: ready(looma, "drift", "r1"), "and the revision is the same")


def test_a_child_edited_by_hand_is_set_right(looma: Looma):
    up(looma, "edit", replicas=2)
    looma.plane.kubectl("-n", looma.namespace, "set", "image", "deployment/edit-r1", "engine=evil:1")
    looma.play(
        lambda: (
            looma.child("deployments", "edit-r1", APPS)[1]["spec"]["template"]["spec"]["containers"][0][
                "image"
            ]
            == "engine:1"
        ),
        "the image is set right",
    )
    looma.plane.kubectl("-n", looma.namespace, "scale", "deployment/edit-r1", "--replicas=7")
    looma.play(lambda: looma.counts("edit") == {"r1": 2}, "the count is set right")
    looma.until(
        lambda: "ChildRepaired" in looma.reasons("edit"),
        "and it is told in an event",
    )


def test_scaling_through_the_subresource(looma: Looma):
    up(looma, "scale")
    looma.plane.kubectl("-n", looma.namespace, "scale", "ais", "scale", "--replicas=4")
    looma.play(lambda: looma.counts("scale") == {"r1": 4}, "four pods are asked for")
    looma.play(lambda: looma.status("scale").get("readyReplicas") == 4, "four answer")
    _, scale = looma.plane.request("GET", looma.path("aiservices", "scale") + "/scale")
    assert scale["status"] == {
        "replicas": 4,
        "selector": "app.kubernetes.io/instance=scale,app.kubernetes.io/name=custom",
    }
    assert looma.status("scale")["targetRevision"] == "r1"


def test_a_missing_model_is_said_and_holds_the_change(looma: Looma):
    up(looma, "models")
    looma.apply("models", image="engine:2", modelRefs=[{"name": "ner-1"}])

    def condition() -> tuple[str, str]:
        found = next(item for item in looma.status("models")["conditions"] if item["type"] == "ModelsReady")
        return found["status"], found["message"]

    looma.play(lambda: condition()[0] == "False", "the model is missed")
    assert (
        condition()[1]
        == "ModelVersion ner-1 does not exist in this namespace: create it, or correct modelRefs"
    )
    model = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": "ner-1"},
        "spec": {
            "model": "ner",
            "version": "1.0.0",
            "format": "spacy",
            "artifact": {"uri": "oci://registry/ner@sha256:" + "c" * 64},
        },
    }
    looma.plane.apply(looma.path("modelversions", "ner-1"), model)
    looma.play(lambda: ready(looma, "models", "r2"), "the change goes on once the model is there")

    def model_status() -> dict:
        return looma.plane.request("GET", looma.path("modelversions", "ner-1"))[1].get("status", {})

    looma.until(
        lambda: model_status().get("servedBy") == [{"name": "models", "revision": "r2"}],
        "and says who uses it",
    )
    assert model_status()["phase"] == "Serving"
    # Without an image that fetches, pods are only told where it is, and nobody has looked at it.
    verified = next(item for item in model_status()["conditions"] if item["type"] == "Verified")
    assert (verified["status"], verified["reason"]) == ("Unknown", "NotFetched")
    container = looma.child("deployments", "models-r2", APPS)[1]["spec"]["template"]["spec"]["containers"][0]
    models = next(item["value"] for item in container["env"] if item["name"] == "LOOMA_MODELS")
    assert "sha256:" + "c" * 64 in models


def test_a_sync_job_without_an_image_says_what_is_missing(looma: Looma):
    job = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "SyncJob",
        "metadata": {"name": "people"},
        "spec": {"source": {"type": "csv", "path": "people.csv"}},
    }
    looma.plane.apply(looma.path("syncjobs", "people"), job)

    def conditions() -> list:
        return (
            looma.plane.request("GET", looma.path("syncjobs", "people"))[1]
            .get("status", {})
            .get("conditions", [])
        )

    looma.until(lambda: bool(conditions()), "the job is looked at")
    assert conditions()[0]["reason"] == "NoImage"
    assert "write spec.image" in conditions()[0]["message"]


def test_a_service_of_somebody_else_is_not_taken_over(looma: Looma):
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "mine-stable"},
        "spec": {"ports": [{"port": 5432}]},
    }
    looma.plane.apply(looma.path("services", "mine-stable", group="v1"), foreign, manager="dba")
    looma.apply("mine")
    looma.play(lambda: looma.status("mine").get("phase") == "Degraded", "it is Degraded")
    degraded = next(item for item in looma.status("mine")["conditions"] if item["type"] == "Degraded")
    assert degraded["reason"] == "NameTaken"
    assert "Service mine-stable" in degraded["message"]
    assert looma.child("services", "mine-stable", "v1")[1]["spec"]["ports"][0]["port"] == 5432


def test_restart_and_retry_by_annotation(looma: Looma):
    up(looma, "asked")
    looma.plane.kubectl(
        *("-n", looma.namespace, "annotate", "ais", "asked"),
        'looma.dev/request={"id":"one","action":"restart","reason":"new certificate"}',
    )
    looma.play(lambda: bool(looma.status("asked").get("requests")), "the request is recorded")
    assert looma.status("asked")["requests"][0]["result"] == "Done"
    template = looma.child("deployments", "asked-r1", APPS)[1]["spec"]["template"]
    assert "looma.dev/restarted-at" in template["metadata"]["annotations"]
    looma.plane.kubectl(
        *("-n", looma.namespace, "annotate", "--overwrite", "ais", "asked"),
        'looma.dev/request={"id":"two","action":"retry"}',
    )
    looma.play(lambda: len(looma.status("asked")["requests"]) == 2, "the second as well")
    assert looma.status("asked")["requests"][1]["result"] == "Refused"


def test_metrics_tell_phase_leader_and_actions(looma: Looma):
    up(looma, "measured")
    # The status is written a moment before it is counted.
    phase = f'looma_operator_service_phase{{name="measured",namespace="{looma.namespace}",phase="Ready"}} 1.0'
    looma.until(lambda: phase in looma.replicas[0].get("/metrics"), "the phase is counted")
    text = looma.replicas[0].get("/metrics")
    assert "looma_operator_leader 1.0" in text
    assert 'looma_operator_actions_total{action="apply",kind="Deployment",result="done"}' in text


def test_deleting_the_service_leaves_no_finalizer_behind(looma: Looma):
    up(looma, "gone")
    looma.plane.request("DELETE", looma.path("aiservices", "gone"))
    assert looma.plane.request("GET", looma.path("aiservices", "gone"))[0] == 404
