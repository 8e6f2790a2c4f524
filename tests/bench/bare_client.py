"""A bare client of the API server, and what its watches see of services' children: for the scale part."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from support.control_plane import ControlPlane

AT_ONCE = 16
LONGEST_SECONDS = 900.0
LABEL = "app.kubernetes.io/instance"
OURS = "app.kubernetes.io/part-of=looma"
Object = dict[str, Any]

KINDS = {
    "controllerrevisions": ("/apis/apps/v1", "ControllerRevision"),
    "deployments": ("/apis/apps/v1", "Deployment"),
    "services": ("/api/v1", "Service"),
    "serviceaccounts": ("/api/v1", "ServiceAccount"),
    "poddisruptionbudgets": ("/apis/policy/v1", "PodDisruptionBudget"),
    "networkpolicies": ("/apis/networking.k8s.io/v1", "NetworkPolicy"),
    "httproutes": ("/apis/gateway.networking.k8s.io/v1", "HTTPRoute"),
}


class _Meta(msgspec.Struct):
    labels: dict[str, str] = {}


class _Seen(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: _Seen


class Bare:
    """A client without any opinion: one connection pool, JSON."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def send(
        self, method: str, path: str, body: object = None, kind: str = "application/json"
    ) -> Object:
        """The answer's JSON; at most AT_ONCE at a time."""
        data = None if body is None else json.dumps(body).encode()
        async with (
            self._gate,
            self._session.request(
                method, self._server + path, data=data, headers={"Content-Type": kind}
            ) as answer,
        ):
            text = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:500]!r}")
            found: Object = json.loads(text)
            return found

    async def watch(self, path: str) -> AsyncIterator[bytes]:
        """Lines of a watch, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._server + path, timeout=timeout) as answer:
            answer.raise_for_status()
            pending = b""
            async for chunk in answer.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    yield line


@dataclass
class Watched:
    """When each service's children were there: the moment of the last one, in seconds of the running clock."""

    created: dict[str, float] = field(default_factory=dict)
    complete: dict[str, float] = field(default_factory=dict)
    _kinds: dict[str, set[str]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, plural: str, service: str) -> None:
        """A child of that kind is there."""
        kinds = self._kinds.setdefault(service, set())
        kinds.add(plural)
        if len(kinds) == len(KINDS) and service not in self.complete:
            self.complete[service] = time.perf_counter()
            self.changed.set()

    async def until(self, count: int) -> None:
        """Wait until that many services have all children.

        Raises:
            TimeoutError: after LONGEST_SECONDS, with what is missing.
        """
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                while len(self.complete) < count:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError as error:
            missing = Counter(
                plural for kinds in self._kinds.values() for plural in KINDS if plural not in kinds
            )
            raise TimeoutError(f"{len(self.complete)} of {count} are complete; missing: {missing}") from error

    def waits(self) -> list[float]:
        """Seconds from each creation until all children were there, sorted."""
        return sorted(self.complete[name] - self.created[name] for name in self.created)


@asynccontextmanager
async def watching(bare: Bare, namespace: str) -> AsyncIterator[Watched]:
    """Watches of all kinds of children in a namespace, which begin before anything is created."""
    watched = Watched()
    decoder = msgspec.json.Decoder(_Event)

    async def follow(plural: str) -> None:
        query = f"watch=true&labelSelector={OURS.replace('=', '%3D')}&resourceVersion=0"
        async for line in bare.watch(f"{KINDS[plural][0]}/namespaces/{namespace}/{plural}?{query}"):
            event = decoder.decode(line)
            if event.type == "ADDED":
                watched.saw(plural, event.object.metadata.labels[LABEL])

    tasks = [asyncio.create_task(follow(plural)) for plural in KINDS]
    try:
        await asyncio.sleep(0.5)
        yield watched
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def client(plane: ControlPlane, user: str = "admin") -> AsyncIterator[Bare]:
    """A bare client as a user that has a certificate, by default the administrator."""
    context = ssl.create_default_context(cafile=str(plane.pki.folder / "ca.crt"))
    context.load_cert_chain(plane.pki.folder / f"{user}.crt", plane.pki.folder / f"{user}.key")
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Bare(session, plane.server)
