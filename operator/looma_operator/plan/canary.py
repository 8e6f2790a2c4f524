"""How much of the traffic a rollout's new revision was meant to get, and how much the gateways give it. Pure.

What is asked for is never taken for what is done: `achieved` comes from the entries that the gateway pods write into
`status.traffic`, and is unknown as long as one of them has not said lately what it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..names import revision_number
from ..resources import BY_WEIGHT, Canary, CanaryWeight, Traffic
from .observed import Pods
from .rollout import RolloutDecision

FRESH = timedelta(seconds=5)
"""An entry that is older says nothing of now. One from as far ahead neither: its clock cannot be compared with ours."""
LITTLE_LATER = 0.05


@dataclass(frozen=True, kw_only=True)
class Achieved:
    """Percent of the requests that a revision gets, None where that is unknown, and `why` it is.

    `holds_for` is how many seconds the answer stands if nobody says anything further; None for as long as that.
    """

    percent: float | None
    why: str = ""
    holds_for: float | None = None


def decide_achieved(
    entries: Iterable[Traffic], *, revision: str, gateways: int | None, now: datetime
) -> Achieved:
    """What the gateways give a revision.

    Args:
        entries: all of `status.traffic`.
        revision: whose part is asked for.
        gateways: how many gateway pods there are, also those that are not ready or end: what they have begun they
            may still serve. None where that could not be read.
        now: this moment, by a clock that is at most FRESH away from the gateways'.

    | gateway pods | lately said r2    | answer                           |
    | ------------ | ----------------- | -------------------------------- |
    | none, or ?   | anything          | unknown                          |
    | 2            | 50 and 50         | 50                               |
    | 2            | 50 and 40         | 45, the mean: each gets about as many requests as another |
    | 2            | 50 and only of r1 | 25                               |
    | 2            | 50 by one alone   | unknown                          |
    | 1            | 50 and 40         | 45: one of them is about to go   |
    """
    if not gateways:
        why = (
            "how many gateway pods there are is not known"
            if gateways is None
            else "no gateway of Looma's serves it"
        )
        return Achieved(percent=None, why=why)
    given: dict[str, float] = defaultdict(float)
    ages: list[timedelta] = []
    for entry in entries:
        if entry.observed_at is None or abs(age := now - entry.observed_at) > FRESH:
            continue
        ages.append(age)
        given[entry.gateway] += entry.weight if entry.revision == revision else 0.0
    holds_for = (FRESH - max(ages)).total_seconds() + LITTLE_LATER if ages else None
    if len(given) < gateways:
        why = f"{len(given)} of {gateways} gateway pods said within {FRESH.seconds} s what they do"
        return Achieved(percent=None, why=why, holds_for=holds_for)
    return Achieved(percent=round(sum(given.values()) / len(given), 1), holds_for=holds_for)


def _beside_stable(decision: RolloutDecision, pods: Mapping[str, Pods]) -> str:
    """The revision that gets, or may still get, requests beside the one that serves; empty if there is none.

    | rollout to           | pods beside stable | answer                               |
    | -------------------- | ------------------ | ------------------------------------ |
    | r2                   | any                | r2, before its first pod as well     |
    | r2, and was given up | of r2              | r2, until the last of them has ended |
    | none: r1 was asked for again | of r2      | r2, the same                         |
    | none, or given up    | none               | none                                 |
    | the first revision   | any                | none: there is nothing beside it     |
    """
    if not decision.stable:
        return ""
    rollout = decision.rollout
    if rollout is not None and not rollout.failed and rollout.revision != decision.stable:
        return rollout.revision
    left = [name for name, state in pods.items() if name != decision.stable and (state.spec or state.total)]
    return max(left, key=revision_number, default="")


def decide_canary(
    *,
    decision: RolloutDecision,
    pods: Mapping[str, Pods],
    strategy: str,
    routed: bool,
    traffic: Iterable[Traffic],
    gateways: int | None,
    now: datetime,
) -> tuple[Canary | None, float | None]:
    """What status says of the new revision's part, and after how many seconds that may be another.

    A revision that is on its way out is told of until its last pod has ended: an abort is done when nothing reaches it.
    With the strategy Rolling the part that is asked for is the revision's share of the pods that are asked for, with
    Canary what its step asks for.

    Args:
        decision: what the rollout does next.
        pods: pods of every revision that has a Deployment, as they were read.
        strategy: that of the spec.
        routed: whether the service has a path at a gateway.
        traffic: all of `status.traffic`.
        gateways: how many gateway pods there are, None where that could not be read.
        now: this moment.
    """
    revision = _beside_stable(decision, pods)
    if not revision:
        return None, None
    if strategy in BY_WEIGHT:
        requested = float(decision.rollout.weight) if decision.rollout is not None else 0.0
    else:
        asked = decision.counts.get(revision, 0)
        whole = sum(decision.counts.values())
        requested = round(100 * asked / whole, 1) if whole else 0.0
    if routed:
        achieved = decide_achieved(traffic, revision=revision, gateways=gateways, now=now)
    else:
        achieved = Achieved(
            percent=None, why="it has no path at a gateway: its part is its share of the pods"
        )
    under_way = decision.rollout is not None and decision.rollout.strategy in BY_WEIGHT
    canary = Canary(
        revision=revision,
        step=decision.rollout.step if under_way and decision.rollout is not None else None,
        weight=CanaryWeight(requested=requested, achieved=achieved.percent),
        waits=decision.waits,
        message=achieved.why,
    )
    return canary, achieved.holds_for
