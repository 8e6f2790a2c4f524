"""List and watch: the last known objects of one kind in one namespace, or of a kind that has none.

List, watch from there, watch again from the last version seen when the stream ends, list again when the server says
410. Whatever goes wrong, the last picture stays: a gateway serves while the API server is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from looma_core import logging
from looma_core.kube import KubeError
from looma_engines.gateway.kube.client import ForbiddenError, GoneError, MissingError, error_of
from looma_engines.gateway.objects import (
    AIService,
    EndpointSlice,
    Gateway,
    GatewayClass,
    HttpRoute,
    Namespace,
    ReferenceGrant,
    Service,
)

log = logging.get(__name__)

ItemT = TypeVar(
    "ItemT", AIService, EndpointSlice, Gateway, GatewayClass, HttpRoute, Namespace, ReferenceGrant, Service
)

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
WATCH_SECONDS = 240
SHORT_SECONDS = 1.0
PAGE = 500


class Reader(Protocol):
    """What reads of the API server; `client.Kube`, or a test's."""

    async def request(self, method: str, path: str, *, query: Mapping[str, str] | None = None) -> bytes:
        """The answer's body."""
        ...

    def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The answer line by line."""
        ...


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    name: str = ""
    namespace: str = ""


class _Any(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


_lists = msgspec.json.Decoder(_List)
_events = msgspec.json.Decoder(_Event)
_anything = msgspec.json.Decoder(_Any)
_statuses = msgspec.json.Decoder(_Status)


def _meaning(item: ItemT | None) -> object:
    """What of an object decides anything: gateways write the status of these kinds themselves, and often."""
    if item is None:
        return None
    metadata = msgspec.structs.replace(item.metadata, resource_version="")
    if isinstance(item, AIService | Gateway | GatewayClass | HttpRoute):
        return msgspec.structs.replace(item, metadata=metadata, status=None)
    return msgspec.structs.replace(item, metadata=metadata)


class ListWatch(Generic[ItemT]):
    """The last known objects of one collection.

    Attributes:
        synced: True once the collection was read, or was found not to be defined.
        objects: by namespace and name.
    """

    def __init__(
        self,
        kube: Reader,
        kind: type[ItemT],
        path: str,
        *,
        on_change: Callable[[], None],
        selector: str = "",
        optional: bool = False,
    ) -> None:
        """Watch `path` for objects of `kind`.

        `on_change` is called where anything changed but a status that gateways write; `optional` says that the
        gateway can do without the right to read them.
        """
        self.synced = False
        self.objects: dict[tuple[str, str], ItemT] = {}
        self._kube = kube
        self._path = path
        self._query = {"fieldSelector": selector} if selector else {}
        self._optional = optional
        self._on_change = on_change
        self._decoder: msgspec.json.Decoder[ItemT] = msgspec.json.Decoder(kind)
        self._said = ""

    @property
    def path(self) -> str:
        """Path of the collection."""
        return self._path

    async def run(self) -> None:
        """List and watch until cancelled."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                await self._follow(version)
            except GoneError:
                log.info("the version to watch from is too old; listing again", path=self._path)
            except MissingError as error:
                # Nobody defined the kind. What was known before stays: a server that starts knows no kinds for a while.
                self._without(error)
            except ForbiddenError as error:
                if self._optional:
                    self._without(error)
                else:
                    self._say(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, the last picture stays and we try again
                self._say(error)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    def _without(self, error: KubeError) -> None:
        self._say(error)
        if not self.synced:
            self.synced = True
            self._on_change()

    def _say(self, error: Exception) -> None:
        """Log what is wrong, once for as long as it is the same."""
        text = str(error)[:300] or type(error).__name__
        if text != self._said:
            self._said = text
            log.warning("cannot watch; the last picture stays", path=self._path, error=text)

    async def _list(self) -> str:
        found: dict[tuple[str, str], ItemT] = {}
        query = {**self._query, "limit": str(PAGE)}
        while True:
            page = _lists.decode(await self._kube.request("GET", self._path, query=query))
            for raw in page.items or ():
                self._keep(found, raw)
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        if self._said:
            log.info("watching again", path=self._path)
            self._said = ""
        if found != self.objects or not self.synced:
            self.objects = found
            self.synced = True
            self._on_change()
        return page.metadata.resource_version

    def _keep(self, found: dict[tuple[str, str], ItemT], raw: msgspec.Raw) -> None:
        try:
            item = self._decoder.decode(raw)
        except msgspec.MsgspecError as error:
            # Nothing that the API server takes should be so; leaving it out is safer than stopping.
            meta = _anything.decode(raw).metadata
            log.warning("cannot read an object", path=self._path, object=meta.name, error=str(error))
            found.pop((meta.namespace, meta.name), None)
            return
        found[item.metadata.namespace, item.metadata.name] = item

    async def _follow(self, version: str) -> None:
        while True:
            query = {
                **self._query,
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(WATCH_SECONDS),
            }
            begun = asyncio.get_running_loop().time()
            async for line in self._kube.lines(self._path, query=query):
                version = self._take(line) or version
            if asyncio.get_running_loop().time() - begun < SHORT_SECONDS:
                # Something on the way ends each stream at once; asking without a pause would flood it.
                await asyncio.sleep(RETRY_SECONDS[0])

    def _take(self, line: bytes) -> str:
        """Take one event; answers the resource version to watch from."""
        event = _events.decode(line)
        if event.type == "ERROR":
            status = _statuses.decode(event.object)
            raise error_of(status.code, status.message)
        meta = _anything.decode(event.object).metadata
        name = (meta.namespace, meta.name)
        before = self.objects.get(name)
        if event.type in ("ADDED", "MODIFIED"):
            self._keep(self.objects, event.object)
        elif event.type == "DELETED":
            self.objects.pop(name, None)
        if _meaning(before) != _meaning(self.objects.get(name)):
            self._on_change()
        return meta.resource_version
