"""A namespace of a real control plane with a gateway's controller, and a HAProxy of the test's own or the real one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from looma_core.kube import load_configuration
from looma_core.metrics import Metrics
from looma_engines.gateway.applying import Applier, write_first
from looma_engines.gateway.controller import Controller
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.http import Health
from looma_engines.gateway.kube.client import Kube
from looma_engines.gateway.kube.cluster import Cluster
from looma_engines.gateway.link import RealHaproxy
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.telling import Teller
from looma_engines.gateway.translate import Here
from looma_operator.rbac import GATEWAY_CLUSTER_RULES, GATEWAY_RULES
from support import gateway_world as objects
from support.control_plane import ControlPlane
from support.gateway_haproxy import FakeHaproxy
from support.haproxy import Haproxy, free_ports

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


async def until_answers(
    world: RealWorld, session: aiohttp.ClientSession, expected: tuple[int, str], **more: Any
) -> None:
    """Ask until the answer is as expected; before the first configuration nobody listens."""
    deadline = time.monotonic() + WAIT_SECONDS
    found: object = None
    while found != expected:
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {expected}, but {found}"
        try:
            found = await world.ask(session, **more)
        except aiohttp.ClientError as error:
            found = error
        await asyncio.sleep(0.02)
