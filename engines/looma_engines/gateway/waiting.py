"""How long to wait for what is not there yet.

Each kind of object is watched on its own, so news comes in any order: a route may be seen before its Service, and
would answer 500 for the moment between. A short wait bridges it; what is missing for longer is missing.

A pod that serves nobody yet waits for the issuers' keys as well, and not for ever.
"""

from __future__ import annotations

from collections.abc import Collection

HOLD_SECONDS = 0.3
KEYS_SECONDS = 30.0
"""Long enough for an issuer that begins together with the gateway, or is replaced. What needs no token, as the pages
by which people sign in, waits as long; and an issuer that is reached by this very address can answer only after it."""


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


class FirstKeys:
    """Since when a pod that serves nobody yet waits for keys, without which it could check no token."""

    def __init__(self) -> None:
        """Begin without waiting."""
        self._since: float | None = None

    def hold(self, now: float) -> float:
        """For how many seconds to wait before serving without; 0 if that was long enough.

        | waits                | answer                  |
        | -------------------- | ----------------------- |
        | from now on          | KEYS_SECONDS            |
        | since a while        | what is left of it      |
        | as long as that      | 0                       |
        """
        if self._since is None:
            self._since = now
        return max(0.0, KEYS_SECONDS - (now - self._since))
