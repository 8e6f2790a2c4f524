"""The gateway's controller against a real API server, with the rights that a gateway has and no more.

HAProxy is the test's own: what it is told is what counts.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from support import gateway_world as objects
from support.control_plane import ControlPlane
from support.gateway_cluster import World, enter

pytestmark = pytest.mark.control_plane


@pytest.fixture
def world(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A namespace of its own, with the way in of a gateway's account."""
    enter(control_plane, namespace, monkeypatch)
    return World(control_plane, namespace, tmp_path / "run")


async def test_objects_become_a_data_plane_and_are_told_so(world: World) -> None:
    await asyncio.to_thread(world.build)
    async with world.controller():
        await world.until(lambda: world.running.ready, "the cluster was read")
        (rule,) = world.running.rules
        assert (rule.service, rule.matches[0].path) == ("resume", "/api/v1/resumes")
        assert [(item.name, item.check_path) for item in world.running.backends] == [
            (f"{world.namespace}_resume-canary_80", "/readyz"),
            (f"{world.namespace}_resume-stable_80", "/readyz"),
        ]
        assert [item.endpoints[0].address for item in world.running.backends] == ["10.0.0.2", "10.0.0.1"]
        for kind, name, of, expected in (
            ("GatewayClass", world.class_name, "Accepted", "True Accepted"),
            ("Gateway", "looma", "Accepted", "True Accepted"),
            ("Gateway", "looma", "Programmed", "True Programmed"),
            ("HTTPRoute", "resume", "Accepted", "True Accepted"),
            ("HTTPRoute", "resume", "ResolvedRefs", "True ResolvedRefs"),
        ):
            await world.until(
                lambda kind=kind, name=name, of=of, expected=expected: (
                    world.condition(kind, name, of) == expected
                ),
                f"{kind} {name} is {of}: {expected}",
            )
        (listener,) = world.get("Gateway", "looma")["status"]["listeners"]
        assert listener["attachedRoutes"] == 1
        route = world.get("HTTPRoute", "resume")
        (parent,) = route["status"]["parents"]
        assert {item["observedGeneration"] for item in parent["conditions"]} == {
            route["metadata"]["generation"]
        }
        await world.until(lambda: world.health.waits_for == [], "it is ready")


async def test_at_rest_nothing_is_written(world: World) -> None:
    await asyncio.to_thread(world.build)

    def versions() -> list[str]:
        return [
            world.get(kind, name)["metadata"]["resourceVersion"]
            for kind, name in (
                ("GatewayClass", world.class_name),
                ("Gateway", "looma"),
                ("HTTPRoute", "resume"),
            )
        ]

    async with world.controller():
        await world.until(lambda: world.condition("HTTPRoute", "resume", "Accepted") != "", "told")
        await world.until(lambda: world.condition("Gateway", "looma", "Programmed") != "", "told")
        await world.until(lambda: world.condition("GatewayClass", world.class_name, "Accepted") != "", "told")
        before = versions()
        first = world.get("AIService", "resume")["status"]["traffic"][0]["observedAt"]
        # The route splits its requests, so traffic is told again and again, and each time all statuses are compared.
        await world.until(
            lambda: world.get("AIService", "resume")["status"]["traffic"][0]["observedAt"] > first,
            "told again",
        )
        assert versions() == before


async def test_a_weight_moves_without_a_reload_and_is_told(world: World) -> None:
    await asyncio.to_thread(world.build)
    async with world.controller():
        await world.until(lambda: world.traffic() == {"r1": 100, "r2": 0}, "all is r1's")
        reloads, moved = world.haproxy.reloads, len(world.haproxy.commands)
        for canary in (5, 50, 100):
            await asyncio.to_thread(world.weigh, canary)
            await world.until(lambda canary=canary: world.weights() == [(100 - canary, canary)], "it moved")
            await world.until(
                lambda canary=canary: world.traffic() == {"r1": 100 - canary, "r2": canary}, "it is told"
            )
        assert (world.haproxy.reloads, len(world.haproxy.commands)) == (reloads, moved + 3)
        entry = world.get("AIService", "resume")["status"]["traffic"][0]
        assert datetime.fromisoformat(entry["observedAt"]).tzinfo is not None
        managers = {
            item["manager"]
            for item in world.get("AIService", "resume")["metadata"]["managedFields"]
            if item.get("subresource") == "status"
        }
        assert managers == {"looma-gateway-pod-a"}
    assert world.traffic() == {}


