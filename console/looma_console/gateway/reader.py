"""Asks every gateway pod what it sees. The pods' own port, not the address: each knows only of itself.

The pods come from the headless Service by which they find each other, so a pod that does not answer is known as well.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import msgspec

from looma_core.api.gateway import GatewayTraffic

# A pod that does not answer must not hold up the page with the others'.
ANSWER_SECONDS = httpx.Timeout(1.0)
# All open pages share what was read; they look every two seconds.
KEEP_SECONDS = 1.5
AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class PodReading:
    """What one gateway pod told, or None where it did not answer."""

    address: str
    traffic: GatewayTraffic | None


def addresses(host: str, port: int) -> list[str]:
    """All addresses of a name, each once; none where nobody knows it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(item[4][0]) for item in found})


class GatewayReader:
    """Reads `/traffic` of all pods of gateways, and keeps it for a moment."""

    def __init__(
        self,
        *,
        http: httpx.Client,
        address_of: Callable[[str], str],
        resolve: Callable[[str, int], list[str]] = addresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`address_of` gives the URL whose name leads to all pods of the AIService that it is given."""
        self._http = http
        self._address_of = address_of
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="gateway-reader")
        self._kept: tuple[float, tuple[str, ...], tuple[PodReading, ...]] | None = None

    def read(self, gateways: Iterable[str]) -> tuple[PodReading, ...]:
        """What the pods of these AIServices tell, as it was at most a moment ago."""
        names = tuple(gateways)
        # Whoever comes while somebody asks gets the same answer.
        with self._lock:
            now = self._clock()
            if self._kept is None or self._kept[1] != names or now - self._kept[0] >= KEEP_SECONDS:
                self._kept = (now, names, self._ask_all(names))
            return self._kept[2]

    def _ask_all(self, names: Iterable[str]) -> tuple[PodReading, ...]:
        pods: list[tuple[str, str]] = []
        for name in names:
            url = urlsplit(self._address_of(name))
            port = url.port or 80
            for address in self._resolve(url.hostname or "", port):
                literal = f"[{address}]" if ":" in address else address
                pods.append((address, f"{url.scheme}://{literal}:{port}/traffic"))
        return tuple(self._threads.map(self._ask, pods))

    def _ask(self, pod: tuple[str, str]) -> PodReading:
        address, url = pod
        try:
            answer = self._http.get(url, timeout=ANSWER_SECONDS).raise_for_status()
            return PodReading(
                address=address, traffic=msgspec.json.decode(answer.content, type=GatewayTraffic)
            )
        except (httpx.HTTPError, msgspec.MsgspecError):
            return PodReading(address=address, traffic=None)
