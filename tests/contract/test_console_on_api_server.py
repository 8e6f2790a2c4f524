"""The console with the rights that the chart gives it, before a real API server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from looma_console.cluster import actions
from looma_console.cluster.actions import ClusterActions, UnknownRevision
from looma_console.cluster.api import KubeApi, KubernetesError, Person
from looma_console.cluster.listwatch import ListWatch
from looma_console.cluster.model import read_service
from looma_console.cluster.models import pinned_in, read_model_version
from looma_console.cluster.sources import ApiSource
from looma_console.cluster.syncjobs import read_sync_job
from looma_core.api.aiservice import CHANGE_REASON, REQUEST
from support.chart import render
from support.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

NAMESPACE = "looma"
SERVICES = f"/apis/looma.dev/v1alpha1/namespaces/{NAMESPACE}/aiservices"
REVISIONS = f"/apis/apps/v1/namespaces/{NAMESPACE}/controllerrevisions"
MODELS = f"/apis/looma.dev/v1alpha1/namespaces/{NAMESPACE}/modelversions"
SYNCS = f"/apis/looma.dev/v1alpha1/namespaces/{NAMESPACE}/syncjobs"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
OPERATOR = Person(login="mei", roles=("operator",))
RECRUITER = Person(login="tom", roles=("recruiter",))
RIGHTS = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


@pytest.fixture(scope="module")
def console(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> KubeApi:
    """The API as the console's service account, with what the chart grants it and nothing more."""
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    objects = render(tmp_path_factory.mktemp("chart"), environment="dev")
    for item in objects:
        if item["kind"] in RIGHTS and "console" in str(item["metadata"].get("labels")):
            scope = "" if item["kind"].startswith("Cluster") else f"/namespaces/{NAMESPACE}"
            plural = item["kind"].lower() + "s"
            name = item["metadata"]["name"]
            path = f"/apis/rbac.authorization.k8s.io/v1{scope}/{plural}/{name}"
            code, said = control_plane.apply(path, item)
            assert code in {200, 201}, said
    user = f"system:serviceaccount:{NAMESPACE}:looma-console"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")
    kubeconfig: Path = control_plane.kubeconfig_for(user, *groups, namespace=NAMESPACE)
    # The namespace stays: without a controller manager a deleted one would be terminating for the rest of the session.
    return KubeApi.from_environment(str(kubeconfig))


@pytest.fixture
def service(control_plane: ControlPlane, console: KubeApi) -> Iterator[dict[str, Any]]:
    """An AIService at its second version, whose first is kept."""
    del console
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": "resume"},
        "spec": {
            "engine": "resume",
            "image": "localhost/looma-engine:two",
            "replicas": 3,
            "route": {"pathPrefixes": ["/api/v1/resumes"]},
        },
    }
    code, made = control_plane.request("POST", SERVICES, body)
    assert code == 201, made
    content = {
        "engine": "resume",
        "image": "localhost/looma-engine:one",
        "resources": made["spec"]["resources"],
    }
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "resume-r1"},
        "revision": 1,
        "data": content,
    }
    code, said = control_plane.request("POST", REVISIONS, revision)
    assert code == 201, said
    yield made
    control_plane.request("DELETE", f"{SERVICES}/resume")
    control_plane.request("DELETE", f"{REVISIONS}/resume-r1")


@pytest.fixture
def sync_job(control_plane: ControlPlane, console: KubeApi) -> Iterator[dict[str, Any]]:
    """A SyncJob with a schedule."""
    del console
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "SyncJob",
        "metadata": {"name": "people"},
        "spec": {"source": {"type": "csv", "path": "people.csv"}, "schedule": {"cron": "0 3 * * *"}},
    }
    code, made = control_plane.request("POST", SYNCS, body)
    assert code == 201, made
    yield made
    control_plane.request("DELETE", f"{SYNCS}/people")


def stored(plane: ControlPlane, path: str = f"{SERVICES}/resume") -> dict[str, Any]:
    code, found = plane.request("GET", path)
    assert code == 200
    return found


def test_it_sees_services_and_events_as_they_change(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any]
) -> None:
    services = ListWatch("aiservices", ApiSource(console, SERVICES))
    events = ListWatch("events", ApiSource(console, EVENTS, field_selector="involvedObject.kind=AIService"))
    for watch in (services, events):
        watch.start()
        assert watch.synced.wait(20)
    assert [read_service(item).image for item in services.objects()] == [service["spec"]["image"]]
    seen = services.version
    patch = {"spec": {"image": "localhost/looma-engine:three"}}
    control_plane.request("PATCH", f"{SERVICES}/resume", patch, content_type="application/merge-patch+json")
    services.wait(seen, 20)
    assert read_service(services.objects()[0]).image.endswith(":three")
    seen = events.version
    for name, kind in (("about-us", "AIService"), ("about-pods", "Pod")):
        event = {
            "metadata": {"name": name},
            "involvedObject": {"kind": kind, "name": "resume", "namespace": NAMESPACE},
            "reason": "Test",
            "message": "x",
            "type": "Normal",
        }
        code, said = control_plane.request("POST", EVENTS, event)
        assert code == 201, said
    events.wait(seen, 20)
    assert [item["metadata"]["name"] for item in events.objects()] == ["about-us"]
    for watch in (services, events):
        watch.stop()


