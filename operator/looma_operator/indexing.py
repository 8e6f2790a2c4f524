"""Who has what, found from either side."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

H = TypeVar("H", bound=Hashable)
T = TypeVar("T", bound=Hashable)


class Index(Generic[H, T]):
    """What each holder has, and who has each thing: both are one look, however many holders there are."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._of: dict[H, frozenset[T]] = {}
        self._holders: dict[T, set[H]] = {}

    def __contains__(self, holder: H) -> bool:
        """Whether the holder is known, if only with nothing."""
        return holder in self._of

    def put(self, holder: H, things: Iterable[T]) -> frozenset[T]:
        """The holder has these, and nothing else; answers what it had."""
        before = self.drop(holder)
        self._of[holder] = frozenset(things)
        for thing in self._of[holder]:
            self._holders.setdefault(thing, set()).add(holder)
        return before

    def drop(self, holder: H) -> frozenset[T]:
        """The holder is gone; answers what it had."""
        before = self._of.pop(holder, frozenset())
        for thing in before:
            holders = self._holders[thing]
            holders.discard(holder)
            if not holders:
                del self._holders[thing]
        return before

    def holders(self, thing: T) -> Collection[H]:
        """Who has it."""
        return self._holders.get(thing, ())