async def test_pods_come_and_go_without_a_reload(world: World) -> None:
    await asyncio.to_thread(world.build)

    def pods() -> list[tuple[str, bool]]:
        (stable,) = [item for item in world.running.backends if item.name.endswith("_resume-stable_80")]
        return [(item.address, item.draining) for item in stable.endpoints]

    async with world.controller():
        await world.until(lambda: world.running.ready and pods() == [("10.0.0.1", False)], "one pod")
        reloads = world.haproxy.reloads
        going = objects.endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
        world.apply(objects.slice_of("resume-stable", going, objects.endpoint("10.0.0.3")))
        await world.until(lambda: pods() == [("10.0.0.1", True), ("10.0.0.3", False)], "one drains")
        world.apply(objects.slice_of("resume-stable"))
        await world.until(lambda: pods() == [], "all are gone")
        assert world.haproxy.reloads == reloads


async def test_a_route_that_goes_takes_its_rules_and_its_traffic(world: World) -> None:
    await asyncio.to_thread(world.build)
    async with world.controller():
        await world.until(lambda: world.traffic() == {"r1": 100, "r2": 0}, "told")
        world.delete("HTTPRoute", "resume")
        await world.until(lambda: world.running.rules == (), "the rule is gone")
        await world.until(lambda: world.traffic() == {}, "its entries are gone")
        await world.until(
            lambda: world.get("Gateway", "looma")["status"]["listeners"][0]["attachedRoutes"] == 0,
            "not attached",
        )


async def test_what_is_wrong_is_said_and_another_controllers_word_stays(world: World) -> None:
    await asyncio.to_thread(world.build)
    rule = objects.rule(objects.to("nobody"))
    world.apply(world.route(rule, name="lost", parents=[{"name": "looma"}, {"name": "edge"}]))
    foreign = {
        "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"},
        "controllerName": "example.org/other",
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            }
        ],
    }
    code, answer = world.plane.request(
        "PATCH",
        world.path("HTTPRoute", "lost") + "/status",
        {"status": {"parents": [foreign]}},
        content_type="application/merge-patch+json",
    )
    assert code == 200, answer
    async with world.controller():
        await world.until(
            lambda: world.condition("HTTPRoute", "lost", "ResolvedRefs") == "False BackendNotFound",
            "it is said",
        )
        assert world.condition("HTTPRoute", "lost", "Accepted") == "True Accepted"
        assert world.get("HTTPRoute", "lost")["status"]["parents"][0] == foreign
        world.apply(objects.service("nobody"))
        await world.until(
            lambda: world.condition("HTTPRoute", "lost", "ResolvedRefs") == "True ResolvedRefs", "it is there"
        )
        # It leaves our Gateway: our word goes, the other stays.
        world.apply(world.route(rule, name="lost", parents=[{"name": "edge"}]))
        await world.until(
            lambda: world.get("HTTPRoute", "lost")["status"]["parents"] == [foreign], "our word is gone"
        )


async def test_a_certificate_opens_https_by_the_one_secret_that_may_be_read(world: World) -> None:
    await asyncio.to_thread(world.build)
    world.apply(world.gateway(objects.listener(), objects.https(of="looma-gateway-tls")))
    async with world.controller():
        await world.until(
            lambda: world.condition("Gateway", "looma", "Accepted") == "True ListenersNotValid",
            "no certificate",
        )
        assert [item.port for item in world.running.listeners] == [8080]
        world.apply(objects.secret("looma-gateway-tls"))
        # A change of the Gateway makes it look at once; without one it would look within seconds.
        world.apply(world.gateway(objects.listener(), objects.https("tls", of="looma-gateway-tls")))
        await world.until(lambda: [i.port for i in world.running.listeners] == [8080, 8443], "it is open")
        assert world.condition("Gateway", "looma", "Programmed") == "True Programmed"


async def test_a_controller_that_starts_anew_disturbs_nothing(world: World) -> None:
    await asyncio.to_thread(world.build)
    async with world.controller():
        await world.until(lambda: world.running.ready and world.weights() == [(100, 0)], "it runs")
        reloads = world.haproxy.reloads
    async with world.controller():
        await asyncio.to_thread(world.weigh, 10)
        await world.until(lambda: world.weights() == [(90, 10)], "it goes on")
        assert world.haproxy.reloads == reloads
        await world.until(lambda: world.traffic() == {"r1": 90, "r2": 10}, "it is told")