def test_by_itself_it_may_change_nothing(console: KubeApi, service: dict[str, Any]) -> None:
    patch = {"spec": {"image": "localhost/looma-engine:mine"}}
    with pytest.raises(KubernetesError) as refused:
        console.request(
            "PATCH", f"{SERVICES}/resume", body=patch, content_type="application/merge-patch+json"
        )
    assert refused.value.reason == "Forbidden"
    for path in (SYNCS, MODELS):
        with pytest.raises(KubernetesError, match="Forbidden"):
            console.request("POST", path, body={"metadata": {"name": "mine"}})
    for path in ("/api/v1/namespaces/looma/secrets", "/api/v1/namespaces/looma/pods", REVISIONS):
        with pytest.raises(KubernetesError, match="Forbidden"):
            console.request("GET", path)


@pytest.mark.parametrize("roles", [("master",), ("operator", "system:masters")])
def test_it_may_not_pretend_other_groups(console: KubeApi, roles: tuple[str, ...]) -> None:
    with pytest.raises(KubernetesError, match="Forbidden"):
        console.request("GET", SERVICES, person=Person(login="mei", roles=roles))


@pytest.mark.parametrize(
    ("roles", "allowed"),
    [
        ((), False),
        (("recruiter",), False),
        (("operator",), True),
        (("admin",), True),
        (("recruiter", "operator"), True),
    ],
)
def test_the_cluster_says_who_may_roll_back(
    console: KubeApi, service: dict[str, Any], roles: tuple[str, ...], allowed: bool
) -> None:
    verdict = ClusterActions(console, namespace=NAMESPACE).may_change(
        Person(login="x", roles=roles), "resume"
    )
    assert verdict.allowed is allowed


def test_an_operator_goes_back_with_a_reason(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any]
) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    assert acting.rollback(OPERATOR, service="resume", revision="r1", reason="reads dates wrongly")
    after = stored(control_plane)
    assert after["spec"] == {**service["spec"], "image": "localhost/looma-engine:one"}
    assert after["metadata"]["annotations"][CHANGE_REASON] == "reads dates wrongly"
    assert not acting.rollback(OPERATOR, service="resume", revision="r1", reason="once more")


def test_a_recruiter_is_refused_by_the_cluster_itself(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any]
) -> None:
    with pytest.raises(KubernetesError, match="Forbidden"):
        ClusterActions(console, namespace=NAMESPACE).rollback(
            RECRUITER, service="resume", revision="r1", reason="why"
        )
    assert stored(control_plane)["spec"] == service["spec"]


ASKED = ["promote", "promote-full", "abort", "retry", "pause", "resume", "restart"]


@pytest.mark.parametrize("action", ASKED)
def test_what_an_operator_asks_for_is_on_the_service_with_the_reason(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any], action: str
) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    acting.ask(OPERATOR, service="resume", action=action, reason="answers are wrong")
    after = stored(control_plane)
    request = json.loads(after["metadata"]["annotations"][REQUEST])
    assert request.pop("id")
    assert request == {"action": action, "reason": "answers are wrong"}
    assert after["spec"] == service["spec"]


@pytest.mark.parametrize("action", ASKED)
def test_what_a_recruiter_asks_for_is_refused_by_the_cluster_itself(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any], action: str
) -> None:
    with pytest.raises(KubernetesError, match="Forbidden"):
        ClusterActions(console, namespace=NAMESPACE).ask(
            RECRUITER, service="resume", action=action, reason="because"
        )
    assert stored(control_plane)["metadata"]["resourceVersion"] == service["metadata"]["resourceVersion"]


def test_a_revision_that_was_never_kept(console: KubeApi, service: dict[str, Any]) -> None:
    with pytest.raises(UnknownRevision):
        ClusterActions(console, namespace=NAMESPACE).rollback(
            OPERATOR, service="resume", revision="r9", reason="why"
        )


