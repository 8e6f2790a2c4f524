"""The steps of a canary: how much of the traffic the new revision is to get next, and with how many pods. Pure.

    D      replicas that the spec asks for
    w      percent that a step sets
    need   ceil(D * w / 100) pods of the new revision, at least one: capacity comes before traffic

The stable revision keeps all of its D pods until the new one has taken over: giving up is then a matter of weights
alone, and everything that comes back finds its place at once.

| step         | the new revision has       | answer                                                         |
| ------------ | -------------------------- | -------------------------------------------------------------- |
| setWeight w  | fewer than `need` pods     | `need` pods; the weight stays, or falls at once if w is less   |
| setWeight w  | `need` pods, other share   | weight w                                                       |
| setWeight w  | `need` pods, share w       | the next step begins                                           |
| pause        | any                        | weight and pods stay, until its time is over or it is promoted |
| analysis     | fewer than the weight needs | those pods; it has not begun                                  |
| analysis     | those pods                 | weight and pods stay, until it has succeeded or it is promoted |
| after all    | fewer than D pods          | D pods; the weight stays                                       |
| after all    | D pods, a share below 100  | weight 100                                                     |
| after all    | D pods, share 100          | it may take over                                               |

A share is what the gateways report, never what was asked for: while one of them does not say, no step is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..resources import Pause, RolloutStep
from ..resources_analysis import Verdict

WHOLE = 100
CLOSE = 0.5
"""Percent by which a reported share may be off: shares are exact to a thousandth, reports are rounded to a tenth."""
LITTLE_LATER = 0.05
FOR_SOMEBODY = "somebody to"
"""How `waits` begins where a person is waited for, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a canary is: the number of its step, since when, and the percent that its revision is to get.

    The number is as many as there are steps when all of them are over.
    """

    step: int = 0
    since: datetime
    weight: int = 0


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """What the analyses say of going on; those that failed have ended the rollout before a step is decided.

    `verdict` is that of the step's own, None before it has begun, and `why` its reason. `hold` is why one in the
    background keeps the rollout where it is, `unproven` what that one has not seen to be good yet; both empty for none.
    """

    verdict: Verdict | None = None
    why: str = ""
    hold: str = ""
    unproven: str = ""


@dataclass(frozen=True, kw_only=True)
class StepDecision:
    """What a canary does next.

    pods are those to ask for of the new revision. `waits` says for what, in words that follow "waits for";
    `waits_for_others` that it is pods or gateways, which may not take for ever; `arrived` that all steps are over and
    the whole traffic is there. wake_after is when to look again, in seconds.
    """

    progress: Progress
    pods: int
    waits: str = ""
    waits_for_others: bool = False
    arrived: bool = False
    wake_after: float | None = None


def pods_for(weight: int, replicas: int, *, least: int = 1) -> int:
    """Pods that carry a percentage of what `replicas` carry; at least one, which is looked at before it gets traffic.

    Where every pod gets its part at once, none is wanted for a weight of 0: `least` is 0 then.

    | replicas | weight | pods |
    | -------- | ------ | ---- |
    | 4        | 0      | 1    |
    | 4        | 25     | 1    |
    | 4        | 26     | 2    |
    | 4        | 100    | 4    |
    | 0        | any    | 0    |
    """
    return min(replicas, max(least, math.ceil(replicas * weight / WHOLE)))


def decide_step(
    *,
    steps: Sequence[RolloutStep],
    before: Progress,
    replicas: int,
    serving: int,
    share: float | None,
    now: datetime,
    promoted: bool = False,
    promoted_fully: bool = False,
    least: int = 1,
    analysed: Analysed = Analysed(),
) -> StepDecision:
    """What the canary does next; see the module's table. At most one step is gone on by a look.

    Args:
        steps: those of the spec as it is now; where they became fewer, the canary is after all of them.
        before: where it was.
        replicas: pods that the spec asks for.
        serving: pods of the new revision that answer and stay.
        share: percent of the requests that it really gets, None while that is unknown.
        now: this moment.
        promoted: somebody asked for the next step: a pause is over, a weight is not waited for.
        promoted_fully: somebody asked to leave out all further steps.
        least: pods of the new revision before it has a weight.
        analysed: what the analyses say.
    """
    number = len(steps) if promoted_fully else min(before.step, len(steps))
    here = before if number == before.step else Progress(step=number, since=now, weight=before.weight)
    as_it_is = pods_for(here.weight, replicas, least=least)
    if analysed.hold and not (promoted or promoted_fully):
        return StepDecision(progress=here, pods=as_it_is, waits=_undecided(analysed.hold))
    if number == len(steps):
        decision = _after_all(here, replicas=replicas, serving=serving, share=share)
        waits = f"its analysis to see something good of {analysed.unproven}"
        return replace(decision, arrived=False, waits=waits) if _is_unproven(decision, analysed) else decision
    after = Progress(step=number + 1, since=now, weight=here.weight)
    step = steps[number]
    if promoted:
        return StepDecision(progress=after, pods=as_it_is, wake_after=0.0)
    if step.analysis is not None:
        return _analysing(here, after, analysed, pods=as_it_is)
    if step.pause is not None:
        return _paused(here, after, step.pause, pods=as_it_is, now=now)
    wanted = step.set_weight or 0
    need = pods_for(wanted, replicas, least=least)
    # Pods that carry what is there now go only when it has gone.
    pods = max(need, pods_for(here.weight, replicas, least=least))
    return _towards(here, after, wanted, need=need, pods=pods, serving=serving, share=share)


def _paused(here: Progress, after: Progress, pause: Pause, *, pods: int, now: datetime) -> StepDecision:
    if pause.seconds is None:
        return StepDecision(progress=here, pods=pods, waits=f"{FOR_SOMEBODY} promote it")
    left = (here.since + timedelta(seconds=pause.seconds) - now).total_seconds()
    if left > 0:
        late = left + LITTLE_LATER
        return StepDecision(progress=here, pods=pods, waits="the end of its pause", wake_after=late)
    return StepDecision(progress=after, pods=pods, wake_after=0.0)


def _is_unproven(decision: StepDecision, analysed: Analysed) -> bool:
    return decision.arrived and bool(analysed.unproven)


def _undecided(why: str) -> str:
    return f"{FOR_SOMEBODY} promote or abort it: its analysis is inconclusive, {why}"


def _analysing(here: Progress, after: Progress, analysed: Analysed, *, pods: int) -> StepDecision:
    if analysed.verdict is None:
        return StepDecision(
            progress=here, pods=pods, waits=f"{pods} of its pods to answer", waits_for_others=True
        )
    if analysed.verdict is Verdict.SUCCESSFUL:
        return StepDecision(progress=after, pods=pods, wake_after=0.0)
    waits = "its analysis" if analysed.verdict is Verdict.RUNNING else _undecided(analysed.why)
    return StepDecision(progress=here, pods=pods, waits=waits)


def _towards(
    here: Progress,
    after: Progress,
    wanted: int,
    *,
    need: int,
    pods: int,
    serving: int,
    share: float | None,
) -> StepDecision:
    if serving < need:
        weight = min(here.weight, wanted)
        waiting = Progress(step=here.step, since=here.since, weight=weight)
        return StepDecision(
            progress=waiting, pods=pods, waits=f"{need} of its pods to answer", waits_for_others=True
        )
    there = Progress(step=here.step, since=here.since, weight=wanted)
    if share is None:
        return StepDecision(
            progress=there, pods=pods, waits="the gateways to say what they give it", waits_for_others=True
        )
    if abs(share - wanted) > CLOSE:
        return StepDecision(
            progress=there, pods=pods, waits=f"the gateways to give it {wanted} %", waits_for_others=True
        )
    # The weight goes on with the next step.
    return StepDecision(
        progress=Progress(step=after.step, since=after.since, weight=wanted), pods=need, wake_after=0.0
    )


def _after_all(here: Progress, *, replicas: int, serving: int, share: float | None) -> StepDecision:
    if serving < replicas:
        return StepDecision(
            progress=here, pods=replicas, waits=f"{replicas} of its pods to answer", waits_for_others=True
        )
    whole = Progress(step=here.step, since=here.since, weight=WHOLE)
    if share is None:
        return StepDecision(
            progress=whole,
            pods=replicas,
            waits="the gateways to say what they give it",
            waits_for_others=True,
        )
    if share < WHOLE - CLOSE:
        return StepDecision(
            progress=whole, pods=replicas, waits="the gateways to give it everything", waits_for_others=True
        )
    return StepDecision(progress=whole, pods=replicas, arrived=True)
