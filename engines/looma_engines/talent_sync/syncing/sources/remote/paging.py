"""A list page by page: where it goes on, and that it ends. Pure."""

from __future__ import annotations


class Circle:
    """Notices that cursors come round again, however many there are between, and keeps only one of them.

    One is remembered and compared with those that follow; after 1, 2, 4, 8 … of them the next one is remembered.
    So a list that never ends is seen after at most three times round.
    """

    def __init__(self) -> None:
        self._kept: str | None = None
        self._left = 0
        self._for = 1

    def closes(self, cursor: str) -> bool:
        """Whether this cursor was there before."""
        if cursor == self._kept:
            return True
        if self._left == 0:
            self._kept, self._left = cursor, self._for
            self._for *= 2
        self._left -= 1
        return False
