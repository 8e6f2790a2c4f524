"""HTTPRoutes on a real API server: written, set right and judged by what any gateway says; and none without the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from looma_operator.render.route import ParentGateway, render_route
from support import control_plane as planes
from support.chart import render
from support.control_plane import ControlPlane
from support.operator_process import Looma, make
from support.operator_routes import GATEWAY, route, say
from support.operator_world import World, spec

pytestmark = pytest.mark.control_plane
Object = dict[str, Any]


def paths(found: Object) -> list[str]:
    return [match["path"]["value"] for rule in found["spec"]["rules"] for match in rule["matches"]]


def programmed(looma: Looma, name: str) -> tuple[str, str]:
    conditions = looma.status(name).get("conditions") or []
    found = next((item for item in conditions if item["type"] == "RouteProgrammed"), {})
    return found.get("status", ""), found.get("reason", "")


def routed(*prefixes: str, **more: Any) -> Object:
    return {"route": {"pathPrefixes": list(prefixes), **more}}


def ready(looma: Looma, name: str, **spec: Any) -> None:
    code, answer = looma.apply(name, **spec)
    assert code in (200, 201), answer
    looma.play(lambda: looma.status(name).get("phase") == "Ready", f"{name} is Ready")


def repaired(looma: Looma) -> float:
    """How often a child was set right, counted as it is decided: the event itself comes later."""
    told = re.search(
        r'^looma_operator_events_total\{reason="ChildRepaired"\} (\S+)',
        looma.replicas[-1].get("/metrics"),
        re.MULTILINE,
    )
    return float(told[1]) if told else 0.0


def test_a_route_is_made_changed_and_taken_away(looma: Looma):
    before = repaired(looma)
    ready(looma, "road", **routed("/api/v1/road"))
    made = route(looma, "road")
    assert paths(made) == ["/api/v1/road"]
    assert made["spec"]["parentRefs"][0]["name"] == "looma"
    (reference,) = made["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["controller"]) == ("AIService", "road", True)
    (backend,) = made["spec"]["rules"][0]["backendRefs"]
    assert (backend["name"], backend["port"], backend["weight"]) == ("road-stable", 80, 100)
    service = looma.child("services", "road-stable", "v1")[1]
    assert service["metadata"]["annotations"]["looma.dev/revision"] == "r1"

    looma.apply("road", **routed("/api/v1/road", "/api/v1/lane", timeoutSeconds=5))
    looma.play(
        lambda: paths(route(looma, "road")) == ["/api/v1/road", "/api/v1/lane"], "the second path is there"
    )
    assert route(looma, "road")["spec"]["rules"][0]["timeouts"] == {"request": "5s"}
    assert looma.status("road")["targetRevision"] == "r1"

    looma.apply("road")
    looma.play(lambda: route(looma, "road") == {}, "without a path there is no route")
    looma.play(lambda: programmed(looma, "road") == ("Unknown", "NoRoute"), "and the condition says so")
    assert repaired(looma) == before


def test_any_gateways_word_makes_it_programmed(looma: Looma):
    ready(looma, "word", **routed("/api/v1/word"))
    looma.until(
        lambda: programmed(looma, "word") == ("Unknown", "WaitingForGateway"), "it waits for a gateway"
    )
    say(looma, "word", accepted="False")
    looma.until(lambda: programmed(looma, "word") == ("False", "NotAccepted"), "the refusal is told")
    say(looma, "word", resolved="False")
    looma.until(lambda: programmed(looma, "word") == ("False", "RefsNotResolved"), "the lack is told")
    say(looma, "word")
    looma.until(lambda: programmed(looma, "word") == ("True", "Programmed"), "the yes is told")

    looma.apply("word", **routed("/api/v1/word", "/api/v1/more"))
    looma.until(
        lambda: programmed(looma, "word") == ("Unknown", "WaitingForGateway"), "a changed route waits again"
    )
    say(looma, "word")
    looma.until(lambda: programmed(looma, "word") == ("True", "Programmed"), "and is taken again")
    assert looma.status("word")["phase"] == "Ready"


def test_routes_ask_for_nothing_that_another_gateway_could_not_know(looma: Looma, tmp_path: Path):
    """What the operator and the chart write is taken by Gateway API's own definition, with not a field left over."""
    policy = {
        "timeoutSeconds": 5,
        "maxRequestBytes": 1000,
        "rateLimit": {"requestsPerSecond": 10, "burst": 20, "per": "subject"},
        "circuitBreaker": {"errorPercent": 50},
        "retries": 2,
        "fallback": {"service": "other"},
        "auth": {"required": True, "roles": ["recruiter"]},
    }
    world = World(spec=spec(route={"pathPrefixes": ["/api/v1/a", "/api/v1/b"], **policy}))
    split = render_route(
        world.service,
        paths=("/api/v1/a", "/api/v1/b"),
        backends=(("resume-stable", 95), ("resume-canary", 5)),
        gateway=ParentGateway(name="public", namespace="infra"),
    )
    other = {
        "className": "other",
        "url": "http://other.infra.svc",
        "host": "looma.example.org",
        "tls": {"secret": "tls"},
    }
    chart = render(tmp_path, settings={"gateway": other})
    written = [item for item in chart if item["kind"] in ("HTTPRoute", "Gateway")]
    assert {item["metadata"]["name"] for item in written} == {"looma", "looma-console", "looma-https"}
    for document in (split, *written):
        meta = document["metadata"]
        # Only an owner that exists may be named; the rest of the metadata is Kubernetes' own.
        document["metadata"] = {"name": f"dry-{meta['name']}", "labels": meta.get("labels", {})}
        plural = f"{document['kind'].lower()}s"
        place = looma.path(plural, group=GATEWAY) + "?dryRun=All&fieldValidation=Strict"
        code, answer = looma.plane.request("POST", place, document)
        assert code == 201, answer
        assert "extensionRef" not in json.dumps(document)
        assert not any(key.startswith("looma.dev/") for key in meta.get("annotations", {}))


