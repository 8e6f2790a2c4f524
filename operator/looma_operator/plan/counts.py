"""How many pods each revision gets next while one takes over from others, as Deployments know nothing of each other.

    D       replicas that the spec asks for
    surge   max(1, ceil(D / 4)) pods more than D may run
    w, o    pods asked for by now: of the revision that is wanted, and of the others together
    W, O    those of them that serve (available, and not about to be scaled away)

    w' = D                                          if there are no others, or if it goes back straight
         min(D, w + max(0, D + surge - (w + o)))    otherwise
    o' = what is left of the others after taking away
           all their pods that do not serve           (costs no capacity), then
           max(0, min(W, w') + O - D) that serve      (so that D keep serving)

Worked examples, all with D = 4 and so surge = 1:

    | w | W | o | O | w' | o' | why |
    | - | - | - | - | -- | -- | --- |
    | 0 | 0 | 4 | 4 | 1  | 4  | room for one more pod |
    | 1 | 0 | 4 | 4 | 1  | 4  | it does not serve yet: nothing is taken away |
    | 1 | 1 | 4 | 4 | 1  | 3  | it serves: one of the others may go |
    | 1 | 1 | 3 | 3 | 2  | 3  | room again |
    | 4 | 4 | 1 | 1 | 4  | 0  | the last one |
    | 1 | 0 | 4 | 2 | 1  | 2  | two of the others were broken anyway |
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .observed import Pods

SURGE = 0.25


def surge(replicas: int) -> int:
    """Pods that may run beyond `replicas` during a rollout: a quarter, rounded up, at least one."""
    return max(1, math.ceil(replicas * SURGE))


def next_counts(
    *, replicas: int, wanted: str, pods: Mapping[str, Pods], direct: bool = False
) -> dict[str, int]:
    """Pods to ask for next, by revision; `wanted` is always in the answer.

    pods holds every revision that has a Deployment. With `direct` the wanted revision is started in full at once.
    The others give way in the order of their names' numbers, oldest first.
    """
    mine = pods.get(wanted, Pods())
    others = {name: state for name, state in pods.items() if name != wanted}
    running = sum(state.spec for state in others.values())
    if direct or running == 0:
        target = replicas
    else:
        room = replicas + surge(replicas) - (mine.spec + running)
        target = min(replicas, mine.spec + max(0, room))

    spare = min(mine.serving, target) + sum(state.serving for state in others.values()) - replicas
    counts = {wanted: target}
    for name, state in sorted(others.items(), key=lambda item: int(item[0].removeprefix("r"))):
        taken = min(state.serving, max(0, spare))
        spare -= taken
        counts[name] = state.serving - taken
    return counts


def frozen_counts(*, replicas: int, stable: str, pods: Mapping[str, Pods]) -> dict[str, int]:
    """Pods to ask for while rollouts are paused: every revision stays, and scaling falls to the stable one.

    The pod beyond `replicas` that a rollout had when it was paused may stay. Where fewer are asked for, pods that do
    not serve go first, then those of the others.

    | replicas | stable | others         | answer: stable | others |
    | -------- | ------ | -------------- | -------------- | ------ |
    | 4        | 4      | 1, not serving | 4              | 1      |
    | 4        | 3      | 2, not serving | 4              | 2      |
    | 4 -> 6   | 3      | 2              | 4              | 2      |
    | 4 -> 1   | 3      | 2              | 1              | 0      |
    | 4 -> 0   | 3      | 2              | 0              | 0      |
    """
    counts = {name: state.spec for name, state in pods.items()}
    counts.setdefault(stable, 0)
    others = sorted((name for name in counts if name != stable), key=lambda name: int(name.removeprefix("r")))
    allowed = replicas + surge(replicas) if replicas else 0
    excess = max(0, sum(counts.values()) - allowed)
    for name in (*others, stable):
        idle = counts[name] - (pods[name].serving if name in pods else 0)
        taken = min(idle, excess)
        counts[name] -= taken
        excess -= taken
    for name in (*others, stable):
        taken = min(counts[name], excess)
        counts[name] -= taken
        excess -= taken
    if not any(counts[name] for name in others):
        return {**counts, stable: replicas}
    needed = replicas - sum(min(counts[name], pods[name].serving) for name in others)
    return {**counts, stable: max(counts[stable], needed)}
