"""The AIServices of a namespace as far as each other needs them: whose path is whose, and how many gateways there are.

Listed in pages when they are first asked for and every few minutes after that; in between, watches tell of each change
(`note`). So a look at one of a thousand services does not read the other 999, nor does it go through them here: whom
it meets is found by path and by name. A listing brings back what a watch
missed, and takes away what went without a word.

What admission let through is known before the watch tells of it (`claim`): of two services that are applied one after
the other with the same path the second is refused, however late the watch is.

Only namespaces that are watched may be asked for: in others nothing would be heard of changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from looma_core.kube import KubeError

from ..indexing import Index
from ..names import GATEWAY_ENGINE
from ..plan.observed import Peer
from ..resources import Json, parse_time
from . import kinds
from .client import Kube

_log = logging.getLogger(__name__)
REFRESH_SECONDS = 300.0
CLAIM_SECONDS = 5.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Known:
    """A service as it was in `version`; no `peer` for one that is gone or going."""

    version: int
    peer: Peer | None
    gateways: int = 0


def _version(meta: Json) -> int:
    text = str(meta.get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def peer_of(raw: Json) -> Peer | None:
    """What others need of an AIService, or None where it is going."""
    meta = raw["metadata"]
    if meta.get("deletionTimestamp"):
        return None
    return Peer(
        name=meta["name"],
        created_at=parse_time(meta.get("creationTimestamp")) or EPOCH,
        path_prefixes=tuple(((raw.get("spec") or {}).get("route") or {}).get("pathPrefixes") or ()),
    )


def gateways_of(raw: Json) -> int:
    """How many pods an AIService has that are gateways, also such as are not ready or end."""
    if (raw.get("spec") or {}).get("engine") != GATEWAY_ENGINE:
        return 0
    return int((raw.get("status") or {}).get("replicas") or 0)


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The AIServices of one namespace."""

    peers: Collection[Peer]
    gateways: int


