"""Whether a rollout by weights begins, goes on, takes over or is given up: strategies Canary and BlueGreen. Pure.

| stable | target | rollout's state          | pods                                  | weights             |
| ------ | ------ | ------------------------ | ------------------------------------- | ------------------- |
| none   | r1     | begins                   | r1 in full, as with Rolling           | all to r1           |
| r1     | r1     | none                     | r1 in full; others until nothing asks | all to r1           |
| r1     | r2     | goes on                  | r1 in full, r2 as its step needs      | as its step says    |
| r1     | r2     | all steps over, arrived  | r2 in full; it is stable from now on  | all to r2           |
| r1     | r2     | given up, or aborted     | r1 in full; r2 until nothing asks it  | all to r1           |
| r1     | r3     | r2 was under way         | r1 in full, r3 begins; r2 as above    | r2 gets none at once |
| any    | any    | paused                   | as they are; scaling falls to stable  | as they are         |

Pods are taken from a revision only when the gateways say that it gets nothing any more, and from the one that served
before when its delay is over as well. Without gateways pods are the weights: each revision's pods stay until as many of
the other serve in their places, so for a moment both may run.

BlueGreen is a canary without weights between none and all: all of its pods first, then it waits for somebody to promote
it (or not, with autoPromote), then it gets all requests at once. An analysis before that is its first step, one after
it the last: with all requests, and all pods of the revision before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from ..resources import BLUE_GREEN, BY_WEIGHT, Pause, Retained, Rollout, RolloutStatus, RolloutStep
from .counts import next_counts
from .observed import Pods
from .rollout import RolloutDecision, decide_rollout
from .steps import LITTLE_LATER, WHOLE, Analysed, Progress, StepDecision, decide_step, pods_for

BLUE_GREEN_DELAY_SECONDS = 30
"""How long the revision before keeps its pods where the spec says nothing; with Canary they go at once."""


def steps_of(rollout: Rollout) -> tuple[RolloutStep, ...]:
    """The steps of a strategy by weights."""
    if rollout.strategy != BLUE_GREEN:
        return rollout.steps
    steps: list[RolloutStep] = []
    if rollout.pre_promotion_analysis is not None:
        steps.append(RolloutStep(analysis=rollout.pre_promotion_analysis))
    if not rollout.auto_promote:
        steps.append(RolloutStep(pause=Pause()))
    if rollout.post_promotion_analysis is not None:
        # It has all requests, and is not stable before it has passed: giving up is then a matter of weights.
        steps += [RolloutStep(set_weight=WHOLE), RolloutStep(analysis=rollout.post_promotion_analysis)]
    return tuple(steps)


def under(rollout: RolloutStatus | None, spec: Rollout, now: datetime) -> RolloutStatus | None:
    """The rollout by the spec's strategy: one that began by the other strategy by weights begins with the first step.

    Its number means nothing among the other's steps, and may be beyond their last: nobody would be asked any more.

    | began as  | spec says | answer                                    |
    | --------- | --------- | ----------------------------------------- |
    | Canary    | BlueGreen | first step, all requests are the stable's |
    | BlueGreen | Canary    | the same; without steps where it had none |
    | Canary    | Canary    | as it is                                  |
    | any       | Rolling   | as it is: no step and no weight is asked  |
    """
    if rollout is None or rollout.failed or rollout.strategy == spec.strategy:
        return rollout
    if rollout.strategy not in BY_WEIGHT or spec.strategy not in BY_WEIGHT:
        return rollout
    return msgspec.structs.replace(
        rollout,
        strategy=spec.strategy,
        step=len(steps_of(spec)) if rollout.direct else 0,
        step_started_at=now,
        weight=0,
        progressed_at=now,
    )


def least_pods(rollout: Rollout, *, replicas: int, routed: bool) -> int:
    """Pods of the new revision before it has a weight; none where every pod gets its part at once."""
    if not routed:
        return 0
    return replicas if rollout.strategy == BLUE_GREEN else 1


def delay_of(rollout: Rollout) -> timedelta:
    """How long the revision that served before keeps its pods."""
    if rollout.scale_down_delay_seconds is not None:
        return timedelta(seconds=rollout.scale_down_delay_seconds)
    return timedelta(seconds=BLUE_GREEN_DELAY_SECONDS if rollout.strategy == BLUE_GREEN else 0)


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
    spec: Rollout,
    shares: Mapping[str, float | None],
    retained: Retained | None,
    routed: bool,
    paused: bool,
    resumed: bool,
    direct: bool,
    asked: Asked,
    now: datetime,
    analysed: Analysed = Analysed(),  # noqa: B008 - frozen
) -> RolloutDecision:
    """What the service's rollout does next; see the module's table.

    Args:
        target: revision that the spec asks for.
        stable: revision that serves, empty before the first rollout has ended.
        replicas: pods that the spec asks for.
        pods: pods of every revision that has a Deployment.
        before: the rollout as status recorded it.
        spec: the rollout as the spec has it.
        shares: percent of the requests that each revision really gets, None while that is unknown; without an entry
            it gets none.
        retained: the revision that keeps its pods after another took over, as status recorded it.
        routed: a gateway divides the requests; without one every pod that answers gets its part of them.
        paused: the spec asks for a pause.
        resumed: the pause ended with this look.
        direct: a rollout that begins now leaves out the steps.
        asked: what people asked for.
        now: this moment.
        analysed: what the analyses say.
    """
    deadline = timedelta(seconds=spec.progress_deadline_seconds)
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
        paused_now = _paused(target=target, stable=stable, replicas=replicas, pods=pods, before=before)
        return replace(paused_now, retained=retained)
    scene = _Scene(replicas=replicas, pods=pods, shares=shares, retained=retained, routed=routed, now=now)
    if target == stable:
        return RolloutDecision(
            stable=stable,
            counts=scene.back(stable),
            rollout=None,
            completed=before is not None,
            wake_after=scene.retained_for,
            weights={stable: WHOLE},
            retained=scene.kept,
        )
    steps = steps_of(spec)
    rollout = before or RolloutStatus(
        revision=target,
        from_=stable,
        started_at=now,
        progressed_at=now,
        direct=direct,
        strategy=spec.strategy,
        step=len(steps) if direct else 0,
        step_started_at=now,
    )
    decision = (
        _given_up(rollout, scene)
        if rollout.failed
        else _go_on(rollout, scene, spec=spec, steps=steps, resumed=resumed, asked=asked, analysed=analysed)
    )
    return replace(decision, started=before is None)


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """What is there, for all decisions of one look."""

    replicas: int
    pods: Mapping[str, Pods]
    shares: Mapping[str, float | None]
    retained: Retained | None
    routed: bool
    now: datetime

    @property
    def kept(self) -> Retained | None:
        """The revision that keeps its pods, as long as it does."""
        return self.retained if self.retained is not None and self.retained.until > self.now else None

    @property
    def retained_for(self) -> float | None:
        """Seconds until it does not any more."""
        return None if self.kept is None else (self.kept.until - self.now).total_seconds() + LITTLE_LATER

    def rest(self, *but: str) -> dict[str, int]:
        """Pods of revisions that are to get nothing: as many as there are, until they get none and keep none."""
        return {
            name: state.spec if self.shares.get(name, 0.0) != 0.0 or self._keeps(name) else 0
            for name, state in self.pods.items()
            if name not in but
        }

    def _keeps(self, name: str) -> bool:
        return self.kept is not None and self.kept.revision == name

    def back(self, stable: str) -> dict[str, int]:
        """Pods when all requests go to `stable`: it never gave any away, unless pods were the only weights."""
        if not self.routed:
            return next_counts(replicas=self.replicas, wanted=stable, pods=self.pods, direct=True)
        return {**self.rest(stable), stable: self.replicas}


def _go_on(
    rollout: RolloutStatus,
    scene: _Scene,
    *,
    spec: Rollout,
    steps: Sequence[RolloutStep],
    resumed: bool,
    asked: Asked,
    analysed: Analysed,
) -> RolloutDecision:
    target, stable = rollout.revision, rollout.from_
    replicas, now = scene.replicas, scene.now
    serving = scene.pods.get(target, Pods()).serving
    step = decide_step(
        steps=steps,
        before=Progress(
            step=rollout.step, since=rollout.step_started_at or rollout.started_at, weight=rollout.weight
        ),
        replicas=replicas,
        serving=serving,
        share=scene.shares.get(target, 0.0),
        now=now,
        promoted=asked.promote,
        promoted_fully=asked.promote_fully,
        least=least_pods(spec, replicas=replicas, routed=scene.routed),
        analysed=analysed,
    )
    promoted = asked.promote or asked.promote_fully
    rollout = _advanced(rollout, step, serving=serving, resumed=resumed or promoted, now=now)
    if step.arrived:
        delay = delay_of(spec) if scene.routed else timedelta()
        kept = Retained(revision=stable, until=now + delay) if delay else None
        return RolloutDecision(
            stable=target,
            counts={**replace(scene, retained=kept).rest(target), target: replicas},
            rollout=None,
            completed=True,
            wake_after=replace(scene, retained=kept).retained_for,
            weights={target: WHOLE},
            retained=kept,
        )
    wakes = [seconds for seconds in (step.wake_after, scene.retained_for) if seconds is not None]
    if step.waits_for_others:
        deadline = timedelta(seconds=spec.progress_deadline_seconds)
        left = (rollout.progressed_at + deadline - now).total_seconds()
        if left <= 0:
            failed = msgspec.structs.replace(rollout, failed=True)
            return replace(_given_up(failed, scene), failed_now=True)
        # A little late rather than a little early, or the look would find nothing to decide.
        wakes.append(left + 0.1)
    beside, held = replicas, step.pods
    if not scene.routed:
        # Pods are the only weights: the new ones take the places of as many others, and where fewer of them are asked
        # for than serve, they stay until others serve in their places.
        beside = max(0, replicas - min(serving, step.pods))
        missing = replicas - scene.pods.get(stable, Pods()).serving
        held = max(step.pods, min(serving, missing))
    return RolloutDecision(
        stable=stable,
        counts={**scene.rest(stable, target), stable: beside, target: held},
        rollout=rollout,
        wake_after=min(wakes, default=None),
        weights={stable: WHOLE - rollout.weight, target: rollout.weight},
        waits=step.waits,
        retained=scene.kept,
    )


def _advanced(
    rollout: RolloutStatus, step: StepDecision, *, serving: int, resumed: bool, now: datetime
) -> RolloutStatus:
    """The rollout's record with what was decided; a step, a weight or a pod more is progress.

    What waits for nobody else has no deadline, so its time is not noted: a status that says something new with each
    look would have each look followed by another.
    """
    got_on = (
        step.progress.step != rollout.step
        or step.progress.weight != rollout.weight
        or serving > rollout.available
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


def _given_up(rollout: RolloutStatus, scene: _Scene) -> RolloutDecision:
    off_at = rollout.traffic_off_at
    if off_at is None and scene.shares.get(rollout.revision, 0.0) == 0.0:
        off_at = scene.now
    return RolloutDecision(
        stable=rollout.from_,
        counts=scene.back(rollout.from_),
        rollout=msgspec.structs.replace(rollout, weight=0, traffic_off_at=off_at),
        wake_after=scene.retained_for,
        weights={rollout.from_: WHOLE},
        retained=scene.kept,
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
