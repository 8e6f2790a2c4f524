"""A thin client over `kubernetes.aio`: bytes in and out, errors by what a caller does about them.

Connection, TLS and token renewal are the library's; decoding is msgspec's, straight into `objects`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

REQUEST_SECONDS = 10.0
# A watch that says nothing for so long may have been cut without a word (bookmarks come every minute).
SILENCE_SECONDS = 120.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class KubeError(Exception):
    """The API server answered with an error, or did not answer (`code` 0)."""

    def __init__(self, code: int, message: str) -> None:
        """Keep the HTTP status and the server's own sentence."""
        super().__init__(message)
        self.code = code
        self.message = message


class MissingError(KubeError):
    """404: the object is not there, or nobody defined its kind."""


class ForbiddenError(KubeError):
    """403: the gateway's rights do not reach so far."""


class ConflictError(KubeError):
    """409: the object changed since it was read."""


class GoneError(KubeError):
    """410: the resource version is too old to watch from."""


_ERRORS = {403: ForbiddenError, 404: MissingError, 409: ConflictError, 410: GoneError}


def error_of(code: int, text: bytes | str) -> KubeError:
    """The error that an answer of that code is; its message is the server's."""
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    try:
        shown = str(json.loads(shown).get("message", shown))
    except (ValueError, AttributeError):
        shown = shown[:500] or f"HTTP {code}"
    return _ERRORS.get(code, KubeError)(code, shown)


async def load_configuration() -> Configuration:
    """Where the API server is: inside a pod its service account, else a kubeconfig.

    Raises:
        kubernetes.aio.config.ConfigException: if there is neither.
    """
    configuration = Configuration()
    try:
        kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kube_config.ConfigException:
        await kube_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


class Kube:
    """Requests to one API server."""

    def __init__(self, configuration: Configuration) -> None:
        """Open nothing yet; connections are made when they are needed."""
        # Each watch holds one for as long as it lasts.
        configuration.connection_pool_maxsize = 128
        self._api = ApiClient(configuration)

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
    ) -> bytes:
        """The answer's body.

        Raises:
            KubeError: or one of its kinds; `code` 0 where the server could not be reached in time.
        """
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                response = await self._send(method, path, query, body=body, content_type=content_type)
                text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(0, f"{method} {path}: {error or type(error).__name__}") from error
        if response.status >= 400:
            raise error_of(response.status, text)
        return text

    async def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The answer line by line, until the server ends it.

        Raises:
            KubeError: as `request`, also when the connection breaks or is silent for too long.
        """
        wait = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=SILENCE_SECONDS)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._send("GET", path, query, timeout=wait)
            if response.status >= 400:
                raise error_of(response.status, await response.read())
            async for line in response.content:
                yield line
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # ValueError: a line longer than aiohttp's buffer.
            raise KubeError(0, f"GET {path}: {error or type(error).__name__}") from error
        finally:
            if response is not None:
                response.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        body: object = None,
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - of one read, not of the whole
    ) -> aiohttp.ClientResponse:
        url_path = f"{path}?{urlencode(query)}" if query else path
        method, url, headers, _, _ = await self._api.param_serialize(
            method, url_path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        headers["Content-Type"] = content_type
        answer = await self._api.rest_client.request(  # type: ignore[no-untyped-call]
            method, url, headers=headers, body=body, _request_timeout=timeout
        )
        response: aiohttp.ClientResponse = answer.response
        return response
