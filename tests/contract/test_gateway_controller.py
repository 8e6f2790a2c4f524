"""The gateway's controller against a real API server, with the rights that a gateway has and no more.

HAProxy is the test's own in the first half: what it is told is what counts. In the second it is the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from looma_core.api.gateway import GatewayTraffic, RevisionTraffic
from looma_core.metrics import Metrics
from looma_engines.gateway.applying import Applier, write_first
from looma_engines.gateway.controller import Controller
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.http import Health
from looma_engines.gateway.kube.client import Kube, load_configuration
from looma_engines.gateway.kube.cluster import Cluster
from looma_engines.gateway.link import RealHaproxy
from looma_engines.gateway.main import run
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.settings import GatewaySettings
from looma_engines.gateway.telling import Teller
from looma_engines.gateway.translate import Here
from looma_operator.rbac import GATEWAY_CLUSTER_RULES, GATEWAY_RULES
from support import gateway_world as objects
from support.control_plane import ControlPlane
from support.gateway_haproxy import FakeHaproxy
from support.haproxy import Haproxy, free_ports

pytestmark = pytest.mark.control_plane

Object = dict[str, Any]
WAIT_SECONDS = 60  # A cold 2-core machine that runs something else beside.
PATHS = {
    "GatewayClass": ("gateway.networking.k8s.io/v1", "gatewayclasses"),
    "Gateway": ("gateway.networking.k8s.io/v1", "gateways"),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "ReferenceGrant": ("gateway.networking.k8s.io/v1beta1", "referencegrants"),
    "Service": ("v1", "services"),
    "Secret": ("v1", "secrets"),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"),
    "AIService": ("looma.dev/v1alpha1", "aiservices"),
}
MADE_BY_THE_SERVER = ("uid", "generation", "resourceVersion", "creationTimestamp")


@dataclass
class World:
    """A namespace with a gateway's controller, seen as the cluster's user sees it."""

    plane: ControlPlane
    namespace: str
    folder: Path
    haproxy: FakeHaproxy = field(init=False)
    link: Any = field(init=False)
    health: Health = field(init=False)
    here: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.haproxy = self.link = FakeHaproxy(self.folder)
        write_first(self.link, self.folder, pod="pod-a")
        self.haproxy.start()

    @property
    def class_name(self) -> str:
        return f"class-of-{self.namespace}"

    def path(self, kind: str, name: str = "") -> str:
        api, plural = PATHS[kind]
        prefix = "/api/v1" if api == "v1" else f"/apis/{api}"
        scope = "" if kind == "GatewayClass" else f"/namespaces/{self.namespace}"
        return f"{prefix}{scope}/{plural}/{name}".rstrip("/")

    def apply(self, document: Object) -> Object:
        """Apply an object of the helpers', here and with what this server knows."""
        meta = {key: value for key, value in document["metadata"].items() if key not in MADE_BY_THE_SERVER}
        meta["namespace"] = self.namespace
        if document["kind"] == "GatewayClass":
            del meta["namespace"]
        for reference in meta.get("ownerReferences", ()):
            reference["uid"] = self.get("AIService", reference["name"])["metadata"]["uid"]
        body = {**document, "metadata": meta}
        code, answer = self.plane.apply(self.path(document["kind"], meta["name"]), body, manager="person")
        assert code in (200, 201), answer
        return answer

    def get(self, kind: str, name: str) -> Object:
        code, answer = self.plane.request("GET", self.path(kind, name))
        assert code == 200, answer
        return answer

    def delete(self, kind: str, name: str) -> None:
        assert self.plane.request("DELETE", self.path(kind, name))[0] == 200

    def gateway(self, *listeners: Object) -> Object:
        return objects.gateway(*listeners, class_name=self.class_name)

    def route(self, *rules: Object, **more: Any) -> Object:
        more.setdefault("parents", [{"name": "looma"}])
        return objects.route(*rules, **more)

    def build(self) -> None:
        """A class, a Gateway, an AIService with a stable and a canary Service, and its route."""
        self.apply(objects.gateway_class(self.class_name))
        self.apply(self.gateway())
        self.apply(objects.ai_service(pathPrefixes=["/api/v1/resumes"], auth={"required": False}))
        for name, revision, address in (("stable", "r1", "10.0.0.1"), ("canary", "r2", "10.0.0.2")):
            self.apply(objects.service(f"resume-{name}", of="resume", revision=revision))
            self.apply(objects.slice_of(f"resume-{name}", objects.endpoint(address)))
        self.weigh(0)

    def weigh(self, canary: int) -> None:
        """Give the canary that percentage."""
        rule = objects.rule(
            objects.to("resume-stable", 100 - canary),
            objects.to("resume-canary", canary),
            matches=[objects.match("/api/v1/resumes")],
        )
        self.apply(self.route(rule, of="resume"))

    @property
    def running(self) -> DataPlane:
        assert self.haproxy.running is not None
        return self.haproxy.running

    def weights(self) -> list[tuple[int, ...]]:
        """The weights of each rule that runs."""
        return [tuple(target.weight for target in rule.targets) for rule in self.running.rules]

    def condition(self, kind: str, name: str, of: str) -> str:
        """Status and reason of a condition; of a route that at its first parent of ours."""
        status = self.get(kind, name).get("status", {})
        if kind == "HTTPRoute":
            ours = [p for p in status.get("parents", []) if p["controllerName"] == "looma.dev/gateway"]
            status = ours[0] if ours else {}
        found = [item for item in status.get("conditions", []) if item["type"] == of]
        return f"{found[0]['status']} {found[0]['reason']}" if found else ""

    def traffic(self) -> dict[str, float]:
        """What is told of the AIService: percent by revision."""
        entries = self.get("AIService", "resume").get("status", {}).get("traffic", [])
        assert all(entry["gateway"] == "pod-a" for entry in entries)
        return {entry["revision"]: entry["weight"] for entry in entries}

    async def until(self, holds: Callable[[], bool], sentence: str) -> None:
        """Ask until it holds; fails with the sentence."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not await asyncio.to_thread(holds):
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {sentence}"
            await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def controller(self) -> AsyncIterator[None]:
        """Run the controller's parts."""
        kube = Kube(await load_configuration())
        metrics = Metrics(service="gateway", revision="r1")
        counted = GatewayMetrics(metrics)
        self.health = Health(metrics)
        here = Here(namespace=self.namespace, pod="pod-a", class_name=self.class_name, **self.here)
        cluster = Cluster(kube, namespaces=[self.namespace], class_name=self.class_name)
        teller = Teller(kube, pod="pod-a")
        controller = Controller(
            cluster=cluster,
            applier=Applier(self.link, self.folder),
            here=here,
            keys=tuple,
            ends=lambda rule: thresholds(rule.targets),
            tell=teller.tell,
            health=self.health,
            metrics=counted,
        )
        tasks = [asyncio.create_task(part) for part in (cluster.run(), teller.run(), controller.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await teller.take_back()
            await kube.close()


def grant(plane: ControlPlane, namespace: str, user: str) -> None:
    """Give a user a gateway's rights in a namespace, and no more."""
    group = "rbac.authorization.k8s.io"
    base = f"/apis/{group}/v1"
    subjects = [{"kind": "User", "apiGroup": group, "name": user}]
    for kind, plural, where, rules in (
        ("Role", "roles", f"/namespaces/{namespace}", GATEWAY_RULES),
        ("ClusterRole", "clusterroles", "", GATEWAY_CLUSTER_RULES),
    ):
        role = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": {"name": user}}
        role["rules"] = [rule.to_json() for rule in rules]
        binding = {
            "kind": f"{kind}Binding",
            "apiVersion": f"{group}/v1",
            "metadata": {"name": user},
            "roleRef": {"apiGroup": group, "kind": kind, "name": user},
            "subjects": subjects,
        }
        assert plane.apply(f"{base}{where}/{plural}/{user}", role)[0] in (200, 201)
        bindings = plural.replace("roles", "rolebindings")
        assert plane.apply(f"{base}{where}/{bindings}/{user}", binding)[0] in (200, 201)


def enter(control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on clients of this process are a gateway's account."""
    user = f"gateway-of-{namespace}"
    grant(control_plane, namespace, user)
    kubeconfig = control_plane.kubeconfig_for(user, namespace=namespace)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))


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


# With the real HAProxy


def own_address() -> str:
    """An address of this machine that is not loopback: EndpointSlices take no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent; connecting chooses the address.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@dataclass
class Pod:
    """A pod's HTTP on this machine: answers each request with its name."""

    name: str
    address: str = field(default_factory=own_address)
    port: int = 0

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text=self.name)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[Pod]:
        """Serve for as long as it is asked for."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, self.address, 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass
class RealWorld(World):
    """A namespace with a controller and the HAProxy that the gateway's image holds."""

    real: Haproxy | None = None
    ports: list[int] = field(default_factory=lambda: free_ports(4))

    def __post_init__(self) -> None:
        assert self.real is not None
        http, https, probes, peers = self.ports
        settings = Settings(address="127.0.0.1", probes_port=probes, peers_port=peers, threads=1)
        self.link = RealHaproxy(self.folder, settings, inside=self.real.inside)
        self.here = {"http_port": http, "https_port": https}
        write_first(self.link, self.folder, pod="pod-a")
        self.real.start()

    def slice(self, service: str, *pods: Pod) -> None:
        """The endpoints of a Service are these pods."""
        for number, pod in enumerate(pods):
            made = objects.slice_of(
                service, objects.endpoint(pod.address, pod.name), port=pod.port, part=str(number)
            )
            self.apply(made)
        for part in ("a", *range(len(pods), 2)):
            self.plane.request("DELETE", self.path("EndpointSlice", f"{service}-{part}"))

    async def ask(
        self, session: aiohttp.ClientSession, path: str = "/api/v1/resumes/1", **more: Any
    ) -> tuple[int, str]:
        """Status and text of an answer at the listener for HTTP."""
        async with session.get(f"http://127.0.0.1:{self.ports[0]}{path}", **more) as answer:
            return answer.status, await answer.text()

    def servers(self) -> list[str]:
        """Servers that the stable Service has in HAProxy."""
        assert self.real is not None
        state = self.real.command(f"show servers state {self.namespace}_resume-stable_80")
        return [line.split()[3] for line in state.splitlines()[2:] if line.strip()]

    @property
    def worker(self) -> str:
        """The process of HAProxy's worker: another one comes with each reload."""
        assert self.real is not None
        (pid,) = re.findall(r"^Pid: (\d+)$", self.real.command("show info"), re.MULTILINE)
        return str(pid)


