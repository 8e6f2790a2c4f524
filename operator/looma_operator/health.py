"""The operator's own HTTP: /healthz, /readyz and /metrics on port 8080."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

BEAT_SECONDS = 1.0
STUCK_SECONDS = 20.0


class Health:
    """Whether the process lives (its event loop turns) and is ready (watches and webhook stand)."""

    def __init__(self) -> None:
        """Begin alive and not ready."""
        self._beat = time.monotonic()
        self.missing: set[str] = {"watches"}

    async def beat(self) -> None:
        """Note that the event loop turns, until cancelled."""
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    async def healthz(self, _: web.Request) -> web.Response:
        """200 while the event loop turns; nobody gets an answer where it does not."""
        late = time.monotonic() - self._beat
        ok = late < STUCK_SECONDS
        return web.json_response(
            {"status": "ok" if ok else f"stuck for {late:.0f} s"}, status=200 if ok else 500
        )

    async def readyz(self, _: web.Request) -> web.Response:
        """200 once nothing is missing."""
        if self.missing:
            return web.json_response({"status": "waits for " + ", ".join(sorted(self.missing))}, status=503)
        return web.json_response({"status": "ok"})


async def metrics(_: web.Request) -> web.Response:
    """All metrics in Prometheus' text format."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(health: Health, *, host: str, port: int, started: Callable[[], None] = lambda: None) -> None:
    """Serve until cancelled."""
    app = web.Application()
    app.add_routes(
        [web.get("/healthz", health.healthz), web.get("/readyz", health.readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        started()
        await health.beat()
    finally:
        await runner.cleanup()
