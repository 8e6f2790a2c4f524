"""The console with the rights that the chart gives it, before a real API server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from looma_console.cluster.actions import ClusterActions, UnknownRevision
from looma_console.cluster.api import KubeApi, KubernetesError, Person
from looma_console.cluster.listwatch import ListWatch
from looma_console.cluster.model import read_service
from looma_console.cluster.sources import ApiSource
from looma_core.api.aiservice import CHANGE_REASON
from support.chart import render
from support.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

NAMESPACE = "looma"
SERVICES = f"/apis/looma.dev/v1alpha1/namespaces/{NAMESPACE}/aiservices"
REVISIONS = f"/apis/apps/v1/namespaces/{NAMESPACE}/controllerrevisions"
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


def stored(plane: ControlPlane) -> dict[str, Any]:
    code, found = plane.request("GET", f"{SERVICES}/resume")
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


def test_an_api_server_that_is_away_is_said_to_be() -> None:
    from kubernetes import client

    configuration = client.Configuration()
    configuration.host = "https://127.0.0.1:9"
    with pytest.raises(KubernetesError) as away:
        KubeApi(configuration).request("GET", "/version")
    assert (away.value.status, away.value.reason) == (0, "Unreachable")
