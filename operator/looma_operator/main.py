"""The command `looma-operator`.

looma-operator run                  serve until SIGTERM
looma-operator definitions apply    put the three definitions into the cluster
looma-operator definitions show     print them
looma-operator rules                print the rights that it and the gateways need, as JSON
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import secrets
import sys
from collections.abc import Sequence
from functools import partial

import kopf
import uvloop
import yaml

from looma_core.kube import SILENCE_SECONDS, KubeError, load_configuration
from looma_core.logging import configure

from . import definitions, handlers, health, webhooks, webhooks_sync
from .analysis.clients import Clients
from .analysis.jobs import Jobs
from .analysis.measuring import Measuring
from .echoes import Echoes, Seen
from .forgetting import NothingNoted
from .kube import kinds
from .kube.client import WATCH_SECONDS, Kube
from .kube.newcomers import Newcomers
from .kube.peers import Peers
from .kube.watch import Follower
from .leadership import Elector, Leadership
from .names import API_VERSION, LABEL_PART_OF, PART_OF
from .notifying.files import load_settings
from .notifying.telling import Telling
from .options import Options, read_options
from .plan.models import Fetcher
from .plan.receivers import NotificationSettings
from .posting import Posting
from .queueing import Key, Rest, WorkQueue
from .rbac import (
    DEFINITIONS_RULES,
    GATEWAY_CLUSTER_RULES,
    GATEWAY_RULES,
    LEASE_NAME,
    NODES_RULES,
    OPERATOR_RULES,
)
from .reconcile import Reconciler, all_keys, moment
from .refilling import fill, sweep
from .render.route import ParentGateway
from .resources import Json

COLLECT_AFTER = (20_000, 20, 100)
"""Objects between two searches for cycles, and searches between two of older ones: what a look makes has none, and goes
with it."""
_log = logging.getLogger(__name__)
SWEEP_SECONDS = 120.0
FOLLOWED = (*kinds.CHILDREN, *kinds.OPTIONAL_CHILDREN)


def kopf_settings(options: Options) -> kopf.OperatorSettings:
    """Kopf as a watcher only: no peering (a Lease elects), no scanning (rights are namespaced), no writes."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = NothingNoted()
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 10
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.reconnect_backoff = 0.1
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    if options.certificates is not None:
        settings.admission.server = kopf.WebhookServer(
            addr=options.host,
            port=options.webhook_port,
            certfile=options.certificates / "tls.crt",
            pkeyfile=options.certificates / "tls.key",
        )
    return settings


