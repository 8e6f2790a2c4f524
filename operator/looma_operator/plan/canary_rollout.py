"""Whether a canary begins, goes on, takes over or is given up: strategy Canary. Pure.

| stable | target | rollout's state          | pods                                  | weights             |
| ------ | ------ | ------------------------ | ------------------------------------- | ------------------- |
| none   | r1     | begins                   | r1 in full, as with Rolling           | all to r1           |
| r1     | r1     | none                     | r1 in full; others until nothing asks | all to r1           |
| r1     | r2     | goes on                  | r1 in full, r2 as its step needs      | as its step says    |
| r1     | r2     | all steps over, arrived  | r2 in full; it is stable from now on  | all to r2           |
| r1     | r2     | given up, or aborted     | r1 in full; r2 until nothing asks it  | all to r1           |
| r1     | r3     | r2 was under way         | r1 in full, r3 begins; r2 as above    | r2 gets none at once |
| any    | any    | paused                   | as they are; scaling falls to stable  | as they are         |

Pods are taken from a revision only when the gateways say that it gets nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from ..resources import CANARY, RolloutStatus, RolloutStep
from .counts import next_counts
from .observed import Pods
from .rollout import RolloutDecision, decide_rollout
from .steps import WHOLE, Progress, StepDecision, decide_step, pods_for


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What people asked of a canary by request, with this look."""

    promote: bool = False
    promote_fully: bool = False


def decide_canary_rollout(
    *,
    target: str,
    stable: str,
    replicas: int,
    pods: Mapping[str, Pods],
    before: RolloutStatus | None,
    steps: Sequence[RolloutStep],
    shares: Mapping[str, float | None],
    routed: bool,
    paused: bool,
    resumed: bool,
    direct: bool,
    asked: Asked,
    deadline: timedelta,
    now: datetime,
) -> RolloutDecision:
    """What the service's canary does next; see the module's table.

    Args:
        target: revision that the spec asks for.
        stable: revision that serves, empty before the first rollout has ended.
        replicas: pods that the spec asks for.
        pods: pods of every revision that has a Deployment.
        before: the rollout as status recorded it.
        steps: those of the spec.
        shares: percent of the requests that each revision really gets, None while that is unknown; without an entry
            it gets none.
        routed: a gateway divides the requests; without one every pod that answers gets its part of them.
        paused: the spec asks for a pause.
        resumed: the pause ended with this look.
        direct: a rollout that begins now leaves out the steps.
        asked: what people asked for.
        deadline: how long a rollout may wait for pods or gateways without getting on.
        now: this moment.
    """
    if not stable:
        first = decide_rollout(
            target=target,
            stable=stable,
            replicas=replicas,
            pods=pods,
            before=before,
            paused=paused,
            resumed=resumed,
            direct=direct,
            deadline=deadline,
            now=now,
        )
        return replace(first, weights={target: WHOLE})
    if before is not None and before.revision != target:
        before = None
    if paused:
        return _paused(target=target, stable=stable, replicas=replicas, pods=pods, before=before)
    if target == stable:
        return RolloutDecision(
            stable=stable,
            counts=_back(stable, replicas=replicas, pods=pods, shares=shares, routed=routed),
            rollout=None,
            completed=before is not None,
            weights={stable: WHOLE},
        )
    rollout = before or RolloutStatus(
        revision=target,
        from_=stable,
        started_at=now,
        progressed_at=now,
        direct=direct,
        strategy=CANARY,
        step=len(steps) if direct else 0,
        step_started_at=now,
    )
    decision = (
        _given_up(rollout, replicas=replicas, pods=pods, shares=shares, routed=routed)
        if rollout.failed
        else _go_on(
            rollout,
            replicas=replicas,
            pods=pods,
            steps=steps,
            shares=shares,
            routed=routed,
            resumed=resumed,
            asked=asked,
            deadline=deadline,
            now=now,
        )
    )
    return replace(decision, started=before is None)


