"""What a gateway pod tells of its traffic: rates, circuits and shares of the last seconds, by service. Pure."""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from looma_core.api.gateway import Circuit, GatewayTraffic, RevisionTraffic, ServiceTraffic
from looma_engines.gateway.counting import Counts
from looma_engines.gateway.findings import Split
from looma_engines.gateway.traffic import Told

WINDOW_SECONDS = 10.0
"""Rates are means of so long: long enough to be calm, short enough to be called live."""
SAMPLE_SECONDS = 60.0
MOST_SAMPLES = 20_000

BOUNDS: Final = (
    *(0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 30.0, 60.0),
)
"""Fine enough that a quantile that is read from them is right to a third of itself."""

Revision = tuple[str, str]
"""A service, as `NAMESPACE/NAME`, and one of its revisions."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted until a moment: of each revision, and refusals by service."""

    counts: Mapping[Revision, Counts] = msgspec.field(default_factory=dict)
    limited: Mapping[str, int] = msgspec.field(default_factory=dict)
    over_budget: Mapping[str, int] = msgspec.field(default_factory=dict)
    interrupted: Mapping[str, int] = msgspec.field(default_factory=dict)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What holds at a moment."""

    splits: Sequence[Split] = ()
    asked: Sequence[Told] = ()
    given: Sequence[Told] = ()
    circuits: Mapping[Revision, Circuit] = msgspec.field(default_factory=dict)
    openings: Mapping[Revision, int] = msgspec.field(default_factory=dict)
    callers_over: Mapping[str, int] = msgspec.field(default_factory=dict)
    callers_over_budget: Mapping[str, int] = msgspec.field(default_factory=dict)


def revisions_of(splits: Iterable[Split]) -> dict[str, Revision]:
    """Whose each backend is; of two services with the same one, the first."""
    found: dict[str, Revision] = {}
    for split in splits:
        for backend, revision in zip(split.backends, split.revisions, strict=False):
            if backend:
                found.setdefault(backend, (f"{split.namespace}/{split.service}", revision))
    return found


class Window:
    """Totals of the last seconds, and samples of the last minute."""

    def __init__(self) -> None:
        """Begin without a look."""
        self._looks: deque[tuple[float, Totals]] = deque()
        self._samples: deque[tuple[float, Revision, int]] = deque(maxlen=MOST_SAMPLES)

    def look(self, at: float, totals: Totals) -> None:
        """Take the totals of a moment (seconds, monotonic)."""
        self._looks.append((at, totals))
        # One that is a little older stays: rates are of no shorter time than was said.
        while len(self._looks) > 2 and at - self._looks[1][0] >= WINDOW_SECONDS:
            self._looks.popleft()

    def sample(self, at: float, whose: Revision, seconds: float) -> None:
        """Take a sampled request."""
        self._samples.append((at, whose, bisect.bisect_left(BOUNDS, seconds)))

    def traffic(self, state: State, *, gateway: str, now: float) -> GatewayTraffic:
        """All of it as it is told at the moment `now`."""
        if not self._looks:
            return GatewayTraffic(gateway=gateway, age_seconds=None)
        (begin, first), (end, last) = self._looks[0], self._looks[-1]
        look = _Look(
            first=first,
            last=last,
            window=end - begin,
            state=state,
            asked=_shares(state.asked),
            given=_shares(state.given),
            histograms=self._histograms(now),
        )
        services = dict.fromkeys((split.namespace, split.service) for split in state.splits)
        return GatewayTraffic(
            gateway=gateway,
            age_seconds=round(now - end, 1),
            window_seconds=round(look.window, 1),
            bounds=BOUNDS,
            services=tuple(look.service(namespace, name) for namespace, name in sorted(services)),
        )

    def _histograms(self, now: float) -> dict[Revision, tuple[int, ...]]:
        while self._samples and now - self._samples[0][0] > SAMPLE_SECONDS:
            self._samples.popleft()
        found: dict[Revision, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        for _, whose, place in self._samples:
            found[whose][place] += 1
        return {whose: tuple(places) for whose, places in found.items()}


def _shares(told: Iterable[Told]) -> dict[Revision, float]:
    return {
        (f"{one.namespace}/{one.service}", weight.revision): weight.percent
        for one in told
        for weight in one.weights
    }


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """All that one answer is made of."""

    first: Totals
    last: Totals
    window: float
    state: State
    asked: Mapping[Revision, float]
    given: Mapping[Revision, float]
    histograms: Mapping[Revision, tuple[int, ...]]

    def service(self, namespace: str, name: str) -> ServiceTraffic:
        """One service."""
        label = f"{namespace}/{name}"
        first, last = self.first, self.last
        moved = [whose for whose, now in last.counts.items() if now != first.counts.get(whose, Counts())]
        named = (*self.asked, *self.given, *self.histograms, *moved, *self.state.circuits)
        revisions = {revision for of, revision in named if of == label and revision}
        return ServiceTraffic(
            namespace=namespace,
            service=name,
            revisions=tuple(self._revision((label, revision)) for revision in sorted(revisions)),
            limited=self._rate(last.limited.get(label, 0) - first.limited.get(label, 0)),
            over_budget=self._rate(last.over_budget.get(label, 0) - first.over_budget.get(label, 0)),
            interrupted=self._rate(last.interrupted.get(label, 0) - first.interrupted.get(label, 0)),
            callers_over=self.state.callers_over.get(label, 0),
            callers_over_budget=self.state.callers_over_budget.get(label, 0),
        )

    def _revision(self, whose: Revision) -> RevisionTraffic:
        counts = self.last.counts.get(whose, Counts()) - self.first.counts.get(whose, Counts())
        return RevisionTraffic(
            revision=whose[1],
            asked=self.asked.get(whose),
            given=self.given.get(whose),
            answered=self._rate(counts.requests),
            failed=self._rate(counts.failed),
            retried=self._rate(counts.retried),
            circuit=self.state.circuits.get(whose),
            openings=self.state.openings.get(whose, 0),
            seconds=self.histograms.get(whose, ()),
        )

    def _rate(self, number: int) -> float:
        return round(number / self.window, 2) if self.window else 0.0
