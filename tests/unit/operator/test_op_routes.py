"""HTTPRoutes of services: what is written, what a gateway's answer means, and what becomes of either."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from looma_operator.names import EventReason
from looma_operator.plan.drift import taken_over
from looma_operator.plan.observed import Peer
from looma_operator.plan.programmed import decide_programmed
from looma_operator.render.route import ParentGateway, render_route
from looma_operator.resources import own_status
from support.operator_world import START, World, spec

Json = dict[str, Any]
ROUTE = ("HTTPRoute", "resume")
PATH = "/api/v1/resumes"
YES = ("True", "Fine", "")


@pytest.fixture
def running() -> World:
    """A service of four pods at r1, with one path."""
    world = World()
    world.settle()
    return world


def routed(*paths: str, seconds: int = 60) -> Json:
    return {"route": {"pathPrefixes": list(paths), "timeoutSeconds": seconds}}


def repairs(world: World) -> int:
    return [notice.reason for notice in world.notices].count(EventReason.CHILD_REPAIRED)


def test_the_route_says_paths_service_weight_and_timeout(running):
    running.change(**routed("/api/v1/a", "/api/v1/b", seconds=90))
    running.settle()
    route = running.children[ROUTE]
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["metadata"]["ownerReferences"][0]["controller"] is True
    assert route["metadata"]["labels"]["app.kubernetes.io/part-of"] == "looma"
    assert route["spec"] == {
        "parentRefs": [{"name": "looma"}],
        "rules": [
            {
                "matches": [
                    {"path": {"type": "PathPrefix", "value": "/api/v1/a"}},
                    {"path": {"type": "PathPrefix", "value": "/api/v1/b"}},
                ],
                "backendRefs": [{"name": "resume-stable", "port": 80, "weight": 100}],
                "timeouts": {"request": "90s"},
            }
        ],
    }


def test_a_route_can_be_shared_between_services():
    shares = [("resume-stable", 95), ("resume-canary", 5)]
    route = render_route(World().service, paths=[PATH], backends=shares, gateway=ParentGateway())
    assert [(ref["name"], ref["weight"]) for ref in route["spec"]["rules"][0]["backendRefs"]] == shares


@pytest.mark.parametrize(
    ("gateway", "parent"),
    [
        (ParentGateway(name="looma"), {"name": "looma"}),
        (ParentGateway(name="edge", namespace="looma"), {"name": "edge"}),
        (ParentGateway(name="edge", namespace="infra"), {"name": "edge", "namespace": "infra"}),
    ],
)
def test_the_parent_has_a_namespace_where_it_is_another(gateway, parent):
    world = World(gateway=gateway)
    world.look()
    assert world.children[ROUTE]["spec"]["parentRefs"] == [parent]


def test_without_paths_the_route_goes_and_comes_back_untold(running):
    running.change(route={"timeoutSeconds": 60})
    running.settle()
    assert ROUTE not in running.children
    assert running.condition("RouteProgrammed") == ("Unknown", "NoRoute")
    running.change(**routed(PATH))
    running.settle()
    assert ROUTE in running.children
    assert repairs(running) == 0, "nobody deleted it by hand"


def test_a_path_of_an_older_service_is_left_out(running):
    running.change(**routed(PATH, "/api/v1/skills"))
    peer = Peer(name="first", created_at=START - timedelta(days=1), path_prefixes=(PATH,))
    running.peers = (peer,)
    running.settle()
    (rule,) = running.children[ROUTE]["spec"]["rules"]
    assert [match["path"]["value"] for match in rule["matches"]] == ["/api/v1/skills"]

    running.change(**routed(PATH))
    running.settle()
    assert ROUTE not in running.children
    assert running.condition("RouteProgrammed") == ("False", "NoRoute")


def test_a_fallback_and_a_shadow_that_do_not_exist_are_named_until_they_do(running):
    leads = {"fallback": {"service": "spare"}, "shadow": {"service": "next", "percent": 10}}
    running.change(route={"pathPrefixes": [PATH], **leads})
    running.settle()
    assert running.condition("RouteTargetsFound") == ("False", "TargetMissing")
    (told,) = (item for item in running.status["conditions"] if item["type"] == "RouteTargetsFound")
    assert "route.fallback: there is no AIService spare" in told["message"]
    assert "route.shadow: there is no AIService next" in told["message"]
    assert running.condition("RouteAccepted") == ("True", "Accepted"), "the route works without them"

    running.peers = (Peer(name="spare", created_at=START, path_prefixes=()),)
    running.settle()
    (told,) = (item for item in running.status["conditions"] if item["type"] == "RouteTargetsFound")
    assert "spare" not in told["message"]
    running.peers += (Peer(name="next", created_at=START, path_prefixes=()),)
    running.settle()
    assert running.condition("RouteTargetsFound") == ("True", "TargetsFound")


def test_a_service_is_no_fallback_of_its_own(running):
    running.change(route={"pathPrefixes": [PATH], "fallback": {"service": "resume"}})
    running.settle()
    assert running.condition("RouteTargetsFound") == ("False", "TargetMissing")
    running.change(route={"pathPrefixes": [PATH]})
    running.settle()
    assert running.condition("RouteTargetsFound") == ("True", "NoTargets")


def test_without_the_gateway_api_all_else_goes_on_and_the_route_comes_with_it():
    world = World(gateway_api=False)
    world.settle()
    assert ROUTE not in world.children
    assert world.status["phase"] == "Ready"
    assert world.condition("RouteProgrammed") == ("False", "GatewayApiMissing")
    assert world.condition("RouteAccepted") == ("True", "Accepted")
    world.install_gateway_api(True)
    world.settle()
    assert ROUTE in world.children
    assert repairs(world) == 0
    world.install_gateway_api(False)
    world.settle()
    assert world.condition("RouteProgrammed") == ("False", "GatewayApiMissing")


def test_a_route_that_is_somebody_elses_stays_theirs():
    world = World(foreign=frozenset({ROUTE}))
    world.look()
    assert ROUTE not in world.children
    assert world.condition("Degraded") == ("True", "NameTaken")


def test_a_gateway_forwards_no_requests_to_itself():
    world = World(spec=spec(engine="gateway"))
    world.settle()
    assert ROUTE not in world.children
    assert world.condition("RouteProgrammed") == ("Unknown", "NoRoute")


def test_the_gateways_word_is_believed_for_the_route_as_it_is(running):
    assert running.condition("RouteProgrammed") == ("Unknown", "WaitingForGateway")
    running.gateway_says(Accepted=YES, ResolvedRefs=YES)
    running.settle()
    assert running.condition("RouteProgrammed") == ("True", "Programmed")

    running.change(**routed("/api/v1/other"))
    running.look()
    assert running.condition("RouteProgrammed") == ("Unknown", "WaitingForGateway"), "it is being changed"
    running.settle()
    assert running.condition("RouteProgrammed") == ("Unknown", "WaitingForGateway"), "the word is of before"
    running.gateway_says(Accepted=YES, ResolvedRefs=YES)
    running.settle()
    assert running.condition("RouteProgrammed") == ("True", "Programmed")


def test_a_refused_route_says_why_and_the_service_is_ready_all_the_same(running):
    running.gateway_says(Accepted=("False", "NoMatchingParent", "no listener fits"), ResolvedRefs=YES)
    running.settle()
    assert running.condition("RouteProgrammed") == ("False", "NotAccepted")
    message = next(
        item["message"] for item in running.status["conditions"] if item["type"] == "RouteProgrammed"
    )
    assert message == "Gateway looma/looma: NoMatchingParent: no listener fits"
    assert running.status["phase"] == "Ready"


def test_the_stable_service_names_the_revision_that_serves(running):
    def serving() -> str:
        return running.children["Service", "resume-stable"]["metadata"]["annotations"]["looma.dev/revision"]

    assert serving() == "r1"
    running.change(image="looma-engine:2")
    running.look()
    assert serving() == "r1", "the rollout is not at its end"
    running.settle()
    assert serving() == "r2"
    assert repairs(running) == 0


def test_what_gateways_say_is_kept_and_never_written(running):
    running.status["traffic"] = [
        {"gateway": "gw-1", "revision": "r1", "weight": 99.9, "observedAt": "2026-01-01T12:00:00Z"}
    ]
    running.change(image="looma-engine:2")
    running.settle()
    assert "traffic" not in own_status(running.read_status)
    (entry,) = running.read_status.traffic
    assert (entry.gateway, entry.revision, entry.weight) == ("gw-1", "r1", 99.9)
    writes = running.writes
    running.status["traffic"][0]["weight"] = 0.1
    running.look()
    assert running.writes == writes, "another's word is no reason to write"


# ---- the decisions -------------------------------------------------------------------------------------------

GATEWAY = ParentGateway(name="looma", namespace="looma")
WANTED: Json = {"spec": {"parentRefs": [{"name": "looma"}], "rules": [{"matches": []}]}}


def condition(kind: str, status: str, *, generation: int = 2) -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": "Because",
        "message": "of that",
        "observedGeneration": generation,
    }


def parent(*conditions: Json, **reference: Any) -> Json:
    return {
        "parentRef": {"name": "looma", **reference},
        "controllerName": "x.org/y",
        "conditions": list(conditions),
    }


ACCEPTED, RESOLVED = condition("Accepted", "True"), condition("ResolvedRefs", "True")
GOOD = parent(ACCEPTED, RESOLVED)
OLD = parent(condition("Accepted", "True", generation=1), condition("ResolvedRefs", "True", generation=1))
REFUSED = parent(condition("Accepted", "False"), RESOLVED)


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        pytest.param([GOOD], ("True", "Programmed"), id="both"),
        pytest.param([], ("Unknown", "WaitingForGateway"), id="nothing"),
        pytest.param([OLD], ("Unknown", "WaitingForGateway"), id="an older generation"),
        pytest.param([parent(ACCEPTED)], ("Unknown", "WaitingForGateway"), id="half of it"),
        pytest.param(
            [parent(condition("Accepted", "Unknown"), RESOLVED)],
            ("Unknown", "WaitingForGateway"),
            id="not judged yet",
        ),
        pytest.param([REFUSED], ("False", "NotAccepted"), id="refused"),
        pytest.param(
            [parent(ACCEPTED, condition("ResolvedRefs", "False"))], ("False", "RefsNotResolved"), id="no refs"
        ),
        pytest.param([REFUSED, GOOD], ("True", "Programmed"), id="two controllers, one forwards"),
        pytest.param([OLD, REFUSED], ("False", "NotAccepted"), id="two controllers, one refuses"),
        pytest.param(
            [parent(ACCEPTED, RESOLVED, name="other")], ("Unknown", "WaitingForGateway"), id="another gateway"
        ),
        pytest.param(
            [parent(ACCEPTED, RESOLVED, namespace="other")],
            ("Unknown", "WaitingForGateway"),
            id="of another namespace",
        ),
        pytest.param(
            [parent(ACCEPTED, RESOLVED, namespace="looma", kind="Gateway")],
            ("True", "Programmed"),
            id="written in full",
        ),
        pytest.param(
            [parent(ACCEPTED, RESOLVED, kind="Service")], ("Unknown", "WaitingForGateway"), id="a mesh"
        ),
        pytest.param(
            [parent(ACCEPTED, RESOLVED, sectionName="https")],
            ("Unknown", "WaitingForGateway"),
            id="a listener that nobody asked for",
        ),
    ],
)
def test_what_a_routes_status_means(parents, expected):
    actual = {"metadata": {"generation": 2}, "spec": WANTED["spec"], "status": {"parents": parents}}
    answer = decide_programmed(
        asked=1, served=True, wanted=WANTED, actual=actual, gateway=GATEWAY, namespace="looma"
    )
    assert (answer.status, answer.reason) == expected


@pytest.mark.parametrize(
    ("asked", "served", "wanted", "actual", "expected"),
    [
        (0, True, None, None, ("Unknown", "NoRoute")),
        (0, False, None, None, ("Unknown", "NoRoute")),
        (1, False, None, None, ("False", "GatewayApiMissing")),
        (1, True, None, None, ("False", "NoRoute")),
        (1, True, WANTED, None, ("Unknown", "WaitingForGateway")),
        (1, True, WANTED, {"metadata": {}, "spec": {"rules": []}}, ("Unknown", "WaitingForGateway")),
    ],
)
def test_before_a_gateway_is_asked(asked, served, wanted, actual, expected):
    answer = decide_programmed(
        asked=asked, served=served, wanted=wanted, actual=actual, gateway=GATEWAY, namespace="looma"
    )
    assert (answer.status, answer.reason) == expected
    assert answer.message


def managed(manager: str, operation: str, *fields: str) -> Json:
    return {
        "manager": manager,
        "operation": operation,
        "fieldsV1": {"f:spec": {f"f:{field}": {} for field in fields}},
    }


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([managed("looma", "Apply", "a", "b")], None),
        ([managed("looma", "Apply", "a"), managed("kubectl-edit", "Update", "b")], "spec.b"),
        ([managed("looma", "Apply", "a", "b"), managed("argocd", "Apply", "b")], None),
        ([managed("looma", "Update", "a", "b")], "spec.a"),
        ([{"manager": "kubectl", "operation": "Update"}], "spec.a"),
        ([], None),
    ],
)
def test_who_wrote_a_list_last(entries, expected):
    assert taken_over({"metadata": {"managedFields": entries}}, ("a", "b")) == expected


def test_a_list_that_somebody_added_to_is_set_right(running):
    route = running.children[ROUTE]
    route["spec"]["rules"][0]["backendRefs"].append({"name": "mine", "port": 80, "weight": 900})
    route["metadata"]["managedFields"] = [
        managed("looma", "Apply", "parentRefs"),
        managed("kubectl-edit", "Update", "rules"),
    ]
    running.settle()
    assert len(running.children[ROUTE]["spec"]["rules"][0]["backendRefs"]) == 1
    assert "HTTPRoute resume was changed by hand at spec.rules" in running.notices[-1].note
