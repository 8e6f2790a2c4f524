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

from ..counting import Tally
from ..source_row import SourceRow
from ..sources.record_source import SourceGoneError
from .outbox import Intent, Outbox
from .writable import Outcome, WritableSource

AT_ONCE = 20
"""A newer run waits while these are written."""
ROUNDS = 3
"""How often what the source changed meanwhile is tried again; then the next run does."""
LONGEST_PAUSE_SECONDS = 5.0
_log = logging.getLogger(__name__)
Step = Callable[[Callable[[Outbox], Tally]], None]


class Stage:
    """Writes to one source.

    Args:
        source: the source.
        settable: fields of the kind of record.
        patience: seconds for which it may be away without taking a record.
        sleep: waits.
    """

    def __init__(
        self,
        source: WritableSource,
        settable: Collection[str],
        *,
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
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
        places = self._asked_patiently(lambda: self._source.places(self._settable))
        intents: list[Intent] = []

        def intend(outbox: Outbox) -> Tally:
            intents[:] = outbox.intend(keys, places)
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
            standing = outbox.standing(intents)
            for intent in intents:
                if intent.id not in standing:
                    outbox.drop(intent)
                    done += 1
                    continue
                try:
                    written = self._source.write(outbox.change(intent))
                except SourceGoneError as error:
                    gone = error
                    break
                outbox.note(intent, written)
                done += 1
                if written.outcome is Outcome.MOVED and written.row is not None:
                    # Where it stands in the source is not known here, and stays as it was.
                    moved.append(replace(written.row, position=max(1, intent.known.seen_position)))
                    continue
                counts[written.outcome] += 1
            return Tally(
                written_back=counts[Outcome.WRITTEN],
                write_refused=counts[Outcome.REFUSED],
                write_moved=counts[Outcome.MOVED],
            )

        step(carry_out)
        return done, moved, gone

    def _asked_patiently(self, action: Callable[[], frozenset[str]]) -> frozenset[str]:
        until, pause = time.monotonic() + self._patience, 0.2
        while self._places is None:
            try:
                self._places = action()
            except SourceGoneError as error:
                if time.monotonic() > until:
                    raise
                self._wait(pause, error)
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
        return self._places

    def _wait(self, pause: float, error: SourceGoneError) -> None:
        _log.warning("the source cannot be written to: %s", error)
        self._source.close()
        self._sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
