"""Reads the source while the database writes: the next batch is made while the last one is on its way.

One thread reads, and waits where a batch is ready that nobody took yet. So no more than three are in memory at once:
the one that is written, the one that is ready, and the one that is being made.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from looma_engines.sync_worker.frame import Batch

from .judging import Judged
from .source_row import SourceRow

READY = 1
"""Batches that wait to be taken."""
BATCH_BYTES = 4 * 1024 * 1024
"""Of what was read: large records make smaller batches, so that memory stays flat whatever they hold."""
FIRST_ROWS = 250
"""Of the first batch; each has twice as many as the one before, up to all that a batch may have: what is read first is
written while the rest is judged."""
STOP_SECONDS = 2.0
"""How long a reading that is given up is waited for: its source may be one that does not answer."""
SWITCH_SECONDS = 0.0002
"""How long one thread computes while the other waits for its turn. The one that writes asks the database for a little
many times: with the usual 5 ms it waited longer for its turn than for the answers."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ReadBatch(Batch):
    """A batch of what the source has.

    Args:
        latest: the latest change that was read up to here.
        judged: what the rules say of its rows, by their positions; rows may be missing.
    """

    latest: datetime | None
    judged: Mapping[int, Judged] = field(default_factory=dict)


class Reading:
    """Cuts the rows of a source into the batches of a shard.

    Args:
        is_mine: whether a row belongs to the shard.
        size: rows of a batch at most.
        judge: what the rules say of a row.
        latest: the latest change that was read before.
        ahead: whether rows are judged as they are read; may be changed while they are.
    """

    def __init__(
        self,
        is_mine: Callable[[SourceRow], bool],
        *,
        size: int,
        judge: Callable[[SourceRow], Judged],
        latest: datetime | None = None,
        ahead: bool = False,
    ) -> None:
        self._is_mine = is_mine
        self._size = size
        self._judge = judge
        self.latest = latest
        """Of any row, whichever shard it is of."""
        self.ahead = ahead

    def batches(self, rows: Iterable[SourceRow]) -> Generator[ReadBatch, None, None]:
        """The batches, each when it is asked for."""
        chunk: list[SourceRow] = []
        held, size = 0, min(self._size, FIRST_ROWS)
        for row in rows:
            if row.updated_at is not None and (self.latest is None or row.updated_at > self.latest):
                self.latest = row.updated_at
            if not self._is_mine(row):
                continue
            chunk.append(row)
            held += len(row.raw)
            if len(chunk) == size or held >= BATCH_BYTES:
                yield self._batch(chunk)
                chunk, held, size = [], 0, min(self._size, 2 * size)
        if chunk:
            yield self._batch(chunk)

    def _batch(self, chunk: list[SourceRow]) -> ReadBatch:
        judged = {row.position: self._judge(row) for row in chunk if not row.faults} if self.ahead else {}
        return ReadBatch(records=chunk, cursor=str(chunk[-1].position), latest=self.latest, judged=judged)


class Ahead(Generic[T]):
    """Gives what a generator makes, which a thread of its own runs a little ahead.

    Args:
        items: that; it is closed by the thread when it ends, or when nobody wants more.
    """

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_unwanted = self._is_done = False
        self._error: BaseException | None = None
        # Not waited for where the process ends: it writes nothing.
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __iter__(self) -> Iterator[T]:
        """Each item once; what the generator raises comes after those that it gave."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._ready or self._is_done)
                    if not self._ready:
                        break
                    item = self._ready.popleft()
                    self._changed.notify_all()
                yield item
            if self._error is not None:
                raise self._error
        finally:
            self.stop()
            sys.setswitchinterval(usual)

    def stop(self) -> None:
        """Want no more."""
        with self._changed:
            self._is_unwanted = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._given(item):
                    break
            self._items.close()
        except BaseException as error:  # noqa: BLE001 - whoever takes the items raises it
            self._error = error
        finally:
            with self._changed:
                self._is_done = True
                self._changed.notify_all()

    def _given(self, item: T) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < READY or self._is_unwanted)
            if not self._is_unwanted:
                self._ready.append(item)
                self._changed.notify_all()
            return not self._is_unwanted