@pytest.fixture
def real_world(
    control_plane: ControlPlane,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    new_haproxy: Callable[[], Haproxy],
) -> RealWorld:
    """As `world`, with the real HAProxy."""
    enter(control_plane, namespace, monkeypatch)
    haproxy = new_haproxy()
    return RealWorld(control_plane, namespace, haproxy.folder, real=haproxy)


async def until_answers(world: RealWorld, session: aiohttp.ClientSession, expected: tuple[int, str]) -> None:
    """Ask until the answer is as expected; before the first configuration nobody listens."""
    deadline = time.monotonic() + WAIT_SECONDS
    found: object = None
    while found != expected:
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {expected}, but {found}"
        try:
            found = await world.ask(session)
        except aiohttp.ClientError as error:
            found = error
        await asyncio.sleep(0.02)


async def test_shares_are_exact_and_move_without_a_reload_or_a_lost_request(real_world: RealWorld) -> None:
    world = real_world
    async with (
        Pod("stable").serve() as stable,
        Pod("canary").serve() as canary,
        aiohttp.ClientSession() as session,
    ):
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        world.slice("resume-canary", canary)
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            await world.until(lambda: world.traffic() == {"r1": 100, "r2": 0}, "it is told")
            worker = world.worker
            for percent in (5, 50):
                await asyncio.to_thread(world.weigh, percent)
                await world.until(
                    lambda percent=percent: world.traffic() == {"r1": 100 - percent, "r2": percent},
                    "it is told",
                )
                answers = [await world.ask(session) for _ in range(1000)]
                assert answers.count((200, "canary")) == percent * 10
                assert answers.count((200, "stable")) == 1000 - percent * 10
            assert world.worker == worker
            # A canary without a pod that answers gets nothing, and that is told as well.
            world.slice("resume-canary")
            await world.until(lambda: world.traffic() == {"r1": 50, "r2": 0}, "it is told")
            assert world.worker == worker
        # HAProxy goes on without its controller, and the next controller goes on from there.
        world.slice("resume-canary", canary)
        assert (await world.ask(session))[0] in (200, 503)
        async with world.controller():
            await asyncio.to_thread(world.weigh, 100)
            await until_answers(world, session, (200, "canary"))
            assert world.worker == worker


