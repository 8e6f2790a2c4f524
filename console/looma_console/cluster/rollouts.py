"""A rollout as the pages show it: its steps, and what its analyses found. Pure reading."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from looma_console.cluster.documents import Document, read_time


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a canary: a weight in percent, an analysis, a wait of `seconds`, or else until somebody promotes.

    `state` is done, now or next.
    """

    weight: int | None
    seconds: int | None
    analysis: bool
    state: str


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A rollout that goes on or was given up. `steps` are those of a canary; `by_weight` it `waits` for something."""

    revision: str
    source: str
    started_at: dt.datetime | None
    failed: bool
    aborted: bool
    paused: bool
    by_weight: bool
    steps: tuple[Step, ...]
    waits: str

    @property
    def actions(self) -> tuple[str, ...]:
        """What may be asked for now; see the operator's requests."""
        if self.failed:
            return ("retry",)
        if self.paused:
            return ("resume", "abort") if self.source else ("resume",)
        ways = ("promote", "promote-full") if self.by_weight else ()
        return (*ways, "pause", "abort") if self.source else ("pause",)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One value of a metric, with what it came to: Successful, Failed, Inconclusive or Error."""

    value: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """What an analysis found of one metric until now, the measurements that are kept from old to new.

    `baseline` is what the revision that serves had, `samples` how many requests were counted.
    """

    run: str
    metric: str
    revision: str
    verdict: str
    message: str
    query: str
    measurements: tuple[Measurement, ...]
    baseline: float | None
    samples: int | None
    measured_at: dt.datetime | None

    @property
    def value(self) -> float | None:
        """The last value; None where there was none."""
        return self.measurements[-1].value if self.measurements else None

    @property
    def curve(self) -> tuple[tuple[float, float, str], ...]:
        """The values as points in a box of 100 by 24 whose upper edge is the highest value, with their verdicts."""
        known = [(number, one) for number, one in enumerate(self.measurements) if one.value is not None]
        highest = max((one.value or 0.0 for _, one in known), default=0.0)
        step = 100 / max(1, len(self.measurements) - 1)
        return tuple(
            (
                round(number * step, 1),
                round(24 - (24 * max(0.0, one.value or 0.0) / highest if highest > 0 else 0.0), 1),
                one.verdict,
            )
            for number, one in known
        )


def read_rollout(status: Document, spec: Document) -> Rollout | None:
    """The rollout of an AIService's status, or None where none is told of."""
    item: Document | None = status.get("rollout")
    if not item:
        return None
    asked = (spec.get("rollout") or {}).get("steps") or ()
    at = int(item.get("step") or 0)
    steps = asked if item.get("strategy") == "Canary" else ()
    return Rollout(
        revision=str(item.get("revision", "")),
        source=str(item.get("from") or ""),
        started_at=read_time(item.get("startedAt")),
        failed=bool(item.get("failed")),
        aborted=bool(item.get("aborted")),
        paused=bool(item.get("paused")),
        by_weight=item.get("strategy") in {"Canary", "BlueGreen"},
        steps=tuple(
            Step(
                weight=step.get("setWeight"),
                seconds=(step.get("pause") or {}).get("seconds"),
                analysis="analysis" in step,
                state="done" if number < at else "now" if number == at else "next",
            )
            for number, step in enumerate(steps)
        ),
        waits=str((status.get("canary") or {}).get("waits") or ""),
    )


def read_analysis(status: Document) -> tuple[Analysed, ...]:
    """What the analyses of an AIService's status found, one for each metric of each."""
    return tuple(_analysed(item) for item in status.get("analysis") or ())


def _analysed(item: Document) -> Analysed:
    measurements: list[Document] = list(item.get("measurements") or ())
    last: Document = measurements[-1] if measurements else {}
    return Analysed(
        run=str(item.get("run", "")),
        metric=str(item.get("metric", "")),
        revision=str(item.get("revision", "")),
        verdict=str(item.get("verdict", "")),
        message=str(item.get("message") or last.get("message") or ""),
        query=str(item.get("query", "")),
        measurements=tuple(
            Measurement(value=_number(one.get("value")), verdict=str(one.get("verdict", "")))
            for one in measurements
        ),
        baseline=_number(last.get("baseline")),
        samples=last.get("samples"),
        measured_at=read_time(item.get("measuredAt")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