def test_somebody_elses_change_is_not_overwritten(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = threading.Event()
    real = KubeApi.request

    def request(self: KubeApi, method: str, path: str, **given: Any) -> Any:
        if method == "PATCH" and not changed.is_set():
            changed.set()
            patch = {"spec": {"image": "localhost/looma-engine:theirs"}}
            control_plane.request(
                "PATCH", f"{SERVICES}/resume", patch, content_type="application/merge-patch+json"
            )
        return real(self, method, path, **given)

    monkeypatch.setattr(KubeApi, "request", request)
    with pytest.raises(KubernetesError) as refused:
        ClusterActions(console, namespace=NAMESPACE).rollback(
            OPERATOR, service="resume", revision="r1", reason="why"
        )
    assert refused.value.reason == "Conflict"
    assert stored(control_plane)["spec"]["image"].endswith(":theirs")


def test_what_gateways_say_meanwhile_is_no_change(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    real = KubeApi.request

    def request(self: KubeApi, method: str, path: str, **given: Any) -> Any:
        if method == "PATCH" and not told.is_set():
            told.set()
            entry = {"gateway": "a", "revision": "r2", "weight": 100, "observedAt": "2026-11-20T10:00:00Z"}
            code, answer = control_plane.request(
                "PATCH",
                f"{SERVICES}/resume/status",
                {"status": {"traffic": [entry]}},
                content_type="application/merge-patch+json",
            )
            assert code == 200, answer
        return real(self, method, path, **given)

    monkeypatch.setattr(KubeApi, "request", request)
    before = stored(control_plane)["spec"]
    assert ClusterActions(console, namespace=NAMESPACE).rollback(
        OPERATOR, service="resume", revision="r1", reason="why"
    )
    assert told.is_set()
    assert stored(control_plane)["spec"] != before


def test_it_sees_sync_jobs_and_their_events_as_they_change(
    control_plane: ControlPlane, console: KubeApi, sync_job: dict[str, Any]
) -> None:
    jobs = ListWatch("syncjobs", ApiSource(console, SYNCS))
    events = ListWatch("events", ApiSource(console, EVENTS, field_selector="involvedObject.kind=SyncJob"))
    for watch in (jobs, events):
        watch.start()
        assert watch.synced.wait(20)
    assert [read_sync_job(item).cron for item in jobs.objects()] == ["0 3 * * *"]
    seen = jobs.version
    run = {"epoch": 1, "job": "people-1", "trigger": "Schedule", "startedAt": "2026-11-20T03:00:00Z"}
    code, said = control_plane.request(
        "PATCH",
        f"{SYNCS}/people/status",
        {
            "status": {
                "phase": "Running",
                "runs": [{**run, "result": "Running"}],
                "shards": [{"shard": 0, "epoch": 1, "state": "Running", "total": 9, "read": 4}],
            }
        },
        content_type="application/merge-patch+json",
    )
    assert code == 200, said
    jobs.wait(seen, 20)
    job = read_sync_job(jobs.objects()[0])
    assert (job.phase, job.goes_on) == ("Running", True)
    assert [(shard.progress.read, shard.progress.total) for shard in job.shards] == [(4, 9)]
    seen = events.version
    event = {
        "metadata": {"name": "about-people"},
        "involvedObject": {"kind": "SyncJob", "name": "people", "namespace": NAMESPACE},
        "reason": "RunStarted",
        "message": "x",
        "type": "Normal",
    }
    code, said = control_plane.request("POST", EVENTS, event)
    assert code == 201, said
    events.wait(seen, 20)
    assert [item["metadata"]["name"] for item in events.objects()] == ["about-people"]
    for watch in (jobs, events):
        watch.stop()


@pytest.mark.parametrize("action", ["run", "cancel"])
def test_an_operator_asks_for_a_run_or_for_its_end(
    control_plane: ControlPlane, console: KubeApi, sync_job: dict[str, Any], action: str
) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    assert acting.may_change(OPERATOR, "people", plural="syncjobs").allowed
    acting.ask_sync(OPERATOR, job="people", action=action, reason="the file was repaired")
    after = stored(control_plane, f"{SYNCS}/people")
    request = json.loads(after["metadata"]["annotations"][REQUEST])
    assert request.pop("id")
    assert request == {"action": action, "reason": "the file was repaired"}
    assert after["spec"] == sync_job["spec"]


def test_an_operator_suspends_a_sync_job_and_lets_it_go_on(
    control_plane: ControlPlane, console: KubeApi, sync_job: dict[str, Any]
) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    for action, suspended in (("suspend", True), ("suspend", True), ("resume", False)):
        acting.ask_sync(OPERATOR, job="people", action=action, reason=f"to {action}")
        after = stored(control_plane, f"{SYNCS}/people")
        assert after["spec"] == {**sync_job["spec"], "suspend": suspended}
        assert after["metadata"]["annotations"] == {CHANGE_REASON: f"to {action}"}


def test_what_workers_report_meanwhile_stops_nobody_from_suspending(
    control_plane: ControlPlane, console: KubeApi, sync_job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = KubeApi.request

    def request(self: KubeApi, method: str, path: str, **given: Any) -> Any:
        if method == "PATCH":
            report = {"status": {"shards": [{"shard": 0, "epoch": 1, "state": "Running"}]}}
            code, answer = control_plane.request(
                "PATCH", f"{SYNCS}/people/status", report, content_type="application/merge-patch+json"
            )
            assert code == 200, answer
        return real(self, method, path, **given)

    monkeypatch.setattr(KubeApi, "request", request)
    ClusterActions(console, namespace=NAMESPACE).ask_sync(
        OPERATOR, job="people", action="suspend", reason="it is in the way"
    )
    after = stored(control_plane, f"{SYNCS}/people")
    assert after["spec"]["suspend"] is True
    assert after["status"]["shards"], "the report is there as well"


@pytest.mark.parametrize("action", ["run", "cancel", "suspend", "resume"])
def test_a_recruiter_asks_for_nothing_of_a_sync_job(
    control_plane: ControlPlane, console: KubeApi, sync_job: dict[str, Any], action: str
) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    assert not acting.may_change(RECRUITER, "people", plural="syncjobs").allowed
    with pytest.raises(KubernetesError, match="Forbidden"):
        acting.ask_sync(RECRUITER, job="people", action=action, reason="because")
    after = stored(control_plane, f"{SYNCS}/people")
    assert (after["spec"], after["metadata"].get("annotations")) == (sync_job["spec"], None)


def test_who_may_change_services_is_asked_for_apart_from_sync_jobs(
    control_plane: ControlPlane, console: KubeApi, service: dict[str, Any]
) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    assert acting.may_change(OPERATOR, "resume").allowed
    assert not acting.may_change(OPERATOR, "resume", plural="modelversions").allowed


def test_it_sees_models_and_the_revisions_that_a_person_may_see(
    control_plane: ControlPlane, console: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": "ner-1.0.0", "labels": {"looma.dev/channel": "stable"}},
        "spec": {
            "model": "ner",
            "version": "1.0.0",
            "artifact": {"uri": "oci://registry/models/ner@sha256:" + "a" * 64},
            "format": "json",
        },
    }
    code, said = control_plane.request("POST", MODELS, body)
    assert code == 201, said
    names = ["resume-r1", "resume-r2", "other-r1"]
    for number, name in enumerate(names, start=1):
        labels = {
            "app.kubernetes.io/part-of": "looma",
            "app.kubernetes.io/instance": name[:-3],
            "looma.dev/revision": name[-2:],
        }
        revision = {
            "metadata": {"name": name, "labels": labels},
            "revision": number,
            "data": {"models": [{"name": "ner-1.0.0"}]} if name != "other-r1" else {"engine": "other"},
        }
        code, said = control_plane.request("POST", REVISIONS, revision)
        assert code == 201, said
    models = ListWatch("modelversions", ApiSource(console, MODELS))
    models.start()
    assert models.synced.wait(20)
    models.stop()
    assert [(item.name, item.channel) for item in map(read_model_version, models.objects())] == [
        ("ner-1.0.0", "stable")
    ]
    acting = ClusterActions(console, namespace=NAMESPACE)
    # Page for page, so that none of them is large.
    monkeypatch.setattr(actions, "PAGE", "1")
    kept, complete = acting.revisions(OPERATOR)
    assert complete
    assert [(use.service, use.revision) for use in pinned_in(kept, "ner-1.0.0")] == [
        ("resume", "r2"),
        ("resume", "r1"),
    ]
    monkeypatch.setattr(actions, "MOST_PAGES", 2)
    kept, complete = acting.revisions(OPERATOR)
    assert (len(kept), complete) == (2, False)
    with pytest.raises(KubernetesError, match="Forbidden"):
        acting.revisions(RECRUITER)
    for name in names:
        control_plane.request("DELETE", f"{REVISIONS}/{name}")
    control_plane.request("DELETE", f"{MODELS}/ner-1.0.0")


def test_the_content_of_a_revision_is_read_as_the_person(console: KubeApi, service: dict[str, Any]) -> None:
    acting = ClusterActions(console, namespace=NAMESPACE)
    content = acting.content(OPERATOR, service="resume", revision="r1")
    assert content["image"] == "localhost/looma-engine:one"
    with pytest.raises(UnknownRevision):
        acting.content(OPERATOR, service="resume", revision="r9")
    with pytest.raises(KubernetesError, match="Forbidden"):
        acting.content(RECRUITER, service="resume", revision="r1")


def test_an_api_server_that_is_away_is_said_to_be() -> None:
    from kubernetes import client

    configuration = client.Configuration()
    configuration.host = "https://127.0.0.1:9"
    with pytest.raises(KubernetesError) as away:
        KubeApi(configuration).request("GET", "/version")
    assert (away.value.status, away.value.reason) == (0, "Unreachable")
