"""Whether a rollout begins, goes on, ends or fails, and the pods of each revision next: strategy Rolling.

| stable | target | rollout's state                | answer                                         |
| ------ | ------ | ------------------------------ | ---------------------------------------------- |
| none   | r1     | begins                         | r1 in full; stable once all of it serves       |
| r1     | r1     | none                           | r1 in full; what is left of others gives way   |
| r1     | r2     | goes on                        | `counts.next_counts` towards r2                |
| r1     | r2     | no pod more within deadline    | failed: `next_counts` back to r1, straight     |
| r1     | r2     | failed                         | stays failed until the spec asks for another   |
| none   | r1     | no pod more within deadline    | failed, but r1 is all there is: keeps trying   |
| r1     | r3     | r2 was under way               | begins anew towards r3; r2 gives way as others |
| any    | any    | paused                         | `counts.frozen_counts`; the deadline waits     |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from ..resources import Retained, RolloutStatus
from .counts import frozen_counts, next_counts
from .observed import Pods


@dataclass(frozen=True, kw_only=True)
class RolloutDecision:
    """What a rollout does next.

    counts are pods by revision; rollout is None when the target serves alone; wake_after is when the deadline
    wants to be looked at again, in seconds. weights are percent of the requests by revision, empty where requests find
    their pods through one Service of all; `waits` says for what a canary waits, `retained`
    which revision keeps its pods for a while.
    """

    stable: str
    counts: Mapping[str, int]
    rollout: RolloutStatus | None
    started: bool = False
    completed: bool = False
    failed_now: bool = False
    wake_after: float | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    waits: str = ""
    retained: Retained | None = None


def is_complete(*, wanted: str, replicas: int, pods: Mapping[str, Pods]) -> bool:
    """Whether `wanted` serves with all replicas and no pod of another revision is left, not even an ending one."""
    mine = pods.get(wanted)
    if mine is None or mine.spec != replicas or mine.serving < replicas:
        return False
    return all(state.spec == 0 and state.total == 0 for name, state in pods.items() if name != wanted)


def _advanced(
    *,
    before: RolloutStatus | None,
    target: str,
    stable: str,
    direct: bool,
    serving: int,
    resumed: bool,
    now: datetime,
) -> RolloutStatus:
    """The rollout's own record: begun anew, or with its progress noted."""
    if before is None or before.revision != target:
        return RolloutStatus(
            revision=target, from_=stable, started_at=now, progressed_at=now, available=serving, direct=direct
        )
    if serving > before.available or resumed:
        # A pause is no lack of progress: its time does not count.
        return msgspec.structs.replace(before, available=max(serving, before.available), progressed_at=now)
    return before


def decide_rollout(
    *,
    target: str,
    stable: str,
    replicas: int,
    pods: Mapping[str, Pods],
    before: RolloutStatus | None,
    paused: bool,
    resumed: bool,
    direct: bool,
    deadline: timedelta,
    now: datetime,
) -> RolloutDecision:
    """What the service's rollout does next; see the module's table.

    Args:
        target: revision that the spec asks for.
        stable: revision that serves, empty before the first rollout has ended.
        replicas: pods that the spec asks for.
        pods: pods of every revision that has a Deployment.
        before: the rollout as status recorded it.
        paused: the spec asks for a pause.
        resumed: the pause ended with this look.
        direct: a rollout that begins now starts the target in full.
        deadline: how long a rollout may go without one more serving pod.
        now: this moment.
    """
    if before is not None and before.revision != target:
        before = None
    if paused:
        return _paused(target=target, stable=stable, replicas=replicas, pods=pods, before=before)
    given_up = before is not None and before.failed and bool(stable)
    if is_complete(wanted=target, replicas=replicas, pods=pods) and not given_up:
        return RolloutDecision(
            stable=target,
            counts={name: replicas if name == target else 0 for name in {*pods, target}},
            rollout=None,
            completed=before is not None or stable != target,
        )
    if before is None and stable == target:
        return RolloutDecision(
            stable=stable,
            counts=next_counts(replicas=replicas, wanted=target, pods=pods, direct=direct),
            rollout=None,
        )

    serving = pods.get(target, Pods()).serving
    rollout = _advanced(
        before=before, target=target, stable=stable, direct=direct, serving=serving, resumed=resumed, now=now
    )
    started = before is None
    left = (rollout.progressed_at + deadline - now).total_seconds()
    lacks_pods = serving < replicas
    failed_now = lacks_pods and left <= 0 and not rollout.failed
    if failed_now:
        rollout = msgspec.structs.replace(rollout, failed=True)
    # A first revision that comes up after all completes above: nothing better was there to go back to.
    back = rollout.failed and bool(stable)
    decision = RolloutDecision(
        stable=stable,
        counts=next_counts(
            replicas=replicas,
            wanted=stable if back else target,
            pods=pods,
            direct=back or rollout.direct,
        ),
        rollout=rollout,
        started=started,
        failed_now=failed_now,
    )
    if rollout.failed or not lacks_pods:
        return decision
    # A little late rather than a little early, or the look would find nothing to decide.
    return replace(decision, wake_after=max(0.0, left) + 0.1)


def _paused(
    *, target: str, stable: str, replicas: int, pods: Mapping[str, Pods], before: RolloutStatus | None
) -> RolloutDecision:
    holder = stable or target
    if not stable and not any(state.spec for state in pods.values()):
        # Nothing ran before the pause, so nothing begins under it.
        return RolloutDecision(stable="", counts=dict.fromkeys(pods, 0), rollout=before)
    return RolloutDecision(
        stable=stable, counts=frozen_counts(replicas=replicas, stable=holder, pods=pods), rollout=before
    )


def with_failure(rollout: RolloutStatus | None, pods: Mapping[str, Pods]) -> RolloutStatus | None:
    """The rollout with what its pods said when it was given up; they go, and status keeps it."""
    if rollout is None or not rollout.failed or rollout.failure:
        return rollout
    return msgspec.structs.replace(rollout, failure=pods.get(rollout.revision, Pods()).failure)
