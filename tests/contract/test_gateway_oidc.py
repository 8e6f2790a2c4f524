"""A certified OpenID Connect server's tokens at the gateway, and at the engines' own check, while its keys change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from looma_core.auth import JwksKeys, Principal, TokenVerifier
from looma_core.claims import ClaimNames
from looma_core.metrics import Metrics
from looma_core.problems import Unauthenticated
from looma_engines.gateway import tokens
from looma_engines.gateway.applying import Applier, write_first
from looma_engines.gateway.controller import Controller
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.http import Health
from looma_engines.gateway.link import RealHaproxy
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.objects import Snapshot
from looma_engines.gateway.tokens import IssuerKeys, all_keys
from looma_engines.gateway.translate import Here
from support import gateway_world as objects
from support.haproxy import Engine, Haproxy, free_ports
from support.oidc_server import OidcServer, serve

AUDIENCE = "looma-test"
# As many issuers have them: not called as ours, and one within an object.
NAMES = ClaimNames(tenant="organisation", roles="realm_access.roles")


def claims(role: str) -> dict[str, Any]:
    return {"realm_access": {"roles": [role]}}


CLIENTS = {
    "ada": claims("recruiter") | {"organisation": "demo"},
    "eve": claims("guest") | {"organisation": "demo"},
    "nobody": claims("recruiter"),
    "liar": claims("guest") | {"organisation": "demo", "tenant": "others", "roles": ["recruiter"]},
}
WAIT_SECONDS = 60.0  # A cold 2-core machine that runs something else beside.


@dataclass
class KnownObjects:
    """The cluster's objects, as they are all through the test."""

    known: Snapshot
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waits_for: list[str] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        return self.known


@dataclass
class Address:
    """A gateway's controller with its HAProxy, and what a caller gets there."""

    haproxy: Haproxy
    engine: Engine
    server: OidcServer
    http: int = field(default_factory=lambda: free_ports(1)[0])

    def __post_init__(self) -> None:
        probes, peers = free_ports(2)
        settings = Settings(
            address="127.0.0.1",
            probes_port=probes,
            peers_port=peers,
            threads=1,
            access_log=False,
            claims=NAMES,
        )
        self.link = RealHaproxy(self.haproxy.folder, settings, inside=self.haproxy.inside)
        write_first(self.link, self.haproxy.folder, pod="pod-a")
        self.haproxy.start()

    @contextlib.asynccontextmanager
    async def controller(self) -> AsyncIterator[IssuerKeys]:
        """The controller and the task that keeps the issuer's keys, wired as the gateway wires them."""
        world = objects.small_world(auth={"required": True, "roles": ["recruiter"]})
        world = [item for item in world if item["kind"] != "EndpointSlice"]
        pod = objects.slice_of("resume-stable", objects.endpoint("127.0.0.1"), port=self.engine.port)
        cluster = KnownObjects(objects.snapshot(*world, pod))
        metrics = Metrics(service="gateway", revision="r1")
        keys = IssuerKeys(
            self.server.discovered("jwks_uri") if self.server.process else f"{self.server.issuer}/jwks",
            folder=self.haproxy.folder,
            on_change=cluster.changed.set,
        )
        controller = Controller(
            cluster=cluster,
            applier=Applier(self.link, self.haproxy.folder),
            here=Here(
                namespace=objects.HOME,
                pod="pod-a",
                issuer=self.server.issuer,
                audience=AUDIENCE,
                http_port=self.http,
            ),
            keys=lambda: all_keys([keys]),
            ends=lambda rule: thresholds(rule.targets),
            tell=lambda view: None,
            health=Health(metrics),
            metrics=GatewayMetrics(metrics),
        )
        tasks = [asyncio.create_task(part) for part in (controller.run(), keys.run())]
        try:
            yield keys
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ask(self, token: str) -> httpx.Response:
        """Ask with this token, over a connection of its own."""
        async with httpx.AsyncClient(timeout=30) as client:
            headers = {"Authorization": f"Bearer {token}"}
            return await client.get(f"http://127.0.0.1:{self.http}/resumes", headers=headers)

    async def until(self, token: str, status: int) -> None:
        """Ask until this is the answer; before its first configuration nobody listens."""
        deadline = time.monotonic() + WAIT_SECONDS
        found: object = None
        while found != status:
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {status}, but {found}"
            try:
                found = (await self.ask(token)).status_code
            except httpx.TransportError as error:
                found = error
            await asyncio.sleep(0.02)


