"""Measurements under way, beside the looks: an abort never waits for a Prometheus that does not answer.

A look hands over what its plan ordered, and goes on. Each order is carried out once at a time; its answer waits here
until a look has written it into status. What is lost with the process is ordered again by the next look: nothing here
is needed to go on. An order whose reading is pending, as of a Job that runs, is carried out anew by the next look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from ..plan.judging import Reading
from ..plan.metric import Measured, Order
from ..queueing import Key

_log = logging.getLogger(__name__)
AT_ONCE = 8
_Identity = tuple[str, str, datetime, int]


class Source(Protocol):
    """What carries an order out."""

    async def read(self, namespace: str, order: Order) -> Reading:
        """The reading; whatever goes wrong is in it."""
        ...


class Measuring:
    """Orders under way and answers that wait, by service."""

    def __init__(self, source: Source, *, wake: Callable[[Key], None], clock: Callable[[], datetime]) -> None:
        """`wake` is called with a service's key when it has an answer."""
        self._source = source
        self._wake = wake
        self._clock = clock
        self._answers: dict[Key, dict[_Identity, Measured]] = {}
        self._tasks: dict[tuple[Key, _Identity], asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def answers(self, key: Key) -> tuple[Measured, ...]:
        """What was measured for a service and not taken back by `order` yet."""
        return tuple(self._answers.get(key, {}).values())

    def order(self, key: Key, orders: Sequence[Order]) -> None:
        """What the service waits for now. Answers to anything else are forgotten: status has them, or wants others."""
        wanted = {order.identity: order for order in orders}
        kept = {
            name: found
            for name, found in self._answers.get(key, {}).items()
            # An answer to what the metric was before its spec changed is none.
            if name in wanted and found.order.metric == wanted[name].metric
        }
        self._answers.pop(key, None)
        if kept:
            self._answers[key] = kept
        for identity, order in wanted.items():
            if identity not in kept and (key, identity) not in self._tasks:
                task = asyncio.create_task(self._carry_out(key, order), name=f"measure {key.name}")
                self._tasks[key, identity] = task

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, key: Key, order: Order) -> None:
        try:
            async with self._turns:
                try:
                    reading = await self._source.read(key.namespace, order)
                except Exception as error:  # noqa: BLE001 - one metric's trouble must not end the others
                    # A fault of ours is no success either: the analysis gets an error, and the log the trace.
                    _log.exception("measuring %s of %s/%s", order.metric.name, key.namespace, key.name)
                    reading = Reading(error=f"a fault of the operator, see its log: {type(error).__name__}")
            if reading.pending:
                return
            measured = Measured(order=order, reading=reading, at=self._clock())
            self._answers.setdefault(key, {})[order.identity] = measured
        finally:
            self._tasks.pop((key, order.identity), None)
        self._wake(key)
