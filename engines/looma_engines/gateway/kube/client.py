"""A thin client over `kubernetes.aio`: bytes in and out, errors by what a caller does about them.

Connection, TLS and token renewal are the library's; decoding is msgspec's, straight into `objects`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from looma_core.kube import REQUEST_SECONDS, SILENCE_SECONDS, KubeError, message_of

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


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
    return _ERRORS.get(code, KubeError)(code, message_of(code, shown))


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
