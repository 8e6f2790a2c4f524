"""Status documents and traffic entries: what is written, and when nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.gateway.findings import Split
from looma_engines.gateway.objects import AIService, HttpRoute, Snapshot, read
from looma_engines.gateway.report import Applied, StatusWrite, status_writes
from looma_engines.gateway.traffic import (
    FORGET_SECONDS,
    Told,
    Weight,
    Written,
    document,
    forgotten,
    is_due,
    moment,
    pod_revision,
    shares_of,
    told,
)
from looma_engines.gateway.translate import Here, translate
from support.gateway_world import (
    Object,
    ai_service,
    gateway,
    gateway_class,
    https,
    listener,
    route,
    rule,
    service,
    small_world,
    snapshot,
    to,
)

NOW = datetime(2025, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
WELL = Applied()


def writes(*documents: Object, applied: Applied = WELL, now: datetime = NOW) -> dict[str, StatusWrite]:
    known = snapshot(*documents)
    translation = translate(known, here=Here(), keys=())
    found = status_writes(translation, known, applied=applied, now=now)
    assert len({write.path for write in found}) == len(found)
    return {write.path.rsplit("/", 2)[1] + "/" + write.path.rsplit("/", 1)[1]: write for write in found}


def condition(status: Object, kind: str) -> Object:
    (found,) = [item for item in status["conditions"] if item["type"] == kind]
    return found


def taken(documents: list[Object], found: dict[str, StatusWrite]) -> list[Object]:
    """The objects after the writes, as the API server would have them."""
    for item in documents:
        plural = {"Gateway": "gateways", "HTTPRoute": "httproutes", "GatewayClass": "gatewayclasses"}
        name = f"{plural.get(item['kind'])}/{item['metadata']['name']}"
        if name in found:
            merged = {**item.get("status", {}), **found[name].status}
            item["status"] = {key: value for key, value in merged.items() if value is not None}
    return documents


def test_a_class_is_refused_only_where_no_gateway_has_accepted_it() -> None:
    stray = gateway_class("stray")
    (refused,) = writes(stray).values()
    assert (condition(refused.status, "Accepted")["status"], "supportedFeatures" in refused.status) == (
        "False",
        False,
    )
    stray["status"] = refused.status
    assert writes(stray, now=LATER) == {}
    stray["metadata"]["generation"] = 2
    (again,) = writes(stray, now=LATER).values()
    assert condition(again.status, "Accepted")["observedGeneration"] == 2
    stray["status"] = {"conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 1}]}
    assert writes(stray) == {}


def test_class_gateway_and_route_are_told_once() -> None:
    world = small_world()
    first = writes(*world)
    assert sorted(first) == ["gatewayclasses/looma", "gateways/looma", "httproutes/resume"]
    assert {"name": "HTTPRoute"} in first["gatewayclasses/looma"].status["supportedFeatures"]
    at_gateway = first["gateways/looma"].status
    assert condition(at_gateway, "Accepted")["status"] == "True"
    assert condition(at_gateway, "Programmed")["status"] == "True"
    (only,) = at_gateway["listeners"]
    assert (only["name"], only["attachedRoutes"]) == ("http", 1)
    assert only["supportedKinds"] == [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]
    assert {item["type"]: item["status"] for item in only["conditions"]} == {
        "Accepted": "True",
        "Conflicted": "False",
        "ResolvedRefs": "True",
        "Programmed": "True",
    }
    (parent,) = first["httproutes/resume"].status["parents"]
    assert parent["controllerName"] == "looma.dev/gateway"
    assert parent["parentRef"] == {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": "looma",
        "namespace": "looma",
    }
    assert condition(parent, "Accepted")["observedGeneration"] == 1
    # What was written is not written again, however late it is.
    assert writes(*taken(world, first), now=LATER) == {}


def test_addresses_are_told_and_taken_back() -> None:
    front = service("looma-gateway", clusterIP="10.1.0.1")
    world = [*small_world(), front]
    first = writes(*world)
    assert first["gateways/looma"].status["addresses"] == [{"type": "IPAddress", "value": "10.1.0.1"}]
    again = writes(*taken(world, first)[:-1], now=LATER)
    assert again["gateways/looma"].status["addresses"] is None
    assert writes(*taken(world[:-1], again)) == {}


def test_a_condition_keeps_its_time_while_its_status_is_the_same() -> None:
    world = small_world()
    taken(world, writes(*world))
    world[5]["metadata"]["generation"] = 2
    (again,) = writes(*world, now=LATER).values()
    found = condition(again.status["parents"][0], "Accepted")
    assert (found["observedGeneration"], found["lastTransitionTime"]) == (2, "2025-03-01T12:00:00Z")
    # Another status is another time: the Service is gone.
    del world[3]
    (gone,) = writes(*taken(world, {"httproutes/resume": again}), now=LATER).values()
    assert (
        condition(gone.status["parents"][0], "ResolvedRefs")["lastTransitionTime"] == "2025-03-01T12:05:00Z"
    )
    assert condition(gone.status["parents"][0], "Accepted")["lastTransitionTime"] == "2025-03-01T12:00:00Z"


def test_what_haproxy_says_against_it_stands_in_programmed() -> None:
    world = [gateway_class(), gateway(listener(), https(of="nobody"))]
    bad = Applied(False, "line 12: unknown keyword")
    status = writes(*world, applied=bad)["gateways/looma"].status
    assert condition(status, "Programmed")["status"] == "False"
    assert "line 12: unknown keyword" in condition(status, "Programmed")["message"]
    http, tls = status["listeners"]
    assert condition(http, "Programmed")["reason"] == "Pending"
    assert condition(tls, "Programmed")["reason"] == "Invalid"


def test_another_controllers_entries_stay() -> None:
    world = small_world()
    foreign = {
        "parentRef": {"name": "edge"},
        "controllerName": "example.org/other",
        "conditions": [{"type": "Accepted", "status": "True"}],
    }
    world[5]["status"] = {"parents": [foreign]}
    world[5]["spec"]["parentRefs"].append({"name": "edge"})
    first = writes(*world)
    parents = first["httproutes/resume"].status["parents"]
    assert [item["controllerName"] for item in parents] == ["example.org/other", "looma.dev/gateway"]
    assert parents[0] == foreign
    # A route that left our Gateway loses our entry, and keeps theirs.
    taken(world, first)
    world[5]["spec"]["parentRefs"] = [{"name": "edge"}]
    assert writes(*world)["httproutes/resume"].status["parents"] == [foreign]


def test_a_route_that_never_was_ours_is_not_written() -> None:
    assert writes(route(parents=[{"name": "edge"}])) == {}


@given(
    parents=st.lists(
        st.fixed_dictionaries(
            {
                "controllerName": st.sampled_from(["looma.dev/gateway", "example.org/other"]),
                "parentRef": st.fixed_dictionaries({"name": st.sampled_from(["looma", "edge"])}),
                "conditions": st.just([]),
            }
        ),
        max_size=4,
    )
)
def test_whatever_is_there_others_entries_stay_and_a_second_look_is_at_rest(parents: list[Object]) -> None:
    world = small_world()
    world[5]["status"] = {"parents": parents}
    first = writes(*world)
    written = first["httproutes/resume"].status["parents"]
    others = [item for item in parents if item["controllerName"] == "example.org/other"]
    assert [item for item in written if item["controllerName"] == "example.org/other"] == others
    assert len(written) == len(others) + 1
    assert writes(*taken(world, first), now=LATER) == {}


# Traffic


def a_split(*rules: str, revisions: tuple[str, ...] = ("r1", "r2")) -> Split:
    return Split(
        namespace="looma", service="resume", rules=rules or ("a",), backends=("s", "c"), revisions=revisions
    )


BOTH = {"s": {"": 1}, "c": {"": 2}}


ONE = Split(namespace="looma", service="resume", rules=("a",), backends=("s",), revisions=("r1",))


@pytest.mark.parametrize(
    ("service", "pod", "revision"),
    [
        ("resume", "resume-r3-7d9f4b-x2x4z", "r3"),
        ("resume", "resume-r12-7d9f4b-x2x4z", "r12"),
        ("resume", "resume-0", ""),
        ("resume", "resume-r3", ""),
        ("resume", "resume-r0-a-b", ""),
        ("r", "resume-r3-7d9f4b-x2x4z", ""),
        ("resume", "resume-r2-r1-7d9f4b-x2x4z", "r2"),
        ("resume-r2", "resume-r2-r1-7d9f4b-x2x4z", "r1"),
        ("resume", "", ""),
    ],
)
def test_a_pods_name_says_its_revision(service: str, pod: str, revision: str) -> None:
    assert pod_revision(service, pod) == revision


@given(
    st.dictionaries(st.sampled_from(["r1", "r2", "r3", ""]), st.integers(0, 9), max_size=4),
    st.lists(st.integers(0, 1000), min_size=2, max_size=2).filter(any),
)
def test_what_is_told_is_never_more_than_all(pods: dict[str, int], parts: list[int]) -> None:
    shares = {"a": (parts[0] * 1000 // sum(parts), 1000 - parts[0] * 1000 // sum(parts))}
    (one,) = told([a_split()], actual=shares, asked=shares, up={"s": pods, "c": {"r2": 1}})
    whole = sum(item.percent for item in one.weights)
    assert all(0 <= item.percent <= 100 for item in one.weights)
    assert whole <= 100 + 0.1 * len(one.weights)
    if any(pods.values()):
        assert whole >= 100 - 0.1 * len(one.weights)


@pytest.mark.parametrize(
    ("actual", "up", "split", "weights", "often"),
    [
        ({"a": (1000, 0)}, BOTH, a_split(), {"r1": 100, "r2": 0}, True),
        ({"a": (800, 200)}, BOTH, a_split(), {"r1": 80, "r2": 20}, True),
        ({"a": (995, 5)}, BOTH, a_split(), {"r1": 99.5, "r2": 0.5}, True),
        ({"a": (800, 200)}, {"s": {"": 1}}, a_split(), {"r1": 80, "r2": 0}, True),
        ({"a": (1000,)}, {"s": {"r1": 1, "r2": 3}}, ONE, {"r1": 25, "r2": 75}, True),
        ({"a": (1000,)}, {"s": {"r2": 3}}, ONE, {"r2": 100}, False),
        ({"a": (1000,)}, {"s": {"r2": 1, "": 1}}, ONE, {"r1": 50, "r2": 50}, True),
        ({"a": (1000,)}, {}, ONE, {"r1": 0}, False),
        ({"a": (800, 200)}, {"s": {"r1": 1, "r2": 1}, "c": {"r2": 1}}, a_split(), {"r1": 40, "r2": 60}, True),
        ({"a": (800, 200)}, BOTH, a_split(revisions=("r1", "r1")), {"r1": 100}, True),
        ({"a": (800, 200)}, BOTH, a_split(revisions=("r1", "")), {"r1": 80}, True),
        ({"a": (800, 200), "b": (1000, 0)}, BOTH, a_split("a", "b"), {"r1": 90, "r2": 10}, True),
        ({}, BOTH, a_split(), {}, True),
    ],
)
def test_what_is_told_is_what_haproxy_gives(
    actual: dict[str, tuple[int, ...]],
    up: dict[str, dict[str, int]],
    split: Split,
    weights: dict[str, float],
    often: bool,
) -> None:
    (one,) = told([split], actual=actual, asked=actual, up=up)
    assert {item.revision: item.percent for item in one.weights} == weights
    assert one.often is often


def test_a_service_with_one_target_is_told_seldom_unless_it_differs_from_what_was_asked() -> None:
    single = Split(namespace="looma", service="resume", rules=("a",), backends=("s",), revisions=("r1",))
    (one,) = told([single], actual={"a": (1000,)}, asked={"a": (1000,)}, up=BOTH)
    assert (one.weights, one.often) == ((Weight("r1", 100),), False)
    (other,) = told([single], actual={"a": (1000,)}, asked={"a": (900,)}, up=BOTH)
    assert other.often


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=5).map(sorted))
def test_shares_of_thresholds(ends: list[int]) -> None:
    parts = shares_of(ends)
    assert sum(parts) == ends[-1]
    assert all(part >= 0 for part in parts)
    assert [sum(parts[: number + 1]) for number in range(len(parts))] == ends


def service_with(*entries: Object) -> AIService:
    return read(AIService, {**ai_service(), "status": {"traffic": list(entries)}})


def entry(revision: str, weight: float, at: datetime = NOW, by: str = "pod-a") -> Object:
    return {"gateway": by, "revision": revision, "weight": weight, "observedAt": moment(at)}


def some(*weights: tuple[str, float], often: bool = False) -> Told:
    return Told(
        namespace="looma",
        service="resume",
        weights=tuple(Weight(name, percent) for name, percent in weights),
        often=often,
    )


@pytest.mark.parametrize(
    ("one", "entries", "last", "after", "due"),
    [
        # Nothing was there, or something else.
        (some(("r1", 100)), [], None, 0, True),
        (some(("r1", 90), ("r2", 10)), [entry("r1", 100)], None, 0.1, True),
        (some(("r1", 100)), [entry("r1", 100, by="pod-b")], None, 0, True),
        # The same: seldom at rest, often in a rollout.
        (some(("r1", 100)), [entry("r1", 100)], None, 200, False),
        (some(("r1", 100)), [entry("r1", 100)], None, 240, True),
        (some(("r1", 100), often=True), [entry("r1", 100)], None, 1, False),
        (some(("r1", 100), often=True), [entry("r1", 100)], None, 2, True),
        # What this process wrote is newer than what the watch brought.
        (some(("r1", 80)), [entry("r1", 90)], Written((Weight("r1", 80),), NOW), 1, False),
        (some(("r1", 80)), [], Written((Weight("r1", 80),), NOW), 1, False),
        (some(("r1", 80)), [entry("r1", 90)], Written((Weight("r1", 70),), NOW), 1, True),
        # Nothing to tell any more: the entries go, once.
        (None, [entry("r1", 100)], None, 0, True),
        (None, [entry("r1", 100)], Written((), NOW), 1, False),
        (None, [entry("r1", 100, by="pod-b")], None, 0, False),
        (None, [], None, 0, False),
    ],
)
def test_when_entries_are_written(
    one: Told | None, entries: list[Object], last: Written | None, after: float, due: bool
) -> None:
    now = NOW + timedelta(seconds=after)
    assert is_due(one, service_with(*entries), gateway="pod-a", now=now, last=last) is due


def test_a_rollout_is_told_often_before_its_first_pod_is_there() -> None:
    one = some(("r1", 100))
    entries = [entry("r1", 100)]
    now = NOW + timedelta(seconds=2)
    assert not is_due(one, service_with(*entries), gateway="pod-a", now=now, last=None)
    status = {"traffic": entries, "canary": {"revision": "r2", "weight": {"requested": 20}}}
    rolling = read(AIService, {**ai_service(), "status": status})
    assert is_due(one, rolling, gateway="pod-a", now=now, last=None)
    assert not is_due(one, rolling, gateway="pod-a", now=NOW + timedelta(seconds=1), last=None)


def test_the_document_has_this_pods_entries_alone() -> None:
    made = document("looma", "resume", some(("r1", 99.5), ("r2", 1)), gateway="pod-a", now=NOW)
    assert made["metadata"] == {"name": "resume", "namespace": "looma"}
    assert made["status"]["traffic"] == [
        {"gateway": "pod-a", "revision": "r1", "weight": 99.5, "observedAt": "2025-03-01T12:00:00.250Z"},
        {"gateway": "pod-a", "revision": "r2", "weight": 1, "observedAt": "2025-03-01T12:00:00.250Z"},
    ]
    assert document("looma", "resume", None, gateway="pod-a", now=NOW)["status"]["traffic"] == []


def test_entries_of_gateways_that_are_gone_are_taken_away_by_name() -> None:
    old = NOW - timedelta(seconds=FORGET_SECONDS)
    gone, fresh, more = entry("r1", 1, old, "gone"), entry("r1", 1, NOW, "fresh"), entry("r2", 1, old, "gone")
    assert forgotten(service_with(gone, fresh, more), now=NOW) == [
        {"op": "test", "path": "/status/traffic/2", "value": more},
        {"op": "remove", "path": "/status/traffic/2"},
        {"op": "test", "path": "/status/traffic/0", "value": gone},
        {"op": "remove", "path": "/status/traffic/0"},
    ]
    assert forgotten(service_with(fresh), now=NOW) == []
    assert forgotten(service_with({"gateway": "odd", "observedAt": "yesterday"}), now=NOW) == []


def test_two_services_of_a_route_are_two_revisions() -> None:
    world: list[Any] = [
        gateway(),
        ai_service(),
        service(of="resume", revision="r1"),
        service("resume-canary", of="resume", revision="r2"),
        route(rule(to("resume-stable", 95), to("resume-canary", 5)), of="resume"),
    ]
    translation = translate(snapshot(*world), here=Here(), keys=())
    (only,) = translation.plane.rules
    up = {backend.name: {"": 1} for backend in translation.plane.backends}
    (one,) = told(translation.splits, actual={only.name: (950, 50)}, asked={only.name: (950, 50)}, up=up)
    assert one == some(("r1", 95), ("r2", 5), often=True)


def test_routes_that_are_not_known_here_are_passed_over() -> None:
    known = snapshot(*small_world())
    translation = translate(known, here=Here(), keys=())
    assert status_writes(translation, Snapshot(), applied=WELL, now=NOW) == []
    other = read(HttpRoute, route(name="other", parents=[{"name": "edge"}]))
    assert status_writes(translation, Snapshot(routes=(other,)), applied=WELL, now=NOW) == []
