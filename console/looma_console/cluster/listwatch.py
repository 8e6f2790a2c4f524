"""A small list-and-watch: one thread keeps the last known objects of one kind.

The kubernetes package's informer would do, but it drops what it knew when a list fails, and this console must
go on forwarding while the API server is away. So: list, watch from there, list again when the server says 410
or the stream breaks, and keep the last picture in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

log = logging.getLogger(__name__)

Object = Mapping[str, Any]

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
WATCH_SECONDS = 240


class Source(Protocol):
    """Where the objects come from; the real one asks the Kubernetes API, a test's one is a list."""

    def list(self) -> tuple[Iterable[Object], str]:
        """All objects now, and the resource version to watch from."""

    def watch(self, resource_version: str, stop: threading.Event) -> Iterator[tuple[str, Object]]:
        """Events (ADDED, MODIFIED, DELETED, BOOKMARK) after `resource_version`, until the stream ends."""


class Gone(Exception):
    """The resource version is too old to watch from: list again."""


class ListWatch:
    """The last known objects of one kind, by name.

    Attributes:
        synced: Set once the first list succeeded.
        version: Counts changes; waiters compare it.
    """

    def __init__(self, name: str, source: Source, *, on_change: Callable[[], None] | None = None) -> None:
        self.synced = threading.Event()
        self.version = 0
        self._name = name
        self._source = source
        self._on_change = on_change
        self._objects: dict[str, Object] = {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; call it in the process that serves, never before a fork."""
        self._thread = threading.Thread(target=self._run, name=f"watch-{self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it does at the next event or the watch's own end."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def objects(self) -> list[Object]:
        """The last known objects, by name."""
        with self._changed:
            return [self._objects[key] for key in sorted(self._objects)]

    def get(self, name: str) -> Object | None:
        """The last known object of that name."""
        with self._changed:
            return self._objects.get(name)

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until `version` differs from `seen` or `seconds` have passed; answer the version."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != seen or self._stop.is_set(), seconds)
            return self.version

    def replace(self, objects: Iterable[Object]) -> None:
        """Take a whole new picture."""
        with self._changed:
            self._objects = {_name(item): item for item in objects}
            self._bump()
        self.synced.set()

    def apply(self, kind: str, item: Object) -> None:
        """Take one watch event."""
        with self._changed:
            if kind == "DELETED":
                self._objects.pop(_name(item), None)
            elif kind in {"ADDED", "MODIFIED"}:
                self._objects[_name(item)] = item
            else:
                return
            self._bump()

    def _bump(self) -> None:
        self.version += 1
        self._changed.notify_all()
        if self._on_change is not None:
            self._on_change()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                objects, version = self._source.list()
                self.replace(objects)
                failures = 0
                self._follow(version)
            except Gone:
                log.info("watch of %s expired, listing again", self._name)
            except Exception as error:  # noqa: BLE001 - whatever it was, the last picture stays and we try again
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                log.warning("cannot watch %s: %s; next try in %.1f s", self._name, _short(error), pause)
                self._stop.wait(pause)

    def _follow(self, version: str) -> None:
        while not self._stop.is_set():
            for kind, item in self._source.watch(version, self._stop):
                version = item.get("metadata", {}).get("resourceVersion", version)
                self.apply(kind, item)
                if self._stop.is_set():
                    return


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
