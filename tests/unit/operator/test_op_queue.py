"""The work queue: one look at a time for a key, none lost, and growing delays after failures."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging

import pytest

from looma_core.kube import KubeError
from looma_operator import queueing, refilling
from looma_operator.leadership import Leadership
from looma_operator.queueing import Key, Rest, WorkQueue, backoff
from support.loops import settle, until

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
    await until(lambda: not recorder.running)
    await settle()
    assert queue.knows(A), "for later again"
    queue.add(B)
    assert queue.knows(B)
    await recorder.count(2)
    await until(lambda: not queue.knows(B))
    assert recorder.seen == [A, B], "it asked for no other look"


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


class Halves:
    """Looks that leave a rest each; `order` is what was done, first halves as `name`, rests as `name...`."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.trouble: list[Exception] = []
        self.happened = asyncio.Event()

    async def __call__(self, key: Key) -> Rest:
        await asyncio.sleep(0)
        self._note(key.name)
        return Rest(lambda: self._rest(key))

    async def _rest(self, key: Key) -> float | None:
        self._note(f"{key.name}...")
        if self.trouble:
            raise self.trouble.pop()
        return None

    async def count(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.order) < number:
                self.happened.clear()
                await self.happened.wait()

    def _note(self, what: str) -> None:
        self.order.append(what)
        self.happened.set()


@pytest.fixture
async def halves():
    recorder = Halves()
    queue = WorkQueue(recorder, workers=1)
    task = asyncio.create_task(queue.run())
    yield recorder, queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def keys(count: int) -> list[Key]:
    return [Key("AIService", "looma", f"s{number}") for number in range(count)]


async def test_a_rest_waits_until_every_other_key_has_had_its_look(halves):
    recorder, queue = halves
    for key in keys(3):
        queue.add(key)
    assert queue.crowded()
    await recorder.count(6)
    assert recorder.order == ["s0", "s1", "s2", "s0...", "s1...", "s2..."]
    assert not queue.crowded()
    assert len(queue) == 0


async def test_a_rest_that_has_waited_long_has_its_turn_between_the_looks(halves, monkeypatch):
    monkeypatch.setattr(queueing, "PATIENCE_SECONDS", 0.0)
    recorder, queue = halves
    for key in keys(9):
        queue.add(key)
    await recorder.count(18)
    first = recorder.order.index("s0...")
    assert first < recorder.order.index("s8"), "not after all of them"
    gaps = [place for place, what in enumerate(recorder.order[: recorder.order.index("s8")]) if "..." in what]
    assert all(later - earlier == queueing.TURNS for earlier, later in itertools.pairwise(gaps))


async def test_what_wakes_a_key_before_its_rest_is_looked_at_after_it(halves):
    recorder, queue = halves
    for key in keys(2):
        queue.add(key)
    await recorder.count(1)
    queue.add(keys(1)[0])
    await recorder.count(6)
    assert recorder.order[:3] == ["s0", "s1", "s0..."]
    assert [what for what in recorder.order if "s0" in what] == ["s0", "s0...", "s0", "s0..."]


async def test_a_rest_that_fails_is_a_look_that_failed(halves):
    recorder, queue = halves
    recorder.trouble = [RuntimeError("once")]
    queue.add(A)
    await recorder.count(4)
    assert recorder.order == ["a", "a...", "a", "a..."]


async def test_rests_of_a_leadership_that_ended_are_not_run(halves):
    recorder, queue = halves
    for key in keys(3):
        queue.add(key)
    await recorder.count(2)
    queue.clear()
    assert not queue.knows(keys(1)[0])
    queue.add(B)
    await recorder.count(4)
    assert "s0..." not in recorder.order


async def test_no_more_rests_wait_than_there_is_room_for(halves, monkeypatch):
    monkeypatch.setattr(queueing, "RESTS", 1)
    recorder, queue = halves
    for key in keys(3):
        queue.add(key)
    await recorder.count(1)
    assert not queue.crowded()


async def test_a_rest_is_run_in_the_context_of_its_look():
    where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")
    heard: list[str] = []
    done = asyncio.Event()

    async def rest() -> None:
        heard.append(where.get())
        done.set()

    async def look(key: Key) -> Rest | None:
        if key == A:
            where.set("epoch 1")
            return Rest(rest)
        where.set("epoch 2")
        return None

    queue = WorkQueue(look, workers=1)
    queue.add(A)
    queue.add(B)
    task = asyncio.create_task(queue.run())
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert heard == ["epoch 1"]
