"""Writes status: a task of its own, so that a slow API server never holds up what HAProxy is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from looma_core import logging
from looma_core.kube import KubeError
from looma_engines.gateway.findings import Translation
from looma_engines.gateway.kube.client import APPLY, JSON_PATCH, MERGE, ConflictError, MissingError
from looma_engines.gateway.objects import AIService, Snapshot
from looma_engines.gateway.report import Applied, StatusWrite, status_writes
from looma_engines.gateway.traffic import (
    Pods,
    Shares,
    Told,
    Written,
    document,
    forgotten,
    is_due,
    own_entries,
    told,
)

log = logging.get(__name__)

# Whoever finds its own words replaced has another view than another pod: they take turns slowly.
REPEAT_SECONDS = 15.0
AT_ONCE = 8
LOOMA_API = "/apis/looma.dev/v1alpha1"


class Writer(Protocol):
    """What writes to the API server; `kube.client.Kube`, or a test's."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> bytes:
        """The answer's body."""
        ...


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to tell: the objects, what was made of them, and what HAProxy gives as read back from it."""

    translation: Translation
    snapshot: Snapshot
    applied: Applied
    actual: Shares
    asked: Shares
    up: Pods


def _now() -> datetime:
    return datetime.now(UTC)


def _without_times(status: object) -> object:
    """A status by what it says, whenever it says it."""
    if isinstance(status, dict):
        return {key: _without_times(value) for key, value in status.items() if key != "lastTransitionTime"}
    if isinstance(status, list):
        return [_without_times(item) for item in status]
    return status


class Teller:
    """Keeps the status of all objects as the latest view has it."""

    def __init__(
        self,
        kube: Writer,
        *,
        pod: str,
        show: Callable[[list[Told]], None] = lambda _: None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Write as the gateway pod of that name; `show` takes what is told of AIServices each time."""
        self._kube = kube
        self._pod = pod
        self._show = show
        self._now = now
        self._view: View | None = None
        self._news = asyncio.Event()
        self._written: dict[str, tuple[bytes, datetime]] = {}
        self._told: dict[tuple[str, str], Written] = {}
        self._refused: dict[str, str] = {}

    def tell(self, view: View) -> None:
        """Take a newer view; it is written soon."""
        self._view = view
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            # Without news nobody read HAProxy back, so nothing may be said about traffic.
            await self._news.wait()
            self._news.clear()
            if self._view is None:
                continue
            try:
                await self.write(self._view)
            except Exception:
                log.exception("status was not written")

    async def write(self, view: View) -> None:
        """Write what differs, and the traffic that is due."""
        now = self._now()
        jobs: list[Awaitable[None]] = [
            self._write_status(write, now)
            for write in status_writes(view.translation, view.snapshot, applied=view.applied, now=now)
        ]
        all_told = told(view.translation.splits, actual=view.actual, asked=view.asked, up=view.up)
        self._show(all_told)
        of = {(one.namespace, one.service): one for one in all_told}
        for service in view.snapshot.ai_services:
            name = (service.metadata.namespace, service.metadata.name)
            one, last = of.get(name), self._told.get(name)
            if is_due(one, service, gateway=self._pod, now=now, last=last):
                jobs.append(self._write_traffic(service, one, now))
            if patch := forgotten(service, now=now):
                jobs.append(self._forget(service, patch))
        limit = asyncio.Semaphore(AT_ONCE)

        async def one_of_few(job: Awaitable[None]) -> None:
            async with limit:
                await job

        await asyncio.gather(*(one_of_few(job) for job in jobs))

    async def take_back(self) -> None:
        """Remove this pod's traffic entries: it is about to end, and gives nobody anything any more."""
        if self._view is None:
            return
        now = self._now()
        mine = [
            service
            for service in self._view.snapshot.ai_services
            if own_entries(service, self._pod)
            or (service.metadata.namespace, service.metadata.name) in self._told
        ]
        await asyncio.gather(*(self._write_traffic(service, None, now) for service in mine))

    async def _write_status(self, write: StatusWrite, now: datetime) -> None:
        said = msgspec.json.encode([write.uid, _without_times(write.status)], order="sorted")
        before = self._written.get(write.path)
        if before is not None and before[0] == said and now - before[1] < timedelta(seconds=REPEAT_SECONDS):
            return
        body = {"metadata": {"resourceVersion": write.resource_version}, "status": write.status}
        if await self._send("PATCH", write.path, body, content_type=MERGE):
            self._written[write.path] = (said, now)

    async def _write_traffic(self, service: AIService, one: Told | None, now: datetime) -> None:
        namespace, name = service.metadata.namespace, service.metadata.name
        path = f"{LOOMA_API}/namespaces/{namespace}/aiservices/{name}"
        body = document(namespace, name, one, gateway=self._pod, now=now)
        query = {"fieldManager": f"looma-gateway-{self._pod}", "force": "true"}
        if await self._send("PATCH", path, body, content_type=APPLY, query=query):
            self._told[namespace, name] = Written(() if one is None else one.weights, now)

    async def _forget(self, service: AIService, patch: object) -> None:
        path = f"{LOOMA_API}/namespaces/{service.metadata.namespace}/aiservices/{service.metadata.name}"
        await self._send("PATCH", path, patch, content_type=JSON_PATCH)

    async def _send(
        self,
        method: str,
        path: str,
        body: object,
        *,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> bool:
        """Send one write to the status of the object at `path`; answers whether it was taken."""
        try:
            await self._kube.request(
                method, f"{path}/status", query=query, body=body, content_type=content_type
            )
        except ConflictError:
            # It changed meanwhile: the watch brings the newer one, and with it the next attempt.
            return False
        except MissingError:
            return False
        except KubeError as error:
            if self._refused.get(path) != error.message:
                self._refused[path] = error.message
                log.warning("cannot write status", path=path, error=error.message[:300])
            return False
        self._refused.pop(path, None)
        return True
