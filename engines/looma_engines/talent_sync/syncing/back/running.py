"""The last stage of a run of two ways: what of it is written to the source, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from looma_engines.sync_worker.frame import Batch
from looma_engines.sync_worker.inputs import Inputs
from looma_engines.talent_sync.records.kind import Kind as RecordKind

from ..counting import Tally
from ..source_row import SourceRow
from ..sources.record_source import RecordSource
from .opening import open_writable
from .outbox import Outbox
from .stage import ROUNDS, Stage

if TYPE_CHECKING:
    from looma_core.api.syncjob import WriteBack

    from ..repository import SyncRepository

BACK, MADE, ERASED = "back", "made", "erased"
"""Stages: what was changed or deleted here, what was made here, and what was erased here and the source still has."""
STAGES = (BACK, MADE, ERASED)
T = TypeVar("T")


class Tries(Protocol):
    """Does something on the database, which may be away for a while."""

    def __call__(self, action: Callable[[SyncRepository], T]) -> T:
        """What the action answers."""
        ...


class WritingBack:
    """Writes to the source of one shard.

    Args:
        inputs: what the pod was told.
        entity: the kind of the records.
        write_back: what is written beside changes.
        patience: seconds for which the source may be away.
        reading: the source as it is read.
        tried: does something that changes nothing.
        step: does a step of the shard, once, under the fence; the repository is that of its transaction.
    """

    def __init__(
        self,
        inputs: Inputs,
        entity: RecordKind[Any],
        write_back: WriteBack,
        *,
        patience: float,
        reading: RecordSource,
        tried: Tries,
        step: Callable[[Callable[[SyncRepository, Outbox], Tally]], None],
    ) -> None:
        self._inputs = inputs
        self._entity = entity
        self._write_back = write_back
        self._patience = patience
        self._reading = reading
        self._tried = tried
        self._step = step
        self._stage: Stage | None = None
        self._moved = 0

    def batches(self, end: str) -> Iterator[Batch]:
        """Keys whose records may differ from what the source has, those that moved meanwhile once more; then records
        that the source is to have.
        """
        # All is read: nothing of the source is held while it is written.
        self._reading.close()
        for _ in range(ROUNDS):
            self._moved, after = 0, ""
            while keys := self._keys(after):
                yield Batch(records=keys, cursor=end, stage=BACK)
                after = keys[-1]
            if not self._moved:
                break
        last: UUID | None = None
        while self._write_back.creations and (records := self._records(last)):
            yield Batch(records=records, cursor=end, stage=MADE)
            last = records[-1]

    def erased(self, rows: Sequence[SourceRow], end: str) -> Iterator[Batch]:
        """Of what the source has, that of records which were erased here; where deletions are written."""
        if not self._deletes:
            return
        keys = self._tried(lambda repository: repository.erased(rows))
        gone = [row for row in rows if row.key in keys]
        if gone:
            yield Batch(records=gone, cursor=end, stage=ERASED)

    def write(self, batch: Batch) -> list[SourceRow]:
        """Write a batch; answers what the source had changed meanwhile."""
        if batch.stage == ERASED:
            for row in batch.records:
                self._erase(row)
            return []

        def step(action: Callable[[Outbox], Tally]) -> None:
            self._step(lambda _, outbox: action(outbox))

        write = self._opened().create if batch.stage == MADE else self._opened().write
        moved = write(batch.records, step)
        self._moved += len(moved)
        return moved

    def find(self, record_id: UUID) -> SourceRow | None:
        """What the source has of a record that was to be made there."""
        return self._opened().find(record_id)

    def close(self) -> None:
        """Give the connections back."""
        if self._stage is not None:
            self._stage.close()

    @property
    def _deletes(self) -> bool:
        return self._write_back.deletions != "keep"

    def _keys(self, after: str) -> list[str]:
        size, deletions = self._inputs.batch_size, self._deletes
        return self._tried(lambda repository: repository.back_keys(after, size, deletions=deletions))

    def _records(self, after: UUID | None) -> list[UUID]:
        return self._tried(lambda repository: repository.back_records(after, self._inputs.batch_size))

    def _erase(self, row: SourceRow) -> None:
        def delete(repository: SyncRepository, _: Outbox) -> Tally:
            # Since it was asked, somebody may have allowed that they come again.
            return self._opened().erase(row) if repository.erased_among([row]) else Tally()

        self._step(delete)

    def _opened(self) -> Stage:
        if self._stage is None:
            writable = open_writable(
                self._inputs, self._entity.name, patience=self._patience, reading=self._reading
            )
            self._stage = Stage(
                writable, self._entity.settable, patience=self._patience, deletions=self._deletes
            )
        return self._stage
