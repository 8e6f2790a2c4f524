"""Following one optional kind: watches that wake the queue, for as long as the cluster serves the kind.

Kopf looks for what a cluster serves once, at its start. The Gateway API may be installed later, or be removed, so
HTTPRoutes are followed here. So are the other children, of which there are many: nothing is kept of any of them, and of
each event only what says whose child it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypedDict

from looma_core.kube import KubeError

from ..resources import Json
from .client import Kube, NotFoundError, RefusedError
from .kinds import Kind

_log = logging.getLogger(__name__)
MISSING_SECONDS = 15.0  # Between two questions whether the kind is served by now.
RETRY_SECONDS = 1.0


class _Owner(TypedDict, total=False):
    apiVersion: str
    kind: str
    name: str
    controller: bool


class _Metadata(TypedDict, total=False):
    name: str
    namespace: str
    resourceVersion: str
    ownerReferences: list[_Owner]


class _Object(TypedDict, total=False):
    kind: str
    metadata: _Metadata
    code: int
    message: str


class Event(TypedDict):
    """What is kept of a watch's event: what happened, to what, and whose it is; or the server's error."""

    type: str
    object: _Object


class Follower:
    """Tells of every change of one kind in some namespaces."""

    def __init__(
        self,
        kube: Kube,
        kind: Kind,
        namespaces: Sequence[str],
        *,
        selector: str,
        changed: Callable[[Json], None],
        appeared: Callable[[str], Awaitable[None]],
    ) -> None:
        """`changed` gets each object that is there, changed or gone; `appeared` the namespace where the kind came."""
        self._kube = kube
        self.kind = kind
        self._namespaces = namespaces
        self._selector = selector
        self._changed = changed
        self._appeared = appeared

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str) -> None:
        version, missed = "", False
        while True:
            try:
                async with self._kube.watch(
                    self.kind, namespace, selector=self._selector, version=version, shape=Event
                ) as events:
                    if missed:
                        _log.info("%s of %s is served now", self.kind.plural, self.kind.api_version)
                        await self._appeared(namespace)
                        missed = False
                    async for event in events:
                        version = self._take(event)
            except (NotFoundError, RefusedError) as error:
                if not missed:
                    _log.warning("%s in %s cannot be watched: %s", self.kind.plural, namespace, error.message)
                version, missed = "", True
                await asyncio.sleep(MISSING_SECONDS)
            except KubeError as error:
                _log.info("watch of %s in %s ended: %s", self.kind.plural, namespace, error.message)
                if error.code:
                    # As 410: the version is too old. Begin anew, with everything that is there.
                    version = ""
                await asyncio.sleep(RETRY_SECONDS)

    def _take(self, event: Json) -> str:
        """Tell of one event; answers the version after which to go on.

        Raises:
            KubeError: if the event is the server's error.
        """
        found = event["object"]
        if event["type"] == "ERROR":
            raise KubeError(int(found.get("code", 500)), str(found.get("message", "")))
        if event["type"] != "BOOKMARK":
            self._changed(found)
        return str(found["metadata"]["resourceVersion"])
