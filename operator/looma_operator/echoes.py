"""What this replica wrote itself, so that hearing of it is no reason to look again.

A look ends by asking the plan once more, with the API server's answers in place of what was read (`kube.afterwards`).
Where that asks for nothing, the watches' news of the same writes hold nothing new. Anything that somebody else wrote
has another version and wakes as before.
"""

from __future__ import annotations

from typing import NamedTuple

from .queueing import Key

LIMIT = 64
"""Writes of one object that may wait to be heard of; a watch that begins anew leaves some of them out for good."""


class Seen(NamedTuple):
    """One version of one object, as an answer or a watch tells of it."""

    kind: str
    name: str
    version: str


class Echoes:
    """Versions written for each key and not heard of yet."""

    def __init__(self) -> None:
        """Begin with none."""
        self._written: dict[Key, set[Seen]] = {}

    def wrote(self, key: Key, seen: Seen) -> None:
        """Remember a write that was answered."""
        waiting = self._written.setdefault(key, set())
        if len(waiting) >= LIMIT:
            waiting.clear()
        waiting.add(seen)

    def heard(self, key: Key, seen: Seen) -> bool:
        """Whether that is a write of ours; each is heard once."""
        waiting = self._written.get(key)
        if waiting is None or seen not in waiting:
            return False
        waiting.discard(seen)
        if not waiting:
            del self._written[key]
        return True

    def forget(self, key: Key) -> None:
        """The object is gone, or a look at it did not come to its end: whatever is heard of it is news."""
        self._written.pop(key, None)
