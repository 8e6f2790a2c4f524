"""Which analyses of a rollout run, what they ask to have measured, and what they say about going on. Pure.

| run           | of        | runs                                             | ends                              |
| ------------- | --------- | ------------------------------------------------ | --------------------------------- |
| step-N        | Canary    | in step N, once its pods answer                  | with its verdict                  |
| background    | Canary    | from the first weight until the rollout is over  | with the rollout, or a bad verdict |
| prePromotion  | BlueGreen | once all pods answer, before anybody may promote | with its verdict                  |
| postPromotion | BlueGreen | with all requests, before the earlier pods go    | with its verdict                  |

| verdict of a run | the rollout                                                        |
| ---------------- | ------------------------------------------------------------------ |
| Running          | waits (of the background: goes on)                                 |
| Successful       | goes on                                                            |
| Inconclusive     | stays until somebody promotes or aborts                            |
| Failed, Error    | is given up: the revision before serves everything                 |

All of it is kept in `status.analysis`; what was measured and not written down is measured again. A Job is found again
by its name: the entry was in status before it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from ..render.analysis_job import job_name, render_analysis_job
from ..resources import BLUE_GREEN, BY_WEIGHT, AIService, Rollout, RolloutStatus, RolloutStep
from ..resources_analysis import Analysis, MetricStatus, Verdict
from .canary_rollout import least_pods, steps_of
from .metric import LITTLE_LATER, Measured, Order, order_for, seconds_until_due, window_of, with_measured
from .observed import Pods
from .queries import Scene
from .rollout import RolloutDecision
from .saturation import limits_of
from .steps import Analysed, pods_for

BACKGROUND = "background"
PRE_PROMOTION = "prePromotion"
POST_PROMOTION = "postPromotion"
KEPT_ENTRIES = 48
JOB_SECONDS = 10.0
"""A Job's end wakes the operator; should its event be missed, it is seen this late."""
_WORST_FIRST = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.RUNNING, Verdict.SUCCESSFUL)


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What the analyses of a rollout come to with this look.

    entries are those of `status.analysis`, `failure` says why the rollout is to be given up (empty: it is not),
    `analysed` is for the step, `orders` are measurements to make, `taken` those of this look by source and verdict,
    wake_after is when the next is due, in seconds.
    """

    entries: tuple[MetricStatus, ...] = ()
    analysed: Analysed = field(default_factory=Analysed)
    failure: str = ""
    orders: tuple[Order, ...] = ()
    taken: tuple[tuple[str, Verdict], ...] = ()
    active: frozenset[str] = frozenset()
    wake_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Active:
    """A run that goes on with this look; `count` is None for one without an end of its own."""

    name: str
    spec: Analysis
    count: int | None
    frozen: bool = False


def run_name(rollout: Rollout, step: int) -> str:
    """Name of the run of a step."""
    if rollout.strategy == BLUE_GREEN:
        return PRE_PROMOTION if step == 0 else POST_PROMOTION
    return f"step-{step}"


def entries_of(entries: Sequence[MetricStatus], rollout: RolloutStatus) -> tuple[MetricStatus, ...]:
    """Those of the entries that are of this rollout, not of one before or of an earlier try."""
    return tuple(
        entry
        for entry in entries
        if entry.revision == rollout.revision and entry.started_at >= rollout.started_at
    )


def decide_runs(
    *,
    service: AIService,
    rollout: RolloutStatus | None,
    target: str,
    stable: str,
    pods: Mapping[str, Pods],
    measured: Sequence[Measured],
    routed: bool,
    paused: bool,
    promoted: bool,
    now: datetime,
) -> Runs:
    """What the analyses say; see the module's tables.

    Args:
        service: the service, with the entries as status has them.
        rollout: the rollout as status recorded it.
        target: revision that the spec asks for.
        stable: revision that serves.
        pods: pods of every revision that has a Deployment.
        measured: measurements that were made and are not in status yet.
        routed: requests come through a gateway.
        paused: the rollout is paused: an analysis of a step stands still, one in the background does not.
        promoted: somebody promotes it with this look: an inconclusive analysis in the background begins anew.
        now: this moment.
    """
    before = service.status.analysis
    if (
        rollout is None
        or rollout.failed
        or rollout.strategy not in BY_WEIGHT
        or service.spec.rollout.strategy not in BY_WEIGHT
        or rollout.revision != target
        or not stable
        or stable == target
    ):
        return Runs(entries=before)
    entries = {(entry.run, entry.metric): entry for entry in entries_of(before, rollout)}
    active = _active(service, rollout, entries, pods=pods, routed=routed, paused=paused)
    verdicts: dict[str, tuple[Verdict, str]] = {}
    orders: list[Order] = []
    taken: list[tuple[str, Verdict]] = []
    waits: list[float] = []
    for run in active:
        mine = _entries(run, entries, rollout, now)
        if promoted and run.name == BACKGROUND and _worst(mine)[0] is Verdict.INCONCLUSIVE:
            mine = [_begun(run, entry.metric, rollout, now) for entry in mine]
        mine = [_taken(run, entry, measured, stable, taken) for entry in mine]
        verdicts[run.name] = _worst(mine)
        entries |= {(entry.run, entry.metric): entry for entry in mine}
        if run.frozen or verdicts[run.name][0] not in (Verdict.RUNNING, Verdict.SUCCESSFUL):
            continue
        metrics = {metric.name: metric for metric in run.spec.metrics}
        for entry in mine:
            if entry.verdict is not Verdict.RUNNING:
                continue
            left = seconds_until_due(entry, spec=run.spec, now=now)
            if left > 0:
                waits.append(left + LITTLE_LATER)
                continue
            scene = Scene(
                namespace=service.metadata.namespace,
                service=service.metadata.name,
                engine=service.spec.engine,
                revision=entry.revision,
                stable=stable,
                routed=routed,
                window=window_of(entry, spec=run.spec, now=now),
                limits=limits_of(service.spec),
            )
            order = order_for(metrics[entry.metric], entry, scene)
            if order.metric.job is not None:
                order = _with_job(order, entry, service=service, stable=stable, routed=routed)
                waits.append(JOB_SECONDS)
            orders.append(order)
    failures = [why for verdict, why in verdicts.values() if verdict in (Verdict.FAILED, Verdict.ERROR)]
    return Runs(
        entries=_bounded(list(entries.values())),
        analysed=_analysed(verdicts, entries, service.spec.rollout),
        failure=failures[0] if failures else "",
        orders=() if failures else tuple(orders),
        taken=tuple(taken),
        active=frozenset(run.name for run in active),
        wake_after=min(waits, default=None),
    )


def _with_job(order: Order, entry: MetricStatus, *, service: AIService, stable: str, routed: bool) -> Order:
    """The order with the Job that carries it out, which is what status names as its query."""
    template = order.metric.job
    if template is None:
        return order
    series = job_name(
        service,
        template,
        run=entry.run,
        metric=entry.metric,
        revision=entry.revision,
        started_at=entry.started_at,
    )
    job = render_analysis_job(
        service,
        template,
        name=f"{series}-{order.number}",
        metric=entry.metric,
        revision=entry.revision,
        stable=stable,
        routed=routed,
    )
    return replace(order, query=f"Job {series}-{order.number}", job=job)


def _active(
    service: AIService,
    rollout: RolloutStatus,
    entries: Mapping[tuple[str, str], MetricStatus],
    *,
    pods: Mapping[str, Pods],
    routed: bool,
    paused: bool,
) -> list[_Active]:
    spec = service.spec.rollout
    begun = {run for run, _ in entries}
    active: list[_Active] = []
    steps: Sequence[RolloutStep] = steps_of(spec)
    asked = steps[rollout.step].analysis if rollout.step < len(steps) else None
    if asked is not None:
        name = run_name(spec, rollout.step)
        least = least_pods(spec, replicas=service.spec.replicas, routed=routed)
        need = pods_for(rollout.weight, service.spec.replicas, least=least)
        if name in begun or (not paused and pods.get(rollout.revision, Pods()).serving >= need):
            active.append(_Active(name=name, spec=asked, count=asked.count, frozen=paused))
    if spec.analysis is not None and not rollout.direct and (rollout.weight or BACKGROUND in begun):
        active.append(_Active(name=BACKGROUND, spec=spec.analysis, count=None))
    return active


def _begun(run: _Active, metric: str, rollout: RolloutStatus, now: datetime) -> MetricStatus:
    return MetricStatus(run=run.name, metric=metric, revision=rollout.revision, started_at=now)


def _entries(
    run: _Active,
    entries: Mapping[tuple[str, str], MetricStatus],
    rollout: RolloutStatus,
    now: datetime,
) -> list[MetricStatus]:
    """The run's entries, one for each metric that the spec has now."""
    return [
        entries.get((run.name, metric.name)) or _begun(run, metric.name, rollout, now)
        for metric in run.spec.metrics
    ]


