"""Letters on their way, beside the looks: a look never waits for a receiver, and one receiver never for another.

Each receiver has a line of its own, with a bound. The oldest letter is sent first; after a failure the whole line
waits, longer each time, since what fails is nearly always the receiver and not the letter. What is here can be lost at
any moment: it is in the objects' status, and comes again with their next look.

    order --> line --> send --> told --> the look that takes it out of status --> order

A letter that has failed `PATIENCE` times in a row goes behind those that have not, so that one that its receiver
cannot take holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..metrics import NOTIFICATION_SECONDS, NOTIFICATIONS, NOTIFICATIONS_WAITING
from ..plan.receivers import ROBOTS, Receiver
from ..queueing import Key, backoff
from .formats import Letter, Outcome, Verdict

_log = logging.getLogger(__name__)
MOST_WAITING = 1000
"""Letters in one line; those over are in status, and come with a later look."""
PATIENCE = 5
ROBOT_MESSAGES, ROBOT_SECONDS = 20, 60.0
"""A group robot takes so many messages in such a time; DingTalk shuts off for ten minutes one that sends more."""


class Postman(Protocol):
    """What sends a letter once."""

    async def send(self, receiver: Receiver, letter: Letter) -> Verdict:
        """What became of it; whatever goes wrong is in it."""
        ...


@dataclass(kw_only=True)
class _Item:
    key: Key
    letter: Letter
    failures: int = 0


class _Line:
    """The letters that wait for one receiver, and when it may get the next one."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.items: dict[tuple[Key, str], _Item] = {}
        self.not_empty = asyncio.Event()
        self.failures = 0
        self.sent: deque[float] = deque(maxlen=ROBOT_MESSAGES)

    def put(self, item: _Item) -> bool:
        """Whether there was room for it."""
        if len(self.items) >= MOST_WAITING:
            return False
        self.items.setdefault((item.key, item.letter.message.id), item)
        self._changed()
        return True

    def drop(self, key: Key, identity: str) -> None:
        """Forget a letter, if it is there."""
        self.items.pop((key, identity), None)
        self._changed()

    def clear(self) -> None:
        """Forget all letters."""
        self.items.clear()
        self._changed()

    def next(self) -> _Item:
        """The letter to send: the oldest of those that have failed least."""
        return min(self.items.values(), key=lambda item: (item.failures // PATIENCE, item.letter.message.at))

    def pace(self, now: float) -> float:
        """Seconds until the receiver may get another message."""
        if self.receiver.type not in ROBOTS or len(self.sent) < ROBOT_MESSAGES:
            return 0.0
        return max(0.0, self.sent[0] + ROBOT_SECONDS - now)

    def _changed(self) -> None:
        NOTIFICATIONS_WAITING.labels(self.receiver.name).set(len(self.items))
        if self.items:
            self.not_empty.set()
        else:
            self.not_empty.clear()


class Delivering:
    """The lines of all receivers, and who was told of what since the last look at each object."""

    def __init__(
        self,
        postman: Postman,
        receivers: Sequence[Receiver],
        *,
        wake: Callable[[Key], None],
        may_send: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        """`wake` is called with an object's key when somebody was told; only while `may_send` is anything sent."""
        self._postman = postman
        self._lines = {receiver.name: _Line(receiver) for receiver in receivers}
        self._wake = wake
        self._may_send = may_send
        self._clock = clock
        self._told: dict[Key, set[tuple[str, str]]] = {}

    def told(self, key: Key) -> frozenset[tuple[str, str]]:
        """Ids with receivers that know of them, or never will, and that no look has taken out of status yet."""
        return frozenset(self._told.get(key, ()))

    def order(self, key: Key, letters: Sequence[tuple[Letter, Sequence[str]]]) -> None:
        """What status has to be told now, each letter with its receivers; the object's other letters are forgotten."""
        wanted = {(letter.message.id, name): letter for letter, names in letters for name in names}
        told = {pair for pair in self._told.get(key, ()) if pair in wanted}
        self._told.pop(key, None)
        if told:
            self._told[key] = told
        for name, line in self._lines.items():
            for item_key, identity in list(line.items):
                if item_key == key and (identity, name) not in wanted:
                    line.drop(key, identity)
        for (identity, name), letter in wanted.items():
            if (identity, name) not in told and name in self._lines:
                self._lines[name].put(_Item(key=key, letter=letter))

    def clear(self) -> None:
        """Forget what waits: another replica leads, or this one begins to and looks at everything anew."""
        for line in self._lines.values():
            line.clear()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for line in self._lines.values():
                group.create_task(self._serve(line), name=f"notify {line.receiver.name}")
            # Without receivers there is nothing to do, and no reason to end either.
            group.create_task(asyncio.Event().wait())

    async def _serve(self, line: _Line) -> None:
        while True:
            await line.not_empty.wait()
            await asyncio.sleep(line.pace(time.monotonic()))
            if not self._may_send():
                line.clear()
            elif line.items:
                await asyncio.sleep(await self._once(line))

    async def _once(self, line: _Line) -> float:
        """Send the next letter once; answers for how many seconds the line then waits."""
        item, receiver = line.next(), line.receiver
        line.sent.append(time.monotonic())
        try:
            verdict = await self._postman.send(receiver, item.letter)
        except Exception as error:  # noqa: BLE001 - one letter's trouble must not end the line
            _log.exception("a fault of the operator, telling %s", receiver.name)
            verdict = Verdict(outcome=Outcome.RETRIED, why=f"a fault of the operator: {type(error).__name__}")
        NOTIFICATIONS.labels(receiver.name, receiver.type, verdict.outcome).inc()
        message = item.letter.message
        what = f"{message.reason} of {item.key.namespace}/{item.key.name}"
        if verdict.outcome is Outcome.RETRIED:
            item.failures += 1
            line.failures += 1
            delay = backoff(line.failures, draw=random.random())  # noqa: S311 - jitter, no secret
            if verdict.after is not None:
                delay = max(delay, verdict.after)
            _log.warning(
                "%s was not told of %s, again in %.2f s: %s", receiver.name, what, delay, verdict.why
            )
            return delay
        line.failures = 0
        if verdict.outcome is Outcome.DELIVERED:
            seconds = (self._clock() - message.at).total_seconds()
            NOTIFICATION_SECONDS.labels(receiver.name).observe(max(0.0, seconds))
            _log.info("%s was told of %s (%s)", receiver.name, what, message.id)
        else:
            _log.error("%s will not be told of %s: %s", receiver.name, what, verdict.why)
        line.drop(item.key, message.id)
        self._told.setdefault(item.key, set()).add((message.id, receiver.name))
        self._wake(item.key)
        return 0.0