class _Claims:
    """The paths that admission let services have, which may not be stored yet; times are of the loop's clock."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._paths: Index[str, str] = Index()

    def __len__(self) -> int:
        """How many services claim something, or did when this was last asked of a path."""
        return len(self._until)

    def put(self, name: str, paths: Iterable[str], *, now: float) -> None:
        """The service claims these paths for CLAIM_SECONDS, and no others."""
        self._forget_old(now)
        # The oldest are first: a service that claims again goes to the end.
        self.drop(name)
        self._until[name] = now + CLAIM_SECONDS
        self._paths.put(name, paths)

    def drop(self, name: str) -> None:
        """The service claims nothing."""
        self._until.pop(name, None)
        self._paths.drop(name)

    def owners(self, path: str, *, now: float) -> list[str]:
        """Names of the services that claim the path."""
        self._forget_old(now)
        return sorted(self._paths.holders(path))

    def _forget_old(self, now: float) -> None:
        while self._until and self._until[first := next(iter(self._until))] <= now:
            self.drop(first)


class _Book:
    """What is known of one namespace, found by name and by path."""

    def __init__(self) -> None:
        self.entries: dict[str, _Known] = {}
        self._paths: Index[str, str] = Index()
        self._gateways: dict[str, int] = {}

    def put(self, name: str, entry: _Known) -> None:
        """Know the service by this entry alone."""
        self.remove(name)
        self.entries[name] = entry
        if entry.peer is not None:
            self._paths.put(name, entry.peer.path_prefixes)
        if entry.gateways:
            self._gateways[name] = entry.gateways

    def remove(self, name: str) -> None:
        """Know nothing of the service."""
        self.entries.pop(name, None)
        self._gateways.pop(name, None)
        self._paths.drop(name)

    def gateways(self) -> int:
        """How many pods of gateways there are."""
        return sum(self._gateways.values())

    def owners(self, path: str) -> list[str]:
        """Names of the services that have the path."""
        return sorted(self._paths.holders(path))

    def peers(self, names: Iterable[str]) -> list[Peer]:
        """Those of the names that are there."""
        found = (self.entries.get(name) for name in names)
        return [entry.peer for entry in found if entry is not None and entry.peer is not None]


class Peers:
    """Keeps the AIServices of the namespaces that are watched."""

    def __init__(self, kube: Kube, namespaces: Collection[str], *, news: Callable[[str, str], None]) -> None:
        """Begin with nothing; `kube` lists. `news` gets what a listing knew before the watches: namespace, name."""
        self._kube = kube
        self._news = news
        self._known = {namespace: _Book() for namespace in namespaces}
        self._claims = {namespace: _Claims() for namespace in namespaces}
        self._listed: set[str] = set()
        self._listing = {namespace: asyncio.Lock() for namespace in namespaces}

    def watches(self, namespace: str) -> bool:
        """Whether the namespace is one of those that are kept."""
        return namespace in self._known

    def note(self, raw: Json, *, gone: bool = False) -> bool:
        """Take in one service as a watch or a read tells of it, and whether it is news; what is older is left."""
        meta = raw["metadata"]
        known = self._known.get(meta.get("namespace", ""))
        if known is None:
            return False
        version = _version(meta)
        before = known.entries.get(meta["name"])
        if before is not None and (before.version > version or (before.version == version and not gone)):
            return False
        peer = None if gone else peer_of(raw)
        known.put(meta["name"], _Known(version, peer, 0 if gone else gateways_of(raw)))
        if peer is None:
            self._claims[meta["namespace"]].drop(meta["name"])
        return True

    def claim(self, namespace: str, name: str, paths: Collection[str]) -> None:
        """Take in that admission let the service `name` have these paths, until a watch had time to tell of it.

        Whether the API server stored it is not known: another check may have refused it. So it counts for
        `CLAIM_SECONDS` only.
        """
        self._claims[namespace].put(name, paths, now=asyncio.get_running_loop().time())

    async def near(self, namespace: str, *, paths: Iterable[str], names: Iterable[str]) -> Neighbours:
        """Of the services of the namespace those that have one of the paths or one of the names, as of the last `note`.

        Raises:
            KubeError: if they were never listed yet and the API server does not answer.
        """
        book = await self._listed_once(namespace)
        met = {owner for path in paths for owner in book.owners(path)}.union(names)
        return Neighbours(peers=book.peers(sorted(met)), gateways=book.gateways())

    async def _listed_once(self, namespace: str) -> _Book:
        if namespace not in self._listed:
            async with self._listing[namespace]:
                if namespace not in self._listed:
                    await self.refresh(namespace)
        return self._known[namespace]

    async def owner_of(
        self, namespace: str, paths: Collection[str], *, other_than: str
    ) -> tuple[str, str] | None:
        """The first of the paths that a service of another name has, and that service's name.

        Raises:
            KubeError: as `near` does.
        """
        book = await self._listed_once(namespace)
        now = asyncio.get_running_loop().time()
        claims = self._claims[namespace]
        return next(
            (
                (path, name)
                for path in paths
                for name in (*book.owners(path), *claims.owners(path, now=now))
                if name != other_than
            ),
            None,
        )

    async def refresh(self, namespace: str) -> None:
        """List the namespace; what is known in a later version than the list's stays as it is.

        Raises:
            KubeError: if the API server does not answer.
        """
        known = self._known[namespace]
        there: set[str] = set()
        version = 0
        async for items, listed in self._kube.pages(kinds.AI_SERVICE, namespace):
            version = int(listed) if listed.isdigit() else version
            for item in items:
                there.add(item["metadata"]["name"])
                if self.note(item) and namespace in self._listed:
                    self._news(namespace, item["metadata"]["name"])
        entries = known.entries.items()
        for name in [name for name, entry in entries if entry.version <= version and name not in there]:
            known.remove(name)
        self._listed.add(namespace)

    async def run(self) -> None:
        """List every namespace anew now and then, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            for namespace in self._known:
                try:
                    await self.refresh(namespace)
                except KubeError as error:
                    _log.warning("the AIServices of %s were not listed: %s", namespace, error.message)
