"""Chains of who reports to whom, or was referred by whom: whether one more closes a circle. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import TypeVar

NodeT = TypeVar("NodeT", bound=Hashable)


def find_cycle(edges: Iterable[tuple[NodeT, NodeT]], new: tuple[NodeT, NodeT]) -> tuple[NodeT, ...] | None:
    """The shortest circle that `new` closes, from its beginning back to there; None if it closes none.

    | edges          | new  | answer     |
    | -------------- | ---- | ---------- |
    |                | a, b | None       |
    |                | a, a | a, a       |
    | b, a           | a, b | a, b, a    |
    | b, c  c, a     | a, b | a, b, c, a |
    | b, c  c, b     | a, b | None       |
    """
    first, second = new
    followers: dict[NodeT, list[NodeT]] = {}
    for one, other in edges:
        followers.setdefault(one, []).append(other)
    came_from: dict[NodeT, NodeT | None] = {second: None}
    waiting = deque([second])
    # By breadth: the first path that comes back is a shortest one, and each node is looked at once.
    while waiting:
        here = waiting.popleft()
        if here == first:
            return (first, *_path(came_from, here))
        for there in followers.get(here, ()):
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    return None


def _path(came_from: dict[NodeT, NodeT | None], last: NodeT) -> list[NodeT]:
    path = [last]
    while (before := came_from[path[-1]]) is not None:
        path.append(before)
    return path[::-1]