def _go_on(
    rollout: RolloutStatus,
    *,
    replicas: int,
    pods: Mapping[str, Pods],
    steps: Sequence[RolloutStep],
    shares: Mapping[str, float | None],
    routed: bool,
    resumed: bool,
    asked: Asked,
    deadline: timedelta,
    now: datetime,
) -> RolloutDecision:
    target, stable = rollout.revision, rollout.from_
    serving = pods.get(target, Pods()).serving
    step = decide_step(
        steps=steps,
        before=Progress(
            step=rollout.step, since=rollout.step_started_at or rollout.started_at, weight=rollout.weight
        ),
        replicas=replicas,
        serving=serving,
        share=shares.get(target, 0.0),
        now=now,
        promoted=asked.promote,
        promoted_fully=asked.promote_fully,
        least=1 if routed else 0,
    )
    rollout = _advanced(rollout, step, serving=serving, resumed=resumed, now=now)
    if step.arrived:
        return RolloutDecision(
            stable=target,
            counts={**_rest(pods, shares, kept={target}), target: replicas},
            rollout=None,
            completed=True,
            weights={target: WHOLE},
        )
    wakes = [] if step.wake_after is None else [step.wake_after]
    if step.waits_for_others:
        left = (rollout.progressed_at + deadline - now).total_seconds()
        if left <= 0:
            failed = msgspec.structs.replace(rollout, failed=True)
            return replace(
                _given_up(failed, replicas=replicas, pods=pods, shares=shares, routed=routed), failed_now=True
            )
        # A little late rather than a little early, or the look would find nothing to decide.
        wakes.append(left + 0.1)
    rest = _rest(pods, shares, kept={stable, target})
    # Where pods are the only weights, the new ones take the places of as many others.
    beside = replicas if routed else max(0, replicas - min(serving, step.pods))
    return RolloutDecision(
        stable=stable,
        counts={**rest, stable: beside, target: step.pods},
        rollout=rollout,
        wake_after=min(wakes, default=None),
        weights={stable: WHOLE - rollout.weight, target: rollout.weight},
        waits=step.waits,
    )


def _advanced(
    rollout: RolloutStatus, step: StepDecision, *, serving: int, resumed: bool, now: datetime
) -> RolloutStatus:
    """The rollout's record with what was decided; a step, a weight or a pod more is progress, a pause costs no time."""
    got_on = (
        step.progress.step != rollout.step
        or step.progress.weight != rollout.weight
        or serving > rollout.available
        or not step.waits_for_others
        or resumed
    )
    return msgspec.structs.replace(
        rollout,
        step=step.progress.step,
        step_started_at=step.progress.since,
        weight=step.progress.weight,
        available=max(serving, rollout.available),
        progressed_at=now if got_on else rollout.progressed_at,
    )


def _rest(pods: Mapping[str, Pods], shares: Mapping[str, float | None], *, kept: set[str]) -> dict[str, int]:
    """Pods of revisions that are to get nothing: as many as there are, until the gateways say that they do not."""
    return {
        name: state.spec if shares.get(name, 0.0) != 0.0 else 0
        for name, state in pods.items()
        if name not in kept
    }


def _back(
    stable: str, *, replicas: int, pods: Mapping[str, Pods], shares: Mapping[str, float | None], routed: bool
) -> dict[str, int]:
    """Pods when all requests go to `stable`: it never gave any away, unless pods were the only weights."""
    if not routed:
        return next_counts(replicas=replicas, wanted=stable, pods=pods, direct=True)
    return {**_rest(pods, shares, kept={stable}), stable: replicas}


def _given_up(
    rollout: RolloutStatus,
    *,
    replicas: int,
    pods: Mapping[str, Pods],
    shares: Mapping[str, float | None],
    routed: bool,
) -> RolloutDecision:
    return RolloutDecision(
        stable=rollout.from_,
        counts=_back(rollout.from_, replicas=replicas, pods=pods, shares=shares, routed=routed),
        rollout=msgspec.structs.replace(rollout, weight=0),
        weights={rollout.from_: WHOLE},
    )


def _paused(
    *, target: str, stable: str, replicas: int, pods: Mapping[str, Pods], before: RolloutStatus | None
) -> RolloutDecision:
    """Nothing moves. What the new revision carries it goes on to carry, also where more or fewer pods are asked for."""
    weight = before.weight if before is not None and not before.failed else 0
    counts = {name: state.spec for name, state in pods.items()}
    counts[stable] = replicas
    if weight and target in counts:
        counts[target] = max(counts[target], pods_for(weight, replicas))
    weights = {stable: WHOLE - weight, target: weight} if weight else {stable: WHOLE}
    return RolloutDecision(stable=stable, counts=counts, rollout=before, weights=weights)
