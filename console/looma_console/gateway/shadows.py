"""Asks Prometheus what became of copies of requests: engines count them, each process for itself."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
import msgspec

ANSWER_SECONDS = httpx.Timeout(2.0)
# All open pages share what was read; Prometheus itself looks every few seconds.
KEEP_SECONDS = 4.0
QUERY = 'sum by (service, shadow, outcome) (rate(looma_shadow_requests_total{namespace="%s"}[1m]))'


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Copies a second to one service, means of the last minute over all pods.

    | outcome of `looma_shadow_requests_total` | counts as          |
    | ---------------------------------------- | ------------------ |
    | same                                     | sent               |
    | different                                | sent and different |
    | failed                                   | sent and failed    |
    | not_compared                             | sent               |
    | dropped                                  | dropped            |
    | too_large                                | too_large          |
    """

    sent: float = 0.0
    compared: float = 0.0
    different: float = 0.0
    failed: float = 0.0
    dropped: float = 0.0
    too_large: float = 0.0

    @property
    def different_percent(self) -> float:
        """How many of a hundred answers that were compared differ."""
        return 100 * self.different / self.compared if self.compared else 0.0


class _Labels(msgspec.Struct, frozen=True):
    service: str = ""
    shadow: str = ""
    outcome: str = ""


class _Series(msgspec.Struct, frozen=True):
    metric: _Labels
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True):
    result: tuple[_Series, ...]


class _Answer(msgspec.Struct, frozen=True):
    data: _Data


Picture = Mapping[tuple[str, str], Copies]
"""By the service and the one that gets its copies; a pair that is not there has had none."""


class ShadowReader:
    """Reads the rates of copies, and keeps them for a moment."""

    def __init__(
        self,
        *,
        http: httpx.Client,
        prometheus_url: str,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`prometheus_url` is empty where no Prometheus is known; then nothing is asked."""
        self._http = http
        self._url = prometheus_url.rstrip("/")
        self._query = QUERY % namespace
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[float, Picture | None] | None = None

    def read(self) -> Picture | None:
        """The rates as they were a moment ago; None where nobody knows them."""
        if not self._url:
            return None
        # Whoever comes while somebody asks gets the same answer.
        with self._lock:
            now = self._clock()
            if self._kept is None or now - self._kept[0] >= KEEP_SECONDS:
                self._kept = (now, self._ask())
            return self._kept[1]

    def _ask(self) -> Picture | None:
        try:
            answer = self._http.post(
                f"{self._url}/api/v1/query", data={"query": self._query}, timeout=ANSWER_SECONDS
            ).raise_for_status()
            return add_up(msgspec.json.decode(answer.content, type=_Answer, strict=False).data.result)
        except (httpx.HTTPError, msgspec.MsgspecError, ValueError):
            return None


def add_up(series: tuple[_Series, ...]) -> Picture:
    """The rates by what became of copies, added up as `Copies` says. Raises ValueError for what is no number."""
    rates: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for one in series:
        rates[one.metric.service, one.metric.shadow][one.metric.outcome] = float(one.value[1])
    return {pair: _copies(of) for pair, of in rates.items()}


def _copies(rates: Mapping[str, float]) -> Copies:
    same, different, failed = (rates.get(name, 0.0) for name in ("same", "different", "failed"))
    return Copies(
        sent=same + different + failed + rates.get("not_compared", 0.0),
        compared=same + different,
        different=different,
        failed=failed,
        dropped=rates.get("dropped", 0.0),
        too_large=rates.get("too_large", 0.0),
    )
