"""How long to wait for what is referred to and not there: each kind is watched on its own, so news comes in any order.

A route may be seen before its Service, and would answer 500 for the moment between. A short wait bridges it; what is
missing for longer is missing.
"""

from __future__ import annotations

from collections.abc import Collection

HOLD_SECONDS = 0.3


class Missing:
    """What is missing, and since when."""

    def __init__(self) -> None:
        """Begin with nothing missing."""
        self._since: dict[str, float] = {}

    def hold(self, missing: Collection[str], now: float) -> float:
        """For how many seconds to wait before going on without; 0 if everything is there or was waited for.

        | missing             | answer                       |
        | ------------------- | ---------------------------- |
        | nothing             | 0                            |
        | something new       | HOLD_SECONDS                 |
        | the same, later     | what is left of HOLD_SECONDS |
        | the same, long ago  | 0                            |
        """
        self._since = {name: self._since.get(name, now) for name in missing}
        return max((0.0, *(HOLD_SECONDS - (now - since) for since in self._since.values())))