def _taken(
    run: _Active,
    entry: MetricStatus,
    measured: Sequence[Measured],
    stable: str,
    taken: list[tuple[str, Verdict]],
) -> MetricStatus:
    """The entry with the measurement that was ordered for it, if it is there and still asks the same."""
    if entry.verdict is not Verdict.RUNNING:
        return entry
    wanted = (entry.run, entry.metric, entry.started_at, entry.number)
    for one in measured:
        if one.order.identity == wanted and one.order.metric in run.spec.metrics:
            judged = with_measured(entry, one, spec=run.spec, count=run.count, stable=stable)
            taken.append((one.order.metric.source, judged.measurements[-1].verdict))
            return judged
    return entry


def _worst(entries: Sequence[MetricStatus]) -> tuple[Verdict, str]:
    """The verdict of a run, and why: that of its worst metric. A run without metrics is none that was passed."""
    if not entries:
        return Verdict.ERROR, "it has no metrics"
    worst = min(entries, key=lambda entry: _WORST_FIRST.index(entry.verdict))
    return worst.verdict, f"{worst.metric}: {worst.message}" if worst.message else worst.metric


def _bounded(entries: list[MetricStatus]) -> tuple[MetricStatus, ...]:
    """At most KEPT_ENTRIES of them, without the oldest of those that have ended; those that run are few."""
    ended = [entry for entry in entries if entry.verdict is not Verdict.RUNNING]
    surplus = ended[: max(0, len(entries) - KEPT_ENTRIES)]
    return tuple(entry for entry in entries if entry not in surplus)


