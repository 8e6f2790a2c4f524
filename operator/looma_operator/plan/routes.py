"""Which paths a service owns when two claim the same, and which services it names that do not exist.

The webhook refuses a path that another service has; two that are created in the same moment, or while no webhook
answers, are told apart here: the older one keeps the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..resources import Route
from .observed import Peer


@dataclass(frozen=True, kw_only=True)
class PathConflict:
    """A path that an older service has."""

    path: str
    owner: str

    @property
    def message(self) -> str:
        """What to do, in a sentence."""
        return (
            f"{self.path} belongs to AIService {self.owner}: write another path, or take it from there first"
        )


def find_conflicts(
    *, name: str, created_at: datetime, path_prefixes: Sequence[str], peers: Sequence[Peer]
) -> tuple[PathConflict, ...]:
    """Paths of the service `name` that an older peer has; of two of the same age the first by name is the older.

    A path below another's is no conflict: the longest prefix that fits a request wins.
    """
    # Of a thousand peers hardly one has the same path.
    paths = frozenset(path_prefixes)
    same = [peer for peer in peers if not paths.isdisjoint(peer.path_prefixes)]
    older = sorted((peer.created_at, peer.name, peer.path_prefixes) for peer in same)
    return tuple(
        PathConflict(path=path, owner=owner)
        for path in path_prefixes
        for since, owner, theirs in older
        if (since, owner) < (created_at, name) and path in theirs
    )


@dataclass(frozen=True, kw_only=True)
class MissingTarget:
    """A service that a route names in `field` and that the namespace does not have."""

    field: str
    service: str

    @property
    def message(self) -> str:
        """What is so as long as it is missing, and what to do, in a sentence."""
        without = {"fallback": "nothing stands in for the service", "shadow": "no request is copied"}
        return (
            f"route.{self.field}: there is no AIService {self.service} in this namespace, so {without[self.field]}: "
            "create it, or write another"
        )


def find_missing_targets(*, name: str, route: Route, peers: Sequence[Peer]) -> tuple[MissingTarget, ...]:
    """Fallback and shadow of the service `name` that are no peer of it; itself is no target either."""
    asked = [
        (field, target.service)
        for field, target in (("fallback", route.fallback), ("shadow", route.shadow))
        if target is not None and target.service
    ]
    if not asked:
        return ()
    there = {peer.name for peer in peers} - {name}
    return tuple(
        MissingTarget(field=field, service=service) for field, service in asked if service not in there
    )
