"""AIServices that a watch has just told of and that no look has met: the first look at one need not read it again.

What is kept may be older than what is stored. That costs a second look and nothing else: children are made only where
none are, and the status that a look ends with is written on the version that it was made from.
"""

from __future__ import annotations

import msgspec

from ..resources import Json

LIMIT = 1000
"""So many are kept, as JSON of some two kB each; those beyond are read."""


class Newcomers:
    """Keeps services without a status as they were last heard of."""

    def __init__(self) -> None:
        """Begin with none."""
        self._heard: dict[tuple[str, str], bytes] = {}

    def note(self, raw: Json, *, gone: bool = False) -> None:
        """Hear of a service: kept if nothing was ever done about it, forgotten if something was or if it is going."""
        meta = raw["metadata"]
        name = meta["namespace"], meta["name"]
        known = (raw.get("status") or {}).get("observedGeneration")
        if gone or known or meta.get("deletionTimestamp"):
            self._heard.pop(name, None)
        elif name in self._heard or len(self._heard) < LIMIT:
            self._heard[name] = msgspec.json.encode(raw)

    def take(self, namespace: str, name: str) -> Json | None:
        """The service, for one look; None where it is not kept, and from then on."""
        text = self._heard.pop((namespace, name), None)
        return None if text is None else msgspec.json.decode(text)