def login(**kwargs: object) -> kopf.ConnectionInfo | None:
    """Credentials for Kopf's watches: the pod's service account, else a kubeconfig."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)  # type: ignore[arg-type]


async def _webhook_stands(state: health.Health, port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            state.missing.discard("webhook")
            return
        await asyncio.sleep(0.2)


class Operator:
    """One replica: its clients, its part in the election, its queue and its watches."""

    def __init__(
        self,
        options: Options,
        clients: tuple[Kube, Kube, Kube, Kube],
        leadership: Leadership,
        notifications: NotificationSettings,
    ) -> None:
        """`clients` are for fenced writes, for the webhook's reads, for the election, and for watches of children."""
        self._options = options
        self._leadership = leadership
        self._kube, self._reader, elections, watches = clients
        self._state = health.Health()
        gateway = ParentGateway(name=options.gateway_name, namespace=options.gateway_namespace)
        jobs = Jobs(self._kube, clock=moment)
        self._sources = Clients(prometheus_url=options.prometheus_url, kube=self._reader, jobs=jobs)
        self._measuring = Measuring(self._sources, wake=self._wake, clock=moment)
        self._telling = Telling(
            notifications,
            options.notifications,
            namespace=options.namespace,
            wake=self._wake,
            may_send=lambda: leadership.leads,
            clock=moment,
        )
        self._echoes = Echoes()
        self._queue = WorkQueue(self._look, is_echo=self._echoes.heard)
        self._posting = Posting(busy=lambda: len(self._queue) > 0)
        self._peers = Peers(self._reader, options.namespaces, news=self._service_missed)
        self._newcomers = Newcomers()
        fetcher = Fetcher(image=options.model_fetch_image, plain_http_registry=options.plain_http_registry)
        self._reconciler = Reconciler(
            self._kube,
            instance=options.identity,
            gateway=gateway,
            measuring=self._measuring,
            telling=self._telling,
            fetcher=fetcher,
            peers=self._peers,
            newcomers=self._newcomers,
            posting=self._posting,
            echoes=self._echoes,
            sync_image=options.sync_image,
            crowded=self._queue.crowded,
        )
        self._watching = asyncio.Event()
        self._fills: set[asyncio.Task[None]] = set()
        self._registry = kopf.OperatorRegistry()
        kopf.on.login(registry=self._registry)(login)
        handlers.register(self._registry, self._wake, self._note)
        if options.certificates is not None:
            webhooks.register(self._registry, self._reader, self._peers)
            webhooks_sync.register(self._registry, self._reader, webhooks.requester)
            self._state.missing.add("webhook")
        self._followers = [
            Follower(
                watches,
                kind,
                options.namespaces,
                selector=f"{LABEL_PART_OF}={PART_OF}",
                changed=partial(self._child_changed, kind),
                appeared=self._wake_all,
            )
            for kind in FOLLOWED
        ]
        self._elector = Elector(
            kube=elections,
            namespace=options.namespace,
            name=LEASE_NAME,
            # A restarted container keeps its pod's name; its leadership is another.
            identity=f"{options.identity}_{secrets.token_hex(4)}",
            leadership=leadership,
            on_started=self._leading,
        )

    async def run(self) -> None:
        """Serve until Kopf ends, which it does on SIGTERM.

        Raises:
            Exception: whatever ended one of the parts.
        """
        others = [
            asyncio.create_task(job, name=name)
            for name, job in (
                ("election", self._elector.run()),
                ("queue", self._queue.run()),
                ("notifications", self._telling.run()),
                ("posting", self._posting.run()),
                ("peers", self._peers.run()),
                ("sweep", self._sweep()),
                *((follower.kind.plural, follower.run()) for follower in self._followers),
                ("http", health.serve(self._state, host=self._options.host, port=self._options.http_port)),
            )
        ]
        watches = asyncio.create_task(self._watch(), name="watches")
        ready = asyncio.create_task(self._note_ready(), name="readiness")
        try:
            done, _ = await asyncio.wait([watches, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watches, ready, *others):
                task.cancel()
            await asyncio.gather(watches, ready, *others, return_exceptions=True)
            await self._measuring.close()
            await self._sources.close()
        for task in done:
            # Whatever ended by itself but the watches ended by an error.
            task.result()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._leadership.leads:
                await sweep(self._queue, self._kube, self._leadership, self._options.namespaces)

    async def _look(self, key: Key) -> float | Rest | None:
        if not self._leadership.leads:
            return None
        self._leadership.enter()
        return await self._reconciler.look(key)

    def _wake(self, key: Key, seen: Seen | None = None) -> None:
        if self._leadership.leads:
            self._queue.add(key, seen)

    def _note(self, service: Json, *, gone: bool) -> None:
        self._peers.note(service, gone=gone)
        self._newcomers.note(service, gone=gone)

    def _service_missed(self, namespace: str, name: str) -> None:
        self._wake(Key(kinds.AI_SERVICE.name, namespace, name))

    def _child_changed(self, kind: kinds.Kind, child: Json) -> None:
        key = handlers.owner_key(child)
        if key is not None:
            meta = child["metadata"]
            self._wake(key, Seen(kind.name, meta["name"], meta["resourceVersion"]))

    async def _wake_all(self, namespace: str) -> None:
        for key in await all_keys(self._reader, namespace):
            self._wake(key)

    async def _leading(self) -> None:
        self._telling.begin()
        # Beside the election, which must not wait for a long list.
        task = asyncio.create_task(fill(self._queue, self._kube, self._leadership, self._options.namespaces))
        self._fills.add(task)
        task.add_done_callback(self._fills.discard)

    async def _watch(self) -> None:
        plurals = [kind.plural for kind in kinds.OWN]
        await definitions.wait_served(self._reader, plurals, group_version=API_VERSION)
        await kopf.operator(
            registry=self._registry,
            settings=kopf_settings(self._options),
            namespaces=list(self._options.namespaces),
            standalone=True,
            ready_flag=self._watching,
        )

    async def _note_ready(self) -> None:
        await self._watching.wait()
        self._state.missing.discard("watches")
        if self._options.certificates is not None:
            await _webhook_stands(self._state, self._options.webhook_port)


async def run(options: Options, notifications: NotificationSettings) -> None:
    """Serve with clients of its own until SIGTERM."""
    leadership = Leadership()
    clients = (
        # Eight looks at once, each of which reads eight kinds.
        Kube(await load_configuration(), fence=leadership, connections=32),
        Kube(await load_configuration()),
        Kube(await load_configuration(), connections=2),
        # A watch holds its connection.
        Kube(await load_configuration(), connections=len(options.namespaces) * len(FOLLOWED) + 1),
    )
    try:
        await Operator(options, clients, leadership, notifications).run()
    finally:
        for client in clients:
            await client.close()


async def _apply_definitions() -> None:
    kube = Kube(await load_configuration())
    try:
        await definitions.apply(kube, definitions.load())
    finally:
        await kube.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="looma-operator", description="Looma's Kubernetes operator.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="serve until SIGTERM")
    verbs = commands.add_parser("definitions", help="the three resources' definitions").add_subparsers(
        dest="verb", required=True
    )
    verbs.add_parser("apply", help="put them into the cluster")
    verbs.add_parser("show", help="print them as YAML")
    commands.add_parser("rules", help="print the rights that the operator and the gateways need, as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit status 0 for done, 1 for failed, 2 for a wrong command line or environment."""
    chosen = _parser().parse_args(arguments)
    try:
        options = read_options(os.environ)
    except ValueError as error:
        sys.exit(f"looma-operator: {error}")
    configure(service="looma-operator", level=options.log_level)
    # Kopf tells of each handler that ended well, with all of its settings.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    if chosen.command == "rules":
        rights = {
            "operator": [rule.to_json() for rule in OPERATOR_RULES],
            "operatorNodes": [rule.to_json() for rule in NODES_RULES],
            "definitions": [rule.to_json() for rule in DEFINITIONS_RULES],
            "gateway": [rule.to_json() for rule in GATEWAY_RULES],
            "gatewayClasses": [rule.to_json() for rule in GATEWAY_CLUSTER_RULES],
        }
        sys.stdout.write(json.dumps(rights, indent=2) + "\n")
    elif chosen.command == "definitions" and chosen.verb == "show":
        yaml.safe_dump_all(definitions.load(), sys.stdout, sort_keys=False, allow_unicode=True)
    elif chosen.command == "definitions":
        try:
            asyncio.run(_apply_definitions())
        except (KubeError, TimeoutError) as error:
            sys.exit(f"looma-operator: the definitions could not be applied: {error or 'not served in time'}")
    else:
        try:
            notifications = load_settings(options.notifications)
        except ValueError as error:
            sys.exit(f"looma-operator: {error}")
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(options, notifications))


if __name__ == "__main__":
    main()
