"""Carries one request to an engine and its answer back, both as streams.

A request is sent twice only when the first try cannot have reached an engine (no connection), or when it may
safely be asked again (GET or HEAD whose connection was closed before the first byte of a body, by a pod that ended).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import httpx

from looma_console.api_forward.headers import Pairs, to_client
from looma_console.api_forward.problems import Busy, EngineBroke, EngineTimeout, EngineUnreachable, NoRoute
from looma_console.api_forward.routing import Route, pick

CONNECT_SECONDS = 3.0
CONNECT_TRIES = 3
FETCH_SECONDS = 5
CHUNK = 64 * 1024
_REPEATABLE = {"GET", "HEAD"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An engine's answer; `close` must be called whether or not `body` was read to its end."""

    status: int
    headers: Pairs
    body: Iterator[bytes]
    close: Callable[[], None]


class Relay:
    """Forwards to the engines that the routes name, a bounded number of requests at a time.

    The bound is below the number of threads, since the resume engine calls back through this same address
    while its own request is still held here: without it, uploads alone could take all threads and wait for
    each other.
    """

    def __init__(
        self,
        *,
        http: httpx.Client,
        routes: Callable[[], Iterable[Route]],
        address_of: Callable[[str], str],
        at_once: int,
    ) -> None:
        """Use `http` for connections; `routes` is asked anew for each request."""
        self._http = http
        self._routes = routes
        self._address_of = address_of
        self._slots = threading.BoundedSemaphore(at_once)

    def route(self, path: str) -> Route:
        """The route of `path`. Raises `NoRoute`."""
        route = pick(path, self._routes())
        if route is None:
            raise NoRoute(f"No service is registered for {path}.")
        return route

    def send(
        self,
        method: str,
        path: str,
        raw_target: str,
        headers: Pairs,
        body: Iterable[bytes] | None,
    ) -> Answer:
        """Send one request; `path` chooses the engine, `raw_target` (path and query, as sent) goes to it.

        Raises:
            NoRoute, EngineUnreachable, EngineBroke, EngineTimeout, Busy.
        """
        route = self.route(path)
        if not self._slots.acquire(blocking=False):
            raise Busy("The console forwards as many requests as it can.", headers={"Retry-After": "1"})
        try:
            response, content = self._try(method, route, raw_target, headers, body)
        except BaseException:
            self._slots.release()
            raise
        closed = threading.Event()

        def close() -> None:
            if not closed.is_set():
                closed.set()
                self._slots.release()
                with suppress(httpx.HTTPError):
                    response.close()

        return Answer(
            status=response.status_code,
            headers=to_client(response.headers.multi_items()),
            body=content,
            close=close,
        )

    def fetch(self, service: str, path: str, *, request_id: str, limit: int) -> bytes:
        """Read a small document from a service by name, whatever its routes; raises as `send` does.

        Raises `EngineBroke` also for a status other than 200 and for a body longer than `limit` bytes.
        """
        route = Route(path, service, FETCH_SECONDS)
        headers = [
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("X-Request-Id", request_id),
        ]
        response, content = self._try("GET", route, path, headers, None)
        try:
            if response.status_code != httpx.codes.OK:
                raise EngineBroke(f"{path} of {service} answered {response.status_code}.")
            body = b""
            for chunk in content:
                body += chunk
                if len(body) > limit:
                    raise EngineBroke(f"{path} of {service} is too long.")
        except httpx.TimeoutException as error:
            raise EngineTimeout(f"{service} stopped in the middle of {path}.") from error
        except httpx.TransportError as error:
            raise EngineBroke(f"{service} closed the connection.") from error
        finally:
            response.close()
        return body

    def _try(
        self, method: str, route: Route, raw_target: str, headers: Pairs, body: Iterable[bytes] | None
    ) -> tuple[httpx.Response, Iterator[bytes]]:
        timeout = httpx.Timeout(route.timeout_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        url = httpx.URL(self._address_of(route.service)).copy_with(raw_path=raw_target.encode("ascii"))
        for attempt in range(1, CONNECT_TRIES + 1):
            last = attempt == CONNECT_TRIES
            request = self._http.build_request(method, url, headers=headers, content=body, timeout=timeout)
            try:
                response = self._http.send(request, stream=True)
                return response, _begun(response)
            except httpx.ConnectTimeout as error:
                raise EngineTimeout(
                    f"{route.service} took no connection in {CONNECT_SECONDS:.0f} s."
                ) from error
            except httpx.TimeoutException as error:
                raise EngineTimeout(
                    f"{route.service} did not answer within {route.timeout_seconds} s."
                ) from error
            except httpx.ConnectError as error:
                if last:
                    raise EngineUnreachable(
                        f"{route.service} has no pod that takes connections.", headers={"Retry-After": "2"}
                    ) from error
            except httpx.TransportError as error:
                if last or method not in _REPEATABLE or body is not None:
                    raise EngineBroke(f"{route.service} closed the connection.") from error
        raise AssertionError("unreachable: the last attempt answers or raises")


def _begun(response: httpx.Response) -> Iterator[bytes]:
    """The body, of which the first part has come where its length is known: until then the request can be asked again.

    A stream of events has no length, and its status must not wait for the first event. Raw: a compressed answer stays
    as the engine compressed it.
    """
    if "content-length" not in response.headers:
        return response.iter_raw()
    chunks = response.iter_raw(CHUNK)
    try:
        first = next(chunks, b"")
    except httpx.HTTPError:
        response.close()
        raise
    return chain([first], chunks) if first else iter(())