def test_a_share_that_somebody_adds_is_taken_out_and_their_labels_stay(looma: Looma):
    ready(looma, "edit", **routed("/api/v1/edit"))
    changed = route(looma, "edit")
    changed["spec"]["rules"][0]["backendRefs"].append({"name": "mine", "port": 80, "weight": 900})
    changed["metadata"]["labels"]["team"] = "search"
    place = looma.path("httproutes", "edit", group=GATEWAY) + "?fieldManager=kubectl-edit"
    assert looma.plane.request("PUT", place, changed)[0] == 200
    looma.until(
        lambda: len(route(looma, "edit")["spec"]["rules"][0]["backendRefs"]) == 1, "the share is taken out"
    )
    assert route(looma, "edit")["metadata"]["labels"]["team"] == "search"
    looma.until(
        lambda: "ChildRepaired" in looma.reasons("edit"),
        "and it is told in an event",
    )


def test_a_route_of_somebody_else_is_not_taken_over(looma: Looma):
    theirs = {
        "apiVersion": GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": "mine-route"},
        "spec": {"parentRefs": [{"name": "their-gateway"}]},
    }
    place = looma.path("httproutes", "mine-route", group=GATEWAY)
    assert looma.plane.apply(place, theirs, manager="them")[0] == 201
    looma.apply("mine-route", **routed("/api/v1/mine"))
    looma.play(lambda: looma.status("mine-route").get("phase") == "Degraded", "it is Degraded")
    degraded = next(item for item in looma.status("mine-route")["conditions"] if item["type"] == "Degraded")
    assert degraded["reason"] == "NameTaken"
    assert "HTTPRoute mine-route" in degraded["message"]
    assert route(looma, "mine-route")["spec"]["parentRefs"][0]["name"] == "their-gateway"


def traffic(looma: Looma, name: str) -> dict[str, float]:
    return {entry["gateway"]: entry["weight"] for entry in looma.status(name).get("traffic", [])}


