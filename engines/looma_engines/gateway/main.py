"""The gateway's two commands.

looma-engine gateway        keep HAProxy true to the cluster, until SIGTERM
looma-engine gateway-init   write the configuration that HAProxy begins with, and end
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from looma_core import logging
from looma_core.key_sets import addresses
from looma_core.kube import load_configuration
from looma_core.metrics import Metrics
from looma_core.settings import SettingsError, load, load_config
from looma_engines.gateway.applying import Applier, write_first
from looma_engines.gateway.controller import Controller
from looma_engines.gateway.haproxy.config import SAMPLES_SOCKET
from looma_engines.gateway.haproxy.settings import Settings
from looma_engines.gateway.haproxy.shares import thresholds
from looma_engines.gateway.http import Health, serve
from looma_engines.gateway.kube.client import Kube
from looma_engines.gateway.kube.cluster import Cluster
from looma_engines.gateway.link import RealHaproxy
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.samples import receive
from looma_engines.gateway.settings import GatewayConfig, GatewaySettings
from looma_engines.gateway.telling import Teller, View
from looma_engines.gateway.tokens import IssuerKeys, all_keys
from looma_engines.gateway.watching import Watch

log = logging.get(__name__)

GOODBYE_SECONDS = 3.0


def main(command: str) -> None:
    """Run `gateway` or `gateway-init`; ends with status 2 on wrong settings, 1 if it cannot go on."""
    try:
        settings = load(GatewaySettings)
        config = load_config(settings.config, GatewayConfig)
    except SettingsError as error:
        print(f"looma-engine {command} cannot start:\n{error}", file=sys.stderr)
        sys.exit(2)
    logging.configure(service=settings.service, level=settings.log_level, revision=settings.revision)
    haproxy = RealHaproxy(
        settings.folder(),
        Settings(
            threads=config.threads_of(len(os.sched_getaffinity(0))),
            max_connections=config.max_connections,
            hard_stop_seconds=config.hard_stop_seconds,
            claims=settings.claim_names(),
        ),
    )
    if command == "gateway-init":
        written = write_first(haproxy, settings.folder(), pod=settings.pod)
        log.info("first configuration", written=written, folder=str(settings.folder()))
        return
    asyncio.run(run(settings, haproxy))


async def run(settings: GatewaySettings, haproxy: RealHaproxy) -> None:
    """Work until SIGTERM or SIGINT; then take back what is said of this pod.

    Raises:
        Exception: whatever ended one of the parts, each of which goes on for ever.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    here, folder = settings.here(), settings.folder()
    # Nothing of this waits for the issuer for ever: its keys may be behind this very gateway.
    kube = Kube(await load_configuration())
    metrics = Metrics(service=settings.service, revision=settings.revision)
    counted, health = GatewayMetrics(metrics), Health(metrics)
    # The init container has done it in a pod; on a developer's machine there is none.
    write_first(haproxy, folder, pod=settings.pod)
    cluster = Cluster(kube, namespaces=settings.all_namespaces(), class_name=here.class_name)
    issuers: list[IssuerKeys] = []

    def show_keys() -> None:
        counted.show_token_keys({issuer.url: len(issuer.keys) for issuer in issuers})

    def take_keys() -> None:
        show_keys()
        cluster.changed.set()

    issuers += [IssuerKeys(url, folder=folder, on_change=take_keys) for url in addresses(settings.jwks_url)]
    show_keys()
    teller = Teller(kube, pod=settings.pod, show=counted.show_weights)
    watch = Watch(haproxy.runtime, pod=settings.pod, metrics=counted)
    haproxy.before_loss = watch.look

    def tell(view: View) -> None:
        teller.tell(view)
        watch.take(view)

    controller = Controller(
        cluster=cluster,
        applier=Applier(haproxy, folder, on_step=counted.count),
        here=here,
        keys=lambda: all_keys(issuers),
        keyless=lambda: [issuer.url for issuer in issuers if not issuer.keys],
        ends=lambda rule: thresholds(rule.targets),
        tell=tell,
        health=health,
        metrics=counted,
    )
    parts: dict[str, Coroutine[Any, Any, None]] = {
        "cluster": cluster.run(),
        **{f"keys of {issuer.url}": issuer.run() for issuer in issuers},
        "status": teller.run(),
        "controller": controller.run(),
        "http": serve(health, watch.traffic, host=settings.host, port=settings.gateway_controller_port),
        "watch": watch.run(),
        "samples": receive(folder / SAMPLES_SOCKET, watch.sample),
    }
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopped, *tasks):
            task.cancel()
        await asyncio.gather(stopped, *tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await teller.take_back()
        except TimeoutError:
            log.warning("could not take back what is said of this pod")
        await kube.close()
    for task in done - {stopped}:
        task.result()