async def test_pods_are_replaced_while_requests_run(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("one").serve() as one, Pod("two").serve() as two, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", one)
        async with world.controller():
            await until_answers(world, session, (200, "one"))
            worker = world.worker
            answers: list[tuple[int, str]] = []
            over = asyncio.Event()

            async def load() -> None:
                while not over.is_set():
                    answers.append(await world.ask(session))

            caller = asyncio.create_task(load())
            # Each change is seen by HAProxy before the next: what is lost, is lost by a change.
            for pods, left in (((one, two), None), ((two,), "two"), ((one, two), None), ((one,), "one")):
                await asyncio.to_thread(world.slice, "resume-stable", *pods)
                if left is not None:
                    await until_answers(world, session, (200, left))
                    await world.until(lambda: len(world.servers()) == 1, "the other is gone")
                else:
                    await world.until(lambda: len(world.servers()) == 2, "both are there")
            over.set()
            await caller
            assert set(answers) == {(200, "one"), (200, "two")}
            assert world.worker == worker


async def test_what_somebody_else_changes_in_haproxy_is_put_right(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("stable").serve() as stable, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            await world.until(lambda: world.traffic() == {"r1": 100, "r2": 0}, "it is told")
            assert world.real is not None
            state = f"{world.namespace}_resume-stable_80/{world.servers()[0]}"
            assert world.real.command(f"set server {state} state maint") == ""
            assert (await world.ask(session))[0] == 503
            await until_answers(world, session, (200, "stable"))
            # And HAProxy that ends by itself comes back with the flow that it had, as its files have it.
            await asyncio.to_thread(world.weigh, 30)
            await world.until(lambda: world.traffic() == {"r1": 70, "r2": 0}, "it is told")
            world.real.stop()
            world.real.start()
            worker = world.worker
            await until_answers(world, session, (200, "stable"))
            first = world.get("AIService", "resume")["status"]["traffic"][0]["observedAt"]
            await world.until(
                lambda: world.get("AIService", "resume")["status"]["traffic"][0]["observedAt"] > first,
                "it was read back since",
            )
            assert (world.traffic(), world.worker) == ({"r1": 70, "r2": 0}, worker)


async def test_what_haproxy_refuses_is_told_and_the_rest_goes_on(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("stable").serve() as stable, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            # A key that is good enough for a certificate, and too short for HAProxy.
            certificate, key = objects.pem("short.example.org", bits=1024)
            world.apply(objects.secret("looma-gateway-tls", certificate=certificate, key=key))
            world.apply(world.gateway(objects.listener(), objects.https(of="looma-gateway-tls")))
            await world.until(
                lambda: world.condition("Gateway", "looma", "Programmed") == "False Invalid", "it is told"
            )
            (said,) = [
                item
                for item in world.get("Gateway", "looma")["status"]["conditions"]
                if item["type"] == "Programmed"
            ]
            assert "key too small" in said["message"]
            assert await world.ask(session) == (200, "stable")
            # HAProxy that ends now starts by files that it takes, and pods come and go all the same.
            assert world.real is not None
            world.real.stop()
            world.real.start()
            assert await world.ask(session) == (200, "stable")
            world.apply(objects.secret("looma-gateway-tls"))
            world.apply(world.gateway(objects.listener(), objects.https("tls", of="looma-gateway-tls")))
            await world.until(
                lambda: world.condition("Gateway", "looma", "Programmed") == "True Programmed", "all is well"
            )


async def test_a_route_of_the_https_listener_is_not_there_for_http(real_world: RealWorld) -> None:
    world = real_world
    async with Pod("stable").serve() as stable, aiohttp.ClientSession() as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", stable)
        world.apply(objects.secret("looma-gateway-tls"))
        world.apply(world.gateway(objects.listener(), objects.https(of="looma-gateway-tls")))
        rule = objects.rule(objects.to("resume-stable"), matches=[objects.match("/secure")])
        world.apply(world.route(rule, name="secure", parents=[{"name": "looma", "sectionName": "https"}]))
        async with world.controller():
            await until_answers(world, session, (200, "stable"))
            secure = f"https://127.0.0.1:{world.ports[1]}/secure"
            async with session.get(secure, ssl=False) as answer:
                assert (answer.status, await answer.text()) == (200, "stable")
            for headers in ({}, {"X-Forwarded-Proto": "https"}):
                assert (await world.ask(session, "/secure", headers=headers))[0] == 404


async def test_the_whole_controller_tells_what_passes(real_world: RealWorld) -> None:
    world = real_world
    (own,) = free_ports(1)
    settings = GatewaySettings(
        service="gateway",
        namespace=world.namespace,
        revision="r7",
        host="127.0.0.1",
        pod="pod-a",
        gateway_class=world.class_name,
        gateway_folder=str(world.folder),
        gateway_http_port=world.ports[0],
        gateway_https_port=world.ports[1],
        gateway_controller_port=own,
        jwks_url="http://127.0.0.1:1/jwks",
    )
    async with Pod("stable").serve() as pod, aiohttp.ClientSession(f"http://127.0.0.1:{own}") as session:
        await asyncio.to_thread(world.build)
        world.slice("resume-stable", pod)
        task = asyncio.create_task(run(settings, world.link))
        try:
            async with aiohttp.ClientSession() as caller:
                await until_answers(world, caller, (200, "stable"))
                # From the first look on: what was before it, an earlier controller counted.
                await until_told(session, lambda told: told.window_seconds > 0 and told.services)
                for _ in range(20):
                    assert await world.ask(caller) == (200, "stable")
            # HAProxy drops samples that nobody has read yet; what it counts, it counts.
            told = await until_told(session, lambda told: sum(_stable(told).seconds) > 0)
            assert (told.gateway, told.services[0].service) == ("pod-a", "resume")
            assert (_stable(told).asked, _stable(told).given) == (100, 100)
            labels = f'code="2xx",retry="false",revision="r1",service="{world.namespace}/resume"'
            line = re.compile(rf"^looma_gateway_attempts_total\{{{labels}\}} (\S+)$", re.MULTILINE)
            async with asyncio.timeout(WAIT_SECONDS):
                counted = None
                while counted is None or float(counted[1]) < 20:
                    async with session.get("/metrics") as answer:
                        text = await answer.text()
                    counted = line.search(text)
                    await asyncio.sleep(0.05)
            assert f'looma_gateway_own_seconds_count{{service="{world.namespace}/resume"}}' in text
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _stable(told: GatewayTraffic) -> RevisionTraffic:
    found = {revision.revision: revision for service in told.services for revision in service.revisions}
    return found.get("r1", RevisionTraffic(revision="r1"))


async def until_told(
    session: aiohttp.ClientSession, holds: Callable[[GatewayTraffic], object]
) -> GatewayTraffic:
    """Ask the controller for its traffic until it is so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get("/traffic") as answer:
                    told = msgspec.json.decode(await answer.read(), type=GatewayTraffic)
                    if holds(told):
                        return told
            await asyncio.sleep(0.05)
