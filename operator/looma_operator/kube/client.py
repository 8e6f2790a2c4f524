"""A thin client over `kubernetes.aio`: objects as plain dicts, errors by what a caller does about them.

The generated models are left aside: they would cost memory for every kind, and server-side apply needs to send just
the fields that are meant. Connection, TLS and token renewal are the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode
from urllib.request import getproxies

import aiohttp
import msgspec
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from looma_core.kube import REQUEST_SECONDS, SILENCE_SECONDS, KubeError, message_of

from ..names import FIELD_MANAGER
from ..resources import Json
from .kinds import Kind

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection

WATCH_SECONDS = 240
# Server-side apply answers 500 where a field has a type that its schema does not know: no later try is taken.
_UNTAKEABLE = ("failed to create typed patch object", "failed to convert new object")
# JSON is YAML. With a parameter the client takes what is encoded already, and msgspec encodes in a part of its time.
_APPLY = "application/apply-patch+yaml; charset=utf-8"
# No stored object has this version, and one that is yet to be made is not asked for any.
_NO_OBJECTS = "1"
SERVED_SECONDS = 10.0


class NotFoundError(KubeError):
    """The object does not exist."""


class ConflictError(KubeError):
    """The object changed since it was read, or exists already."""


class RefusedError(KubeError):
    """The object as it is will never be taken: invalid, or forbidden."""


class Fence(Protocol):
    """What stands before every write."""

    def check(self) -> float:
        """Seconds for which writing is still allowed.

        Raises:
            NotLeaderError: if it is not.
        """
        ...


class NotLeaderError(Exception):
    """This replica does not lead, or slept so long that it may not lead any more."""


class OpenFence:
    """A fence for callers that need no leadership, as the CLI and the webhook."""

    def check(self) -> float:
        """Always the time of one request."""
        return REQUEST_SECONDS


_guard: ContextVar[Callable[[], object] | None] = ContextVar(
    "asked right before a write's bytes go out", default=None
)


class _GuardedRequest(aiohttp.ClientRequest):
    """Asks the guard in the step that hands the bytes to the kernel: before it, the process may have slept.

    aiohttp holds the headers back until the body goes out with them, and sends that in a task of its own; so neither
    a new connection nor other tasks' work lies between the question and the bytes.
    """

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        guard = _guard.get()
        if guard is not None:
            try:
                guard()
            except NotLeaderError as error:
                # Whoever awaits the answer gets the error as it is.
                if conn.protocol is not None:
                    conn.protocol.set_exception(error)
                conn.close()
                return
        await super().write_bytes(writer, conn, content_length)


def _raise_for(status: int, text: str) -> None:
    if status < 400:
        return
    message = message_of(status, text)
    if status == 404:
        raise NotFoundError(status, message)
    if status == 409:
        raise ConflictError(status, message)
    if status in (400, 403, 405, 415, 422) or (status == 500 and message.startswith(_UNTAKEABLE)):
        raise RefusedError(status, message)
    raise KubeError(status, message)


async def _lines(response: aiohttp.ClientResponse, shape: Any) -> AsyncIterator[Json]:  # noqa: ANN401 - a type
    """The values of a stream as `shape` has them, one a line, which may be longer than aiohttp's own reader takes."""
    decoder = msgspec.json.Decoder(shape)
    pending = b""
    while True:
        async with asyncio.timeout(SILENCE_SECONDS):
            chunk = await response.content.readany()
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield decoder.decode(line)