def _analysed(
    verdicts: Mapping[str, tuple[Verdict, str]],
    entries: Mapping[tuple[str, str], MetricStatus],
    spec: Rollout,
) -> Analysed:
    verdict, why = next(
        (found for name, found in verdicts.items() if name != BACKGROUND), (Verdict.RUNNING, "")
    )
    background, reason = verdicts.get(BACKGROUND, (Verdict.RUNNING, ""))
    begun = any(name != BACKGROUND for name in verdicts)
    unproven = [
        entry.metric
        for (run, _), entry in entries.items()
        if run == BACKGROUND and (not entry.successful or entry.consecutive_suspicious)
    ]
    return Analysed(
        verdict=verdict if begun else None,
        why=why,
        hold=reason if background is Verdict.INCONCLUSIVE else "",
        unproven=", ".join(unproven) if spec.analysis is not None else "",
    )


def given_up(rollout: RolloutStatus | None, runs: Runs) -> RolloutStatus | None:
    """The rollout's record after its analyses: given up where one failed, whatever somebody promotes with this look.

    The person saw less than the analysis did.
    """
    if rollout is None or not runs.failure:
        return rollout
    return msgspec.structs.replace(rollout, failed=True, analysis_failure=runs.failure)


def closed(runs: Runs, decision: RolloutDecision, now: datetime) -> tuple[MetricStatus, ...]:
    """The entries for status: those of a rollout that begins anew are its own, and what runs no more says so.

    | an entry that runs                        | rollout                       | becomes      |
    | ----------------------------------------- | ----------------------------- | ------------ |
    | of a run that is active                   | goes on                       | stays        |
    | in the background, with a good measurement | took over                    | Successful   |
    | any other                                 | ended, or went on without it  | Inconclusive |
    """
    rollout = decision.rollout
    entries = runs.entries
    if rollout is not None:
        entries = entries_of(entries, rollout)
    goes_on = rollout is not None and not rollout.failed

    def close(entry: MetricStatus) -> MetricStatus:
        if entry.verdict is not Verdict.RUNNING or (goes_on and entry.run in runs.active):
            return entry
        took_over = rollout is None and entry.revision == decision.stable
        if took_over and entry.run == BACKGROUND and entry.successful:
            return msgspec.structs.replace(entry, verdict=Verdict.SUCCESSFUL, ended_at=now)
        why = "the rollout went on without it" if goes_on else "the rollout ended before it did"
        message = f"{why}; {entry.message}" if entry.message else why
        return msgspec.structs.replace(entry, verdict=Verdict.INCONCLUSIVE, message=message, ended_at=now)

    return tuple(close(entry) for entry in entries)
