"""Looks at HAProxy once a second: what it counts becomes metrics, and what `/traffic` tells.

A task of its own, so that a look that takes long holds up no change. `look` is also called right before a worker is
replaced or a server removed, whose counters go with it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from looma_core import logging
from looma_core.api.gateway import Circuit, GatewayTraffic
from looma_engines.gateway.counting import Answered, Counts, Kept, Tally, minus
from looma_engines.gateway.haproxy import circuit_breakers, refusals, tables
from looma_engines.gateway.haproxy.readback import Breaker, Entry, Stat, Unreadable, breakers_of
from looma_engines.gateway.haproxy.runtime import HaproxyError
from looma_engines.gateway.haproxy.text import key, server_name
from looma_engines.gateway.live import Revision, State, Totals, Window, revisions_of
from looma_engines.gateway.metrics import GatewayMetrics
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.samples import Sample
from looma_engines.gateway.telling import View
from looma_engines.gateway.traffic import asked_pods, pod_revision, told

log = logging.get(__name__)

LOOK_SECONDS = 1.0
MOST_PODS = 10_000
_REASONS = {refusals.Why.LIMIT: "limit", refusals.Why.BUDGET: "budget"}


class Reader(Protocol):
    """What reads HAProxy's counters; `haproxy.runtime.Runtime`, or a test's."""

    async def stat_of_workers(self) -> Mapping[int, Sequence[Stat]]:
        """Rows of `show stat` of each worker."""
        ...

    async def tables(self, *names: str) -> tuple[tuple[Entry, ...], ...]:
        """Entries of stick tables."""
        ...


class Watch:
    """What this gateway pod sees of its traffic."""

    def __init__(
        self,
        reader: Reader,
        *,
        pod: str,
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Look by `reader`; `clock` is monotonic, `now` the seconds since 1970 that HAProxy's circuits go by."""
        self._reader = reader
        self._pod = pod
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._lock = asyncio.Lock()
        self._view: View | None = None
        self._whose: dict[str, Revision] = {}
        self._unnamed: set[Revision] = set()
        self._tally = Tally()
        self._known: dict[str, Counts] = {}
        self._answered: dict[str, dict[str, Answered]] = {}
        self._pods: dict[tuple[str, str], str] = {}
        self._kept: dict[tuple[str, str, str], Kept] = {}
        self._had_tables = False
        self._counts: dict[Revision, Counts] = defaultdict(Counts)
        self._refused: dict[tuple[str, str], int] = defaultdict(int)
        self._openings: dict[Revision, int] = defaultdict(int)
        self._window = Window()
        self._state = State()
        self._failed = ""

    def take(self, view: View) -> None:
        """Take a newer view of what HAProxy is asked for, and gives."""
        self._view = view
        self._whose = revisions_of(view.translation.splits)
        self._unnamed = {whose for whose in self._whose.values() if not whose[1]}
        here = {
            (backend.name, server_name(endpoint)): pod_revision(backend.service, endpoint.pod)
            for backend in view.translation.plane.backends
            for endpoint in backend.endpoints
        }
        # What a pod that is gone has answered may not be counted yet.
        self._pods = here if len(self._pods) > MOST_PODS else self._pods | here

    def sample(self, sample: Sample) -> None:
        """Take a sampled request."""
        whose = self._whose_is(sample.backend, sample.server)
        self._metrics.sample(*whose, seconds=sample.seconds, own_seconds=sample.own_seconds)
        self._window.sample(self._clock(), whose, sample.seconds)

    def traffic(self) -> GatewayTraffic:
        """What is told of the last seconds."""
        return self._window.traffic(self._state, gateway=self._pod, now=self._clock())

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look now; where HAProxy does not answer, what was seen last grows older."""
        # The later look must not be taken for the earlier one.
        async with self._lock:
            try:
                await self._look()
            except (HaproxyError, Unreadable) as error:
                if self._failed != str(error):
                    self._failed = str(error)
                    log.warning("cannot read HAProxy's counters", error=str(error)[:300])
            else:
                self._failed = ""

    async def _look(self) -> None:
        view = self._view
        self._tally.take(await self._reader.stat_of_workers())
        self._count()
        if view is not None:
            await self._look_at_tables(view)
        self._window.look(self._clock(), self._totals())

    def _count(self) -> None:
        counts, answered = self._tally.counts, self._tally.answered
        for backend, now in counts.items():
            since = now - self._known.get(backend, Counts())
            whose = self._whose_is(backend)
            if whose in self._unnamed and since == Counts():
                # Its pods have not said yet which revision they are.
                continue
            # Also of a backend without requests: a counter that is there and 0 says more than none.
            for part, number in self._by_revision(backend, since, answered.get(backend, {})).items():
                self._counts[part] += number
                self._metrics.attempts(*part, number)
        self._known, self._answered = counts, answered

    def _by_revision(
        self, backend: str, since: Counts, answered: Mapping[str, Answered]
    ) -> dict[Revision, Counts]:
        """What came to a backend, by the revision of the pods that answered; what none answered is the Service's."""
        before = self._answered.get(backend, {})
        parts = defaultdict(Counts, {self._whose_is(backend): replace(since, answered=Counts().answered)})
        for server, now in answered.items():
            came = minus(now, before[server]) if server in before else now
            if any(came):
                parts[self._whose_is(backend, server)] += Counts(answered=came)
        return dict(parts)

    async def _look_at_tables(self, view: View) -> None:
        plane = view.translation.plane
        kinds = (circuit_breakers.STATE, refusals.TOTALS, refusals.CALLERS)
        state, totals, callers = await self._reader.tables(*(tables.name(plane, kind) for kind in kinds))
        opened = {breaker.backend: breaker for breaker in breakers_of(state)}
        named = _services_of(view)
        rules = {key(name): service for name, service in named.items()}
        self._count_circuits(opened.values())
        for entry in totals:
            for why, reason in _REASONS.items():
                number = entry.values.get(f"gpc{int(why)}", 0)
                self._refuse(rules.get(entry.key, ""), reason, (entry.key, reason, "refused"), number)
        self._had_tables = True
        tags = {
            refusals.tag(name, why): (service, reason)
            for name, service in named.items()
            for why, reason in _REASONS.items()
        }
        found = (tags.get(entry.values.get("gpt0", -1)) for entry in callers)
        over = Counter(whose for whose in found if whose is not None)
        splits = view.translation.splits
        self._state = State(
            splits=splits,
            asked=told(splits, actual=view.asked, asked=view.asked, up=asked_pods(plane)),
            given=told(splits, actual=view.actual, asked=view.asked, up=view.up),
            circuits=self._circuits(plane, opened),
            openings=dict(self._openings),
            callers_over=_for(over, "limit"),
            callers_over_budget=_for(over, "budget"),
        )
        self._metrics.show_circuits(self._state.circuits)
        self._metrics.show_callers_over(over)

    def _count_circuits(self, breakers: Iterable[Breaker]) -> None:
        for breaker in breakers:
            whose = self._whose_is(breaker.backend)
            openings = self._since((breaker.backend, "circuit", "openings"), breaker.openings)
            self._openings[whose] += openings
            self._metrics.openings(*whose, openings)
            self._refuse(whose[0], "circuit", (breaker.backend, "circuit", "refused"), breaker.refused)

    def _circuits(self, plane: DataPlane, opened: Mapping[str, Breaker]) -> dict[Revision, Circuit]:
        found = {}
        for backend, breaker in circuit_breakers.of_backends(plane.rules).items():
            known = opened.get(backend)
            found[self._whose_is(backend)] = circuit_breakers.state(
                known.opened if known else 0, breaker, now_ms=int(self._now() * 1000)
            )
        return found

    def _refuse(self, service: str, reason: str, of: tuple[str, str, str], number: int) -> None:
        since = self._since(of, number)
        if service:
            self._refused[service, reason] += since
            self._metrics.refusals(service, reason, since)

    def _since(self, of: tuple[str, str, str], number: int) -> int:
        """What came to a counter of a table since the last look."""
        # What stands there at this process's first look, an earlier one told.
        kept = self._kept.setdefault(of, Kept(0 if self._had_tables else number))
        before = kept.value
        kept.look(number)
        return kept.value - before

    def _totals(self) -> Totals:
        return Totals(
            counts=dict(self._counts),
            limited=_for(self._refused, "limit"),
            over_budget=_for(self._refused, "budget"),
            interrupted=_for(self._refused, "circuit"),
        )

    def _whose_is(self, backend: str, server: str = "") -> Revision:
        """Service and revision of a backend, or of one of its servers where the pod's name says another.

        A backend that is of no AIService stands for itself.
        """
        service, revision = self._whose.get(backend, (backend, ""))
        return service, (revision and self._pods.get((backend, server), "")) or revision


def _services_of(view: View) -> dict[str, str]:
    """Whose each rule is, as `NAMESPACE/NAME` of an AIService; one that is of none stands for itself.

    By the splits: what a rule calls its service itself leaves out the gateway's own namespace.
    """
    found = {rule.name: rule.service or rule.name for rule in view.translation.plane.rules}
    for split in view.translation.splits:
        found |= {name: f"{split.namespace}/{split.service}" for name in split.rules if name in found}
    return found


def _for(counted: Mapping[tuple[str, str], int], reason: str) -> dict[str, int]:
    """What was counted for that reason, by service."""
    return {service: number for (service, why), number in counted.items() if why == reason}