class Kube:
    """Reads and writes of one API server; writes pass `fence` first."""

    def __init__(
        self, configuration: Configuration, *, fence: Fence | None = None, connections: int = 16
    ) -> None:
        """Open nothing yet; connections are made when they are needed."""
        configuration.connection_pool_maxsize = connections
        configuration.client_session_kwargs = {
            "request_class": _GuardedRequest,
            # Else aiohttp looks for proxies and a .netrc again for each request, which takes 0.3 ms of the processor.
            "trust_env": bool(getproxies()),
        }
        self._api = ApiClient(configuration)
        self._served: dict[str, float] = {}
        self._fence: Fence = fence or OpenFence()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        seconds: float = REQUEST_SECONDS,
    ) -> Json:
        """The JSON answer to one request.

        Raises:
            KubeError: or one of its kinds; `code` 0 where the server could not be reached in time.
        """
        url_path = f"{path}?{urlencode(query)}" if query else path
        method, url, headers, _, _ = await self._api.param_serialize(
            method, url_path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        headers["Content-Type"] = content_type
        try:
            async with asyncio.timeout(seconds):
                answer = await self._api.rest_client.request(method, url, headers=headers, body=body)  # type: ignore[no-untyped-call]
                text = await answer.response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(0, f"{method} {path}: {error or type(error).__name__}") from error
        _raise_for(answer.status, text.decode() if answer.status >= 400 else "")
        parsed: Json = msgspec.json.decode(text) if text else {}
        return parsed

    async def _write(self, method: str, path: str, **options: Any) -> Json:
        # A write may take no longer than leadership lasts, so none is under way when another replica begins. The fence
        # is asked again right before the bytes go out: whoever slept finds out there.
        seconds = min(REQUEST_SECONDS, self._fence.check())
        token = _guard.set(self._fence.check)
        try:
            return await self.request(method, path, seconds=seconds, **options)
        finally:
            _guard.reset(token)

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object.

        Raises:
            NotFoundError: if it does not exist.
        """
        return await self.request("GET", kind.path(namespace, name))

    async def serves(self, kind: Kind) -> bool:
        """Whether the cluster serves the kind, or did a moment ago: a thousand new services ask that in one minute.

        Everybody may ask that, unless a cluster was made so that nobody may.

        Raises:
            RefusedError: if it may not be asked.
            KubeError: if the API server does not answer.
        """
        now = asyncio.get_running_loop().time()
        if now < self._served.get(kind.name, 0.0):
            return True
        try:
            answer = await self.request("GET", kind.prefix)
        except NotFoundError:
            return False
        served = any(item.get("name") == kind.plural for item in answer.get("resources", []))
        if served:
            self._served[kind.name] = now + SERVED_SECONDS
        return served

    async def list(self, kind: Kind, namespace: str, *, selector: str = "") -> list[Json]:
        """All objects of a kind in a namespace, with kind and apiVersion in each as a single read has them."""
        query = {"labelSelector": selector} if selector else {}
        answer = await self.request("GET", kind.path(namespace), query=query)
        items: list[Json] = answer.get("items", [])
        return [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in items]

    async def pages(
        self, kind: Kind, namespace: str, *, size: int = 100
    ) -> AsyncIterator[tuple[Sequence[Json], str]]:
        """All objects of a kind in a namespace, some at a time, each with the version of the whole list.

        Raises:
            KubeError: if the API server does not answer; `code` 410 where reading took too long.
        """
        async for page in self._pages(kind.path(namespace), {"limit": str(size)}):
            yield page

    async def pages_of_all(
        self, kind: Kind, *, fields: str = "", size: int = 100
    ) -> AsyncIterator[tuple[Sequence[Json], str]]:
        """As `pages`, over all namespaces, of those that the field selector chooses.

        Raises:
            KubeError: if the API server does not answer; `code` 410 where reading took too long.
        """
        chosen = {"fieldSelector": fields} if fields else {}
        async for page in self._pages(kind.path_of_all, {"limit": str(size), **chosen}):
            yield page

    async def _pages(self, path: str, first: Mapping[str, str]) -> AsyncIterator[tuple[Sequence[Json], str]]:
        query = dict(first)
        while True:
            answer = await self.request("GET", path, query=query)
            meta: Json = answer.get("metadata") or {}
            yield answer.get("items", []), str(meta.get("resourceVersion", ""))
            if not meta.get("continue"):
                return
            query = {**first, "continue": meta["continue"]}

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str, *, selector: str, version: str = "", shape: object = Json
    ) -> AsyncIterator[AsyncIterator[Json]]:
        """Events after `version` of a kind's objects (without one: all that are there first), until the server ends.

        Entered once the server has taken the watch. Of each event only what `shape`, a TypedDict, names is kept.

        Raises:
            NotFoundError: if the kind is not served.
            KubeError: if the server does not answer, or falls silent; `code` 410 where `version` is too old.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        query |= {"labelSelector": selector} if selector else {}
        query |= {"resourceVersion": version} if version else {}
        path = f"{kind.path(namespace)}?{urlencode(query)}"
        method, url, headers, _, _ = await self._api.param_serialize(
            "GET", path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._api.rest_client.request(method, url, headers=headers)  # type: ignore[no-untyped-call]
            response: aiohttp.ClientResponse = answer.response
            async with response:
                if response.status >= 400:
                    _raise_for(response.status, await response.text())
                yield _lines(response, shape)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(0, f"watch of {kind.plural}: {error or type(error).__name__}") from error

    async def apply(
        self,
        kind: Kind,
        manifest: Json,
        *,
        resource_version: str | None = None,
        absent: bool = False,
        subresource: str = "",
        dry_run: bool = False,
        manager: str = FIELD_MANAGER,
    ) -> Json:
        """Server-side apply as field manager `looma`, taking back fields that others have written over.

        With another `manager` only the fields of its own last apply are given up: what `looma` applied stays.
        `absent` makes the object, and leaves one that is there as it is.

        Raises:
            ConflictError: if `resource_version` is given and the object has another by now; with `absent` if it exists.
            RefusedError: if the object is invalid or forbidden.
        """
        meta = manifest["metadata"]
        resource_version = _NO_OBJECTS if absent else resource_version
        if resource_version:
            manifest = {**manifest, "metadata": {**meta, "resourceVersion": resource_version}}
        query = {"fieldManager": manager, "force": "true"}
        if dry_run:
            query["dryRun"] = "All"
        path = kind.path(meta["namespace"], meta["name"], subresource)
        return await self._write(
            "PATCH", path, query=query, body=msgspec.json.encode(manifest), content_type=_APPLY
        )

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        """Create one object.

        Raises:
            ConflictError: if one of that name exists.
        """
        return await self._write(
            "POST", kind.path(namespace), query={"fieldManager": FIELD_MANAGER}, body=body
        )

    async def replace(self, kind: Kind, namespace: str, name: str, body: Json, *, seconds: float) -> Json:
        """Replace one object; its resourceVersion in `body` is the precondition. Passes no fence: it is for Leases."""
        return await self.request("PUT", kind.path(namespace, name), body=body, seconds=seconds)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        """Delete the object that was judged, with what it owns; another of the same name stays."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        }
        await self._write("DELETE", kind.path(namespace, name), body=body)
