"""A rollout as the pages show it: its steps, and what its analyses found. Pure reading."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from looma_console.cluster.charts import Chart, Reading, draw
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
        """What may be asked for at this moment; see the operator's requests."""
        if self.failed:
            return ("retry",)
        if self.paused:
            return ("resume", "abort") if self.source else ("resume",)
        ways = ("promote", "promote-full") if self.by_weight else ()
        return (*ways, "pause", "abort") if self.source else ("pause",)


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """What an analysis found of one metric until now, the measurements that are kept from old to new.

    `baseline` is what the revision that serves had, `samples` how many requests were counted, `most` and `least` what
    the spec lets the value be: None where it sets no such limit, and for comparisons, which have none.
    """

    run: str
    metric: str
    revision: str
    verdict: str
    message: str
    query: str
    measurements: tuple[Reading, ...]
    most: float | None
    least: float | None
    baseline: float | None
    samples: int | None
    measured_at: dt.datetime | None

    @property
    def value(self) -> float | None:
        """The last value; None where there was none."""
        return self.measurements[-1].value if self.measurements else None

    @property
    def chart(self) -> Chart | None:
        """The values with their limits as a small picture; None where nothing could be measured yet."""
        return draw(self.measurements, most=self.most, least=self.least)


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


def read_analysis(status: Document, spec: Document) -> tuple[Analysed, ...]:
    """What the analyses of an AIService's status found, one for each metric of each."""
    return tuple(_analysed(item, spec) for item in status.get("analysis") or ())


def limits_of(spec: Document, *, run: str, metric: str) -> tuple[float | None, float | None]:
    """The `max` and `min` of a metric, of the analysis that status calls `run`.

    | run           | where it stands in spec.rollout |
    | ------------- | ------------------------------- |
    | step-2        | steps[2].analysis               |
    | background    | analysis                        |
    | prePromotion  | prePromotionAnalysis            |
    | postPromotion | postPromotionAnalysis           |
    """
    rollout: Document = spec.get("rollout") or {}
    if run.startswith("step-"):
        steps, number = rollout.get("steps") or (), run.removeprefix("step-")
        step: Document = steps[int(number)] if number.isdigit() and int(number) < len(steps) else {}
        analysis: Document = step.get("analysis") or {}
    else:
        analysis = rollout.get("analysis" if run == "background" else f"{run}Analysis") or {}
    found: Document = next((item for item in analysis.get("metrics") or () if item.get("name") == metric), {})
    return _number(found.get("max")), _number(found.get("min"))


def _analysed(item: Document, spec: Document) -> Analysed:
    measurements: list[Document] = list(item.get("measurements") or ())
    last: Document = measurements[-1] if measurements else {}
    most, least = limits_of(spec, run=str(item.get("run", "")), metric=str(item.get("metric", "")))
    return Analysed(
        run=str(item.get("run", "")),
        metric=str(item.get("metric", "")),
        revision=str(item.get("revision", "")),
        verdict=str(item.get("verdict", "")),
        message=str(item.get("message") or last.get("message") or ""),
        query=str(item.get("query", "")),
        measurements=tuple(
            Reading(
                value=_number(one.get("value")),
                baseline=_number(one.get("baseline")),
                verdict=str(one.get("verdict", "")),
            )
            for one in measurements
        ),
        most=most,
        least=least,
        baseline=_number(last.get("baseline")),
        samples=last.get("samples"),
        measured_at=read_time(item.get("measuredAt")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
