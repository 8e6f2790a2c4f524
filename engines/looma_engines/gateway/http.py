"""The controller's own HTTP on port 8081: /healthz, /readyz, /metrics, /traffic and /openapi.json."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
from aiohttp import web

from looma_core.api.gateway import GatewayTraffic
from looma_core.metrics import CONTENT_TYPE, Metrics

BEAT_SECONDS = 1.0
STUCK_SECONDS = 20.0


class Health:
    """Whether the process lives (its event loop turns), and what its readiness waits for."""

    def __init__(self, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin alive and not ready."""
        self._metrics = metrics
        self._clock = clock
        self._beat = clock()
        self.waits_for: list[str] = ["the cluster"]

    async def beat(self) -> None:
        """Note that the event loop turns, until cancelled."""
        while True:
            self._beat = self._clock()
            await asyncio.sleep(BEAT_SECONDS)

    async def healthz(self, _: web.Request) -> web.Response:
        """200 while the event loop turns; nobody gets an answer where it does not."""
        late = self._clock() - self._beat
        if late < STUCK_SECONDS:
            return web.json_response({"status": "ok"})
        return web.json_response({"status": f"stuck for {late:.0f} s"}, status=500)

    async def readyz(self, _: web.Request) -> web.Response:
        """200 once the cluster was read and HAProxy runs what it asks for."""
        if self.waits_for:
            return web.json_response({"status": "waits for " + ", ".join(self.waits_for)}, status=503)
        return web.json_response({"status": "ok"})

    async def metrics(self, _: web.Request) -> web.Response:
        """All metrics in Prometheus' text format."""
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


def openapi() -> bytes:
    """The document of what programs read here, as JSON; probes and metrics speak for themselves."""
    schema, components = msgspec.json.schema_components(
        [GatewayTraffic], ref_template="#/components/schemas/{name}"
    )
    answer = {
        "description": "What this gateway pod sees.",
        "content": {"application/json": {"schema": schema[0]}},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Looma gateway", "version": "v1"},
        "paths": {
            "/traffic": {
                "get": {
                    "operationId": "traffic",
                    "summary": "Rates, shares and circuits of the last seconds, by service and revision.",
                    "responses": {"200": answer},
                }
            }
        },
        "components": {"schemas": components},
    }
    return msgspec.json.encode(document)


def application(health: Health, traffic: Callable[[], GatewayTraffic]) -> web.Application:
    """All that is served; `traffic` is asked anew each time."""
    document = openapi()

    async def show_traffic(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(traffic()), content_type="application/json")

    async def show_openapi(_: web.Request) -> web.Response:
        return web.Response(body=document, content_type="application/json")

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", health.healthz),
            web.get("/readyz", health.readyz),
            web.get("/metrics", health.metrics),
            web.get("/traffic", show_traffic),
            web.get("/openapi.json", show_openapi),
        ]
    )
    return app


async def serve(health: Health, traffic: Callable[[], GatewayTraffic], *, host: str, port: int) -> None:
    """Serve until cancelled."""
    app = application(health, traffic)
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await health.beat()
    finally:
        await runner.cleanup()
