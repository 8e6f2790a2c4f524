"""Requests of a known number or at a known rate, from several threads, each with the moment it was sent.

Bounded in count and time; the address is an instance's on loopback, or a pod's where the program runs in the network
namespace of the test's own node (usage: python asking.py URL PER_SECOND SECONDS).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import httpx

MOST_SECONDS = 300.0
MOST_REQUESTS = 50_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: when it was sent and answered (monotonic seconds), its status (0: no answer), who answered."""

    sent: float
    answered: float
    status: int
    version: str
    revision: str


def _ask(client: httpx.Client, url: str) -> Asked:
    sent = time.monotonic()
    try:
        answer = client.get(url)
    except httpx.HTTPError:
        return Asked(sent=sent, answered=time.monotonic(), status=0, version="", revision="")
    return Asked(
        sent=sent,
        answered=time.monotonic(),
        status=answer.status_code,
        version=answer.headers.get("X-Probe-Version", ""),
        revision=answer.headers.get("X-Looma-Revision", ""),
    )


def _client(*, kept: bool) -> httpx.Client:
    limits = httpx.Limits(max_keepalive_connections=None if kept else 0)
    return httpx.Client(timeout=60, limits=limits)


def times(url: str, count: int, *, threads: int = 4, kept: bool = False) -> Sequence[Asked]:
    """That many requests as fast as they go, each over a connection of its own unless `kept`."""
    if count > MOST_REQUESTS:
        raise ValueError(f"at most {MOST_REQUESTS} requests")

    def some(number: int) -> list[Asked]:
        with _client(kept=kept) as client:
            return [_ask(client, url) for _ in range(number)]

    parts = [count // threads + (1 if index < count % threads else 0) for index in range(threads)]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return [asked for part in pool.map(some, parts) for asked in part]


def at_rate(
    url: str,
    *,
    per_second: float,
    seconds: float,
    threads: int = 4,
    kept: bool = False,
    stop: Event | None = None,
) -> Sequence[Asked]:
    """Requests at a rate, for so long or until `stop`; a late one does not delay those after it beyond its thread.

    A thread that fell behind sends no more at once to make up for it: its turns that are past are left out.
    """
    if seconds > MOST_SECONDS or per_second * seconds > MOST_REQUESTS:
        raise ValueError(f"at most {MOST_SECONDS:g} s and {MOST_REQUESTS} requests")
    stop = stop or Event()
    began = time.monotonic()
    step = threads / per_second

    def some(index: int) -> list[Asked]:
        done: list[Asked] = []
        with _client(kept=kept) as client:
            turn = index / per_second
            while turn < seconds and not stop.wait(max(0.0, began + turn - time.monotonic())):
                done.append(_ask(client, url))
                behind = time.monotonic() - began - turn
                turn += step * max(1, -(-behind // step))
        return done

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return [asked for part in pool.map(some, range(threads)) for asked in part]


if __name__ == "__main__":
    done = at_rate(
        sys.argv[1], per_second=float(sys.argv[2]), seconds=float(sys.argv[3]), threads=8, kept=True
    )
    failures = sum(one.status != 200 for one in done)
    sys.stdout.write(json.dumps({"asked": len(done), "failed": failures}))
