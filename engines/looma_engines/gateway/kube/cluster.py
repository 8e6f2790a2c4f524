"""All that the gateway knows of the cluster: one list-and-watch for each kind and namespace, and Secrets by name.

Secrets are not watched: the gateway may read those alone that its rights name. They are read when a Gateway refers to
them, and again every few seconds, so that a renewed certificate is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from looma_core import logging
from looma_engines.gateway.kube.client import ForbiddenError, MissingError
from looma_engines.gateway.kube.watch import ItemT, ListWatch, Reader
from looma_engines.gateway.objects import (
    AIService,
    EndpointSlice,
    Gateway,
    GatewayClass,
    HttpRoute,
    Namespace,
    ReferenceGrant,
    Secret,
    Service,
    Snapshot,
)
from looma_engines.gateway.translate.listeners import secrets_wanted

log = logging.get(__name__)

GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
GRANTS_API = "/apis/gateway.networking.k8s.io/v1beta1"
LOOMA_API = "/apis/looma.dev/v1alpha1"
SECRET_SECONDS = 15.0

_secrets = msgspec.json.Decoder(Secret)


class Cluster:
    """The last known objects.

    Attributes:
        changed: Set with every change; whoever waits for it clears it.
    """

    def __init__(self, kube: Reader, *, namespaces: Sequence[str], class_name: str) -> None:
        """Watch these namespaces, the GatewayClasses, and what namespaces there are."""
        self.changed = asyncio.Event()
        self._kube = kube
        self._class_name = class_name
        self._secrets: dict[tuple[str, str], Secret] = {}
        self._secrets_read: set[tuple[str, str]] = set()
        self._references = asyncio.Event()
        self._namespaces = sorted(set(namespaces))
        self._classes = [
            ListWatch(
                kube,
                GatewayClass,
                f"{GATEWAY_API}/gatewayclasses",
                on_change=self.changed.set,
                optional=True,
            )
        ]
        # Without the right to read them, selectors of listeners know namespaces by their names alone.
        self._labelled = [
            ListWatch(kube, Namespace, "/api/v1/namespaces", on_change=self.changed.set, optional=True)
        ]
        self._gateways = self._each(Gateway, GATEWAY_API, "gateways")
        self._routes = self._each(HttpRoute, GATEWAY_API, "httproutes")
        self._grants = self._each(ReferenceGrant, GRANTS_API, "referencegrants", optional=True)
        self._services = self._each(Service, "/api/v1", "services")
        self._slices = self._each(EndpointSlice, "/apis/discovery.k8s.io/v1", "endpointslices")
        self._ai_services = self._each(AIService, LOOMA_API, "aiservices")

    def _each(
        self, kind: type[ItemT], base: str, plural: str, *, optional: bool = False
    ) -> list[ListWatch[ItemT]]:
        """One list-and-watch for each namespace."""
        on_change = self._gateway_changed if kind is Gateway else self.changed.set
        return [
            ListWatch(
                self._kube,
                kind,
                f"{base}/namespaces/{name}/{plural}",
                on_change=on_change,
                optional=optional,
            )
            for name in self._namespaces
        ]

    def _watches(self) -> list[ListWatch[Any]]:
        return [
            *self._classes,
            *self._labelled,
            *self._gateways,
            *self._routes,
            *self._grants,
            *self._services,
            *self._slices,
            *self._ai_services,
        ]

    @property
    def waits_for(self) -> list[str]:
        """Paths of what was not read yet; empty once the cluster is known."""
        missing = [watch.path for watch in self._watches() if not watch.synced]
        if not missing:
            missing = [
                f"secret {namespace}/{name}" for namespace, name in self._wanted() - self._secrets_read
            ]
        return sorted(missing)

    def snapshot(self) -> Snapshot:
        """All objects as they are known now."""

        def all_of(watches: Sequence[ListWatch[Any]]) -> tuple[Any, ...]:
            return tuple(item for watch in watches for item in watch.objects.values())

        return Snapshot(
            namespaces=all_of(self._labelled),
            gateway_classes=all_of(self._classes),
            gateways=all_of(self._gateways),
            routes=all_of(self._routes),
            grants=all_of(self._grants),
            services=all_of(self._services),
            slices=all_of(self._slices),
            ai_services=all_of(self._ai_services),
            secrets=tuple(self._secrets.values()),
        )

    async def run(self) -> None:
        """Keep the picture until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches():
                group.create_task(watch.run(), name=f"watch {watch.path}")
            group.create_task(self._read_secrets(), name="secrets")

    def _gateway_changed(self) -> None:
        self._references.set()
        self.changed.set()

    def _wanted(self) -> set[tuple[str, str]]:
        gateways = tuple(item for watch in self._gateways for item in watch.objects.values())
        return secrets_wanted(Snapshot(gateways=gateways), self._class_name)

    async def _read_secrets(self) -> None:
        while True:
            self._references.clear()
            for name in sorted(self._wanted()):
                await self._read_secret(name)
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECRET_SECONDS):
                    await self._references.wait()

    async def _read_secret(self, name: tuple[str, str]) -> None:
        namespace, secret = name
        found: Secret | None
        try:
            text = await self._kube.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{secret}")
            found = _secrets.decode(text)
        except (MissingError, ForbiddenError):
            found = None
        except Exception as error:  # noqa: BLE001 - whatever it was, what was read before holds
            log.warning("cannot read a certificate", secret=secret, error=str(error)[:300])
            return
        if name in self._secrets_read and found == self._secrets.get(name):
            return
        self._secrets_read.add(name)
        if found is None:
            self._secrets.pop(name, None)
        else:
            self._secrets[name] = found
        self.changed.set()
