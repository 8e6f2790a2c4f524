"""The work queue: one look at a time for a key, none lost, and growing delays after failures."""

from __future__ import annotations

import asyncio
import logging

import pytest

from looma_core.kube import KubeError
from looma_operator import refilling
from looma_operator.leadership import Leadership
from looma_operator.queueing import Key, WorkQueue, backoff

A, B = Key("AIService", "looma", "a"), Key("AIService", "looma", "b")


@pytest.mark.parametrize(
    ("failures", "draw", "expected"), [(1, 0, 0.125), (1, 1, 0.25), (2, 1, 0.5), (20, 1, 60), (20, 0, 30)]
)
def test_backoff(failures, draw, expected):
    assert backoff(failures, draw=draw) == expected


class Looks:
    """Records looks; each waits until it is let go."""

    def __init__(self) -> None:
        self.seen: list[Key] = []
        self.running: set[Key] = set()
        self.go = asyncio.Event()
        self.answers: list[float | Exception | None] = []
        self.happened = asyncio.Event()

    async def __call__(self, key: Key) -> float | None:
        assert key not in self.running, "two looks at one key at a time"
        self.running.add(key)
        self.seen.append(key)
        self.happened.set()
        await self.go.wait()
        self.running.discard(key)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def count(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.seen) < number:
                self.happened.clear()
                await self.happened.wait()


@pytest.fixture
async def looks():
    recorder = Looks()
    queue = WorkQueue(recorder, workers=2)
    task = asyncio.create_task(queue.run())
    yield recorder, queue
    recorder.go.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_many_wakes_are_one_look(looks):
    recorder, queue = looks
    for _ in range(10):
        queue.add(A)
    assert len(queue) == 1
    recorder.go.set()
    await recorder.count(1)
    await asyncio.sleep(0)
    assert recorder.seen == [A]


async def test_a_wake_during_a_look_is_one_more_look(looks):
    recorder, queue = looks
    queue.add(A)
    await recorder.count(1)
    queue.add(A)
    queue.add(A)
    recorder.go.set()
    await recorder.count(2)
    assert recorder.seen == [A, A]


async def test_keys_do_not_wait_for_each_other(looks):
    recorder, queue = looks
    queue.add(A)
    queue.add(B)
    await recorder.count(2)
    assert recorder.running == {A, B}


async def test_a_failure_is_tried_again(looks):
    recorder, queue = looks
    recorder.answers = [RuntimeError("once"), None]
    recorder.go.set()
    queue.add(A)
    await recorder.count(2)


async def test_a_look_may_ask_for_another(looks):
    recorder, queue = looks
    recorder.answers = [0.01, None]
    recorder.go.set()
    queue.add(A)
    await recorder.count(2)


async def test_the_earlier_of_two_delays_counts(looks):
    recorder, queue = looks
    recorder.go.set()
    queue.add_after(A, 60)
    queue.add_after(A, 0.01)
    queue.add_after(A, 30)
    await recorder.count(1)


async def test_what_is_cleared_is_not_looked_at(looks):
    recorder, queue = looks
    queue.add_after(A, 0.01)
    queue.clear()
    queue.add(B)
    recorder.go.set()
    await recorder.count(1)
    assert recorder.seen == [B]


async def test_a_key_is_known_while_it_waits_runs_or_rests(looks):
    recorder, queue = looks
    assert not queue.knows(A)
    queue.add_after(A, 0.01)
    assert queue.knows(A), "for later"
    await recorder.count(1)
    assert queue.knows(A), "at work"
    recorder.answers = [60]
    recorder.go.set()
    await asyncio.sleep(0.01)
    assert not recorder.running
    assert queue.knows(A), "for later again"
    queue.add(B)
    assert queue.knows(B)
    await recorder.count(2)
    await asyncio.sleep(0.01)
    assert not queue.knows(B), "it asked for no other look"


async def test_an_object_that_nothing_would_bring_back_is_found_by_the_list(looks, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    recorder, queue = looks
    leadership = Leadership()
    leadership.hold(until=leadership._now() + 60, epoch=1)
    queue.add_after(A, 60)

    async def listed(_kube, namespace):
        if namespace == "silent":
            raise KubeError(500, "not today")
        return [A, B]

    monkeypatch.setattr(refilling, "all_keys", listed)
    await refilling.sweep(queue, None, leadership, ["silent", "looma"])
    await recorder.count(1)
    assert recorder.seen == [B]
    assert "AIService looma/b was forgotten" in caplog.text
    assert "not today" in caplog.text
    assert "looma/a" not in caplog.text
