"""Carries out what is to be written back, a few records at a time.

Of each batch of keys it is written down first what is meant to be written, in one transaction; then the source is
asked, under the fence and no more than `AT_ONCE` times in one transaction, which also holds what became of it. A worker
that is killed between the two leaves what it meant to do: its follower reads the source and finds whether it was done.
What the source had changed meanwhile is handed back, to be brought in by the usual rules.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from ..counting import Tally
from ..source_row import SourceRow
from ..sources.record_source import SourceGoneError
from .intents import Intent, Kind
from .outbox import Outbox
from .writable import MARKED, Change, Creation, Deletion, Outcome, WritableSource, Written

AT_ONCE = 20
"""A newer run waits while these are written."""
ROUNDS = 3
"""How often what the source changed meanwhile is tried again; then the next run does."""
LONGEST_PAUSE_SECONDS = 5.0
_log = logging.getLogger(__name__)
T = TypeVar("T")
Step = Callable[[Callable[[Outbox], Tally]], None]


class Stage:
    """Writes to one source.

    Args:
        source: the source.
        settable: fields of the kind of record.
        patience: seconds for which it may be away without taking a record.
        deletions: whether what was deleted here is deleted there.
        sleep: waits.
    """

    def __init__(
        self,
        source: WritableSource,
        settable: Collection[str],
        *,
        patience: float,
        deletions: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._deletions = deletions
        self._source = source
        self._settable = settable
        self._patience = patience
        self._sleep = sleep
        self._places: frozenset[str] | None = None

    def close(self) -> None:
        """Give the connections back."""
        self._source.close()

    def write(self, keys: Sequence[str], step: Step) -> list[SourceRow]:
        """Write what is to be written of these keys; answers what the source had changed meanwhile.

        Args:
            keys: of a batch.
            step: does something with the outbox, in a transaction under the fence, once.

        Raises:
            BadInputError: the source may not be written to.
            SourceGoneError: it was away for longer than there is patience.
        """
        return self._carried_out(
            lambda outbox, places: outbox.intend(keys, places, deletions=self._deletions), step
        )

    def create(self, records: Sequence[UUID], step: Step) -> list[SourceRow]:
        """Make these records of here there; answers as `write`, and raises the same."""
        return self._carried_out(lambda outbox, places: outbox.creations.intend(records, places), step)

    def erase(self, row: SourceRow) -> Tally:
        """Delete the row of a record that was erased here, whatever the source made of it since.

        Nothing of it is written down: it is known by the ledger alone. Raises as `write`.
        """
        deletion = Deletion(key=row.key, is_as_read=lambda _: True)
        written = self._patiently(lambda: self._source.delete(deletion))
        if written.outcome is Outcome.WRITTEN and written.reason != MARKED:
            return Tally(written_back=1, deleted_back=1)
        if written.outcome is Outcome.REFUSED:
            # Without its key: who was erased is nobody's to read.
            _log.warning("a record that was erased here stays at the source: %s", written.reason)
            return Tally(write_refused=1)
        return Tally()

    def find(self, record_id: UUID) -> SourceRow | None:
        """What the source has of a record that was made there. Raises as `write`."""
        return self._patiently(lambda: self._source.find(record_id))

    def _carried_out(
        self, written_down: Callable[[Outbox, Collection[str]], list[Intent]], step: Step
    ) -> list[SourceRow]:
        if self._places is None:
            self._places = self._patiently(lambda: self._source.places(self._settable))
        places = self._places
        intents: list[Intent] = []

        def intend(outbox: Outbox) -> Tally:
            intents[:] = written_down(outbox, places)
            return Tally()

        step(intend)
        moved: list[SourceRow] = []
        until = time.monotonic() + self._patience
        pause = 0.2
        while intents:
            done, rows, gone = self._some(intents[:AT_ONCE], step)
            moved += rows
            del intents[:done]
            if done:
                until, pause = time.monotonic() + self._patience, 0.2
            if gone is not None:
                if time.monotonic() > until:
                    raise gone
                self._wait(pause, gone)
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
        return moved

    def _some(
        self, intents: Sequence[Intent], step: Step
    ) -> tuple[int, list[SourceRow], SourceGoneError | None]:
        """How many were carried out, which had moved, and why no more were."""
        done = 0
        moved: list[SourceRow] = []
        gone: SourceGoneError | None = None

        def carry_out(outbox: Outbox) -> Tally:
            nonlocal done, gone
            # Done again where the database broke off: what was written then is found to have moved.
            done, gone = 0, None
            moved.clear()
            counts = dict.fromkeys(Outcome, 0)
            kinds = dict.fromkeys(Kind, 0)
            standing = outbox.standing(intents)
            for intent in intents:
                if intent.id not in standing:
                    outbox.drop(intent)
                    done += 1
                    continue
                try:
                    written = self._asked(outbox.asked_of(intent))
                except SourceGoneError as error:
                    gone = error
                    break
                outbox.note(intent, written)
                done += 1
                if written.outcome is Outcome.MOVED and written.row is not None:
                    # Where it stands in the source is not known here, and stays as it was.
                    moved.append(replace(written.row, position=max(1, intent.known.seen_position)))
                    # A change may be what an earlier try wrote: that is told when it is brought in.
                    if intent.kind is Kind.CHANGE:
                        continue
                counts[written.outcome] += 1
                kinds[intent.kind] += written.outcome is Outcome.WRITTEN
            return Tally(
                written_back=counts[Outcome.WRITTEN],
                created_back=kinds[Kind.CREATE],
                deleted_back=kinds[Kind.DELETE],
                write_refused=counts[Outcome.REFUSED],
                write_moved=counts[Outcome.MOVED],
            )

        step(carry_out)
        return done, moved, gone

    def _asked(self, what: Change | Creation | Deletion) -> Written:
        match what:
            case Change():
                return self._source.write(what)
            case Creation():
                return self._source.create(what)
            case Deletion():
                return self._source.delete(what)

    def _patiently(self, action: Callable[[], T]) -> T:
        until, pause = time.monotonic() + self._patience, 0.2
        while True:
            try:
                return action()
            except SourceGoneError as error:
                if time.monotonic() > until:
                    raise
                self._wait(pause, error)
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    def _wait(self, pause: float, error: SourceGoneError) -> None:
        _log.warning("the source cannot be written to: %s", error)
        self._source.close()
        self._sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