def confirm(looma: Looma, name: str, pod: str) -> None:
    """What a gateway pod says of itself."""
    entry = {
        "gateway": pod,
        "revision": "r1",
        "weight": 100,
        "observedAt": "2026-01-01T12:00:00Z",
    }
    body = {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "AIService",
        "metadata": {"name": name},
        "status": {"traffic": [entry]},
    }
    place = looma.path("aiservices", name) + "/status"
    code, answer = looma.plane.apply(place, body, manager=f"looma-gateway-{pod}", force=False)
    assert code == 200, answer


def test_what_gateways_say_outlives_the_operators_writes(looma: Looma):
    ready(looma, "told", replicas=2, **routed("/api/v1/told"))
    confirm(looma, "told", "gateway-a")
    looma.apply("told", replicas=2, image="engine:2", **routed("/api/v1/told"))
    looma.play(lambda: looma.status("told").get("stableRevision") == "r2", "r2 serves")
    assert traffic(looma, "told") == {"gateway-a": 100}
    owners = {
        entry["manager"]
        for entry in looma.get("told")["metadata"]["managedFields"]
        if "f:traffic" in entry["fieldsV1"].get("f:status", {})
    }
    assert owners == {"looma-gateway-gateway-a"}


def test_a_gateway_has_its_own_children(looma: Looma):
    code, answer = looma.apply(
        "gateway", engine="gateway", image="gateway:1", config={"maxConnections": 1000}
    )
    assert code in (200, 201), answer
    looma.play(lambda: looma.status("gateway").get("phase") == "Ready", "the gateway is Ready")
    pod = looma.child("deployments", "gateway-r1", "apps/v1")[1]["spec"]["template"]["spec"]
    assert [item["name"] for item in pod["containers"]] == ["engine", "controller"]
    assert pod["automountServiceAccountToken"] is True
    peers = looma.child("services", "gateway-peers", "v1")[1]
    assert peers["spec"]["clusterIP"] == "None"
    assert looma.child("networkpolicies", "gateway", "networking.k8s.io/v1")[0] == 200
    assert route(looma, "gateway") == {}
    before = _applied(looma)
    looma.plane.kubectl("-n", looma.namespace, "annotate", "ais", "gateway", "touched=yes")
    looma.until(lambda: _looks(looma) > before["looks"], "it is looked at again")
    assert _applied(looma)["writes"] == before["writes"], "nothing differs from what was rendered"


def _looks(looma: Looma) -> float:
    return _sum(looma, "looma_operator_reconcile_seconds_count", 'kind="AIService"')


def _applied(looma: Looma) -> dict[str, float]:
    return {"looks": _looks(looma), "writes": _sum(looma, "looma_operator_actions_total", 'action="apply"')}


def _sum(looma: Looma, series: str, label: str) -> float:
    lines = looma.replicas[0].get("/metrics").splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(series) and label in line)


# ---- a cluster without the Gateway API ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that knows Looma's definitions alone."""
    plane = planes.start(tmp_path_factory.mktemp("plain-plane"))
    try:
        planes.define(plane, planes.loomas_definitions())
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def plain_looma(plain_plane: ControlPlane, tmp_path: Path) -> Iterator[Looma]:
    made = make(plain_plane, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.long
def test_without_the_gateway_api_engines_run_and_routes_come_with_it(plain_looma: Looma):
    ready(plain_looma, "early", **routed("/api/v1/early"))
    assert programmed(plain_looma, "early") == ("False", "GatewayApiMissing")
    plain_looma.apply("early", image="engine:2", **routed("/api/v1/early"))
    plain_looma.play(
        lambda: plain_looma.status("early").get("stableRevision") == "r2", "rollouts go on all the same"
    )
    planes.define(plain_looma.plane, planes.gateway_api_definitions())
    plain_looma.play(lambda: route(plain_looma, "early") != {}, "the route comes with the API")
    plain_looma.until(
        lambda: programmed(plain_looma, "early") == ("Unknown", "WaitingForGateway"), "and is told of"
    )
    say(plain_looma, "early")
    plain_looma.until(
        lambda: programmed(plain_looma, "early") == ("True", "Programmed"),
        "its status is followed from then on",
    )
    assert repaired(plain_looma) == 0
    assert plain_looma.replicas[0].process.poll() is None