@pytest.fixture
def address(
    new_haproxy: Callable[[], Haproxy],
    new_engine: Callable[[], Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Address]:
    # Half a minute in a pod.
    monkeypatch.setattr(tokens, "REFRESH_SECONDS", 0.1)
    monkeypatch.setattr(tokens, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(tokens, "FIRST_RETRY_SECONDS", 0.1)
    with serve(tmp_path / "issuer", CLIENTS, "first", audience=AUDIENCE) as server:
        yield Address(new_haproxy(), new_engine(), server)


def engines_check(server: OidcServer) -> TokenVerifier:
    """The check that engines make, by the same JWK Set; its clock passes the pause between two readings at once."""
    clock = iter(range(0, 1_000_000, 100))
    keys = JwksKeys(server.discovered("jwks_uri"), clock=lambda: float(next(clock)))
    return TokenVerifier(issuer=server.issuer, audience=AUDIENCE, keys=keys, names=NAMES)


async def test_a_servers_token_passes_by_its_role_at_the_gateway_and_at_engines(address: Address) -> None:
    server = address.server
    async with address.controller():
        ada = server.token("ada")
        await address.until(ada, 200)
        told = dict((await address.ask(ada)).json()["headers"])
        assert (told["x-looma-subject"], told["x-looma-tenant"]) == ("ada", "demo")
        assert told["x-looma-roles"] == "recruiter"
        passed = len(address.engine.asked)
        for client, status, problem in (
            ("eve", 403, "forbidden"),
            ("liar", 403, "forbidden"),
            ("nobody", 401, "unauthenticated"),
        ):
            answer = await address.ask(server.token(client))
            assert (answer.status_code, answer.json()["type"]) == (status, f"urn:looma:problem:{problem}")
        assert len(address.engine.asked) == passed
    check = engines_check(server)
    assert await check.verify(ada) == Principal("ada", "demo", frozenset({"recruiter"}))
    assert await check.verify(server.token("liar")) == Principal("liar", "demo", frozenset({"guest"}))
    with pytest.raises(Unauthenticated, match="organisation"):
        await check.verify(server.token("nobody"))


async def test_keys_rotate_without_a_lost_request_and_hold_while_the_server_is_away(address: Address) -> None:
    server = address.server
    async with address.controller():
        old = server.token("ada")
        await address.until(old, 200)
        got: Counter[int] = Counter()
        over = asyncio.Event()

        async def call() -> None:
            while not over.is_set():
                got[(await address.ask(old)).status_code] += 1

        caller = asyncio.create_task(call())
        # The new key signs at once, which is the harder way: who publishes it first has no refusal at all.
        server.rotate("second", "first")
        new = server.token("ada")
        await address.until(new, 200)
        over.set()
        await caller
        assert set(got) == {200}, got
        check = engines_check(server)
        assert (await check.verify(old)).subject == (await check.verify(new)).subject == "ada"
        server.rotate("second")
        await address.until(old, 401)
        assert (await address.ask(old)).json()["detail"].endswith("a key that the issuer does not have.")
        assert (await address.ask(new)).status_code == 200
        with pytest.raises(Unauthenticated, match="does not have"):
            await engines_check(server).verify(old)
        server.stop()
        with pytest.raises(httpx.TransportError):
            server.discovered("jwks_uri")
        assert (await address.ask(new)).status_code == 200
    # A controller and a HAProxy that begin anew meanwhile know the keys that were last read.
    address.haproxy.stop()
    address.haproxy.start()
    async with address.controller() as keys:
        assert not await keys.refresh()
        await address.until(new, 200)
        assert (await address.ask(old)).status_code == 401
