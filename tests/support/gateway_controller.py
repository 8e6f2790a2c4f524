"""A gateway's controller with a cluster and a HAProxy of the test's own, and a clock that stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from looma_core.metrics import Metrics
from looma_engines.gateway.applying import Applier, write_first
from looma_engines.gateway.controller import Controller
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.http import Health
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import DataPlane, TokenKey
from looma_engines.gateway.objects import Snapshot
from looma_engines.gateway.telling import View
from looma_engines.gateway.translate import Here
from support.gateway_haproxy import FakeHaproxy
from support.gateway_world import (
    Object,
    ai_service,
    endpoint,
    gateway,
    route,
    rule,
    service,
    slice_of,
    snapshot,
    to,
)


class Cluster:
    """What is known of the cluster, as the test says."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.waits_for: list[str] = []
        self.documents: list[Object] = []

    def show(self, *documents: Object) -> None:
        self.documents = list(documents)
        self.changed.set()

    def snapshot(self) -> Snapshot:
        return snapshot(*self.documents)


class World:
    """A controller with a HAProxy and a cluster of the test's own, and a clock that stands."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.cluster = Cluster()
        self.haproxy = FakeHaproxy(folder)
        self.keys: tuple[TokenKey, ...] = ()
        self.keyless: list[str] = []
        self.views: list[View] = []
        self.metrics = Metrics(service="gateway", revision="r1")
        self.health = Health(self.metrics, clock=lambda: self.now)
        counted = GatewayMetrics(self.metrics)
        write_first(self.haproxy, folder, pod="pod-a")
        self.haproxy.start()
        self.applier = Applier(self.haproxy, folder, on_step=counted.count)
        self.controller = Controller(
            cluster=self.cluster,
            applier=self.applier,
            here=Here(pod="pod-a"),
            keys=lambda: self.keys,
            keyless=lambda: self.keyless,
            ends=lambda one: thresholds(one.targets),
            tell=self.views.append,
            health=self.health,
            metrics=counted,
            clock=lambda: self.now,
        )

    @property
    def running(self) -> DataPlane:
        assert self.haproxy.running is not None
        return self.haproxy.running

    def counted(self, series: str) -> float:
        for line in self.metrics.exposition().decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


def canary(weight: int) -> list[Object]:
    """A world in which a rollout goes on."""
    return [
        gateway(),
        ai_service(),
        service(of="resume", revision="r1"),
        service("resume-canary", of="resume", revision="r2"),
        slice_of("resume-stable", endpoint("10.0.0.1")),
        slice_of("resume-canary", endpoint("10.0.0.2")),
        route(rule(to("resume-stable", 100 - weight), to("resume-canary", weight)), of="resume"),
    ]


async def until(holds: Callable[[], object]) -> None:
    """Wait for something to be so; raises TimeoutError if it does not come to be."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what holds is the code's own state, which tells nobody
            await asyncio.sleep(0)
