"""The next batch is made while the last one is written: in order, and no more than is wanted."""

from __future__ import annotations

import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from looma_engines.talent_sync.syncing import reading_ahead
from looma_engines.talent_sync.syncing.deciding import Rules, decide_all
from looma_engines.talent_sync.syncing.judging import Judged, judge
from looma_engines.talent_sync.syncing.reading_ahead import READY, SWITCH_SECONDS, Ahead, Reading
from looma_engines.talent_sync.syncing.source_row import SourceRow
from looma_engines.talent_sync.syncing.three_way import Policy
from looma_engines.talent_sync.talents import TALENTS
from support.labelled_talents import labelled

TODAY = date(2026, 11, 27)
SECONDS = 5.0
"""How long another thread may take for nothing."""


def row(position: int, *, month: int | None = None, raw: bytes = b"{}", **values: Any) -> SourceRow:
    at = datetime(2026, month, 1, tzinfo=UTC) if month else None
    return SourceRow(position=position, key=f"k-{position}", values=values, updated_at=at, raw=raw)


def judged(one: SourceRow) -> Judged:
    return judge(one, TALENTS, today=TODAY)


def reading(size: int = 2, **changes: Any) -> Reading:
    return Reading(lambda one: one.position != 3, **{"size": size, "judge": judged, **changes})


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.fixture(autouse=True)
def nobody_reads_on() -> Iterator[None]:
    """Each reading ends with its test."""
    yield
    until(lambda: not readers())


class Counted:
    """Numbers without end, and how many were made."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = False

    def numbers(self) -> Generator[int, None, None]:
        try:
            while True:
                self.made += 1
                yield self.made
        finally:
            self.closed = True


def test_what_is_made_ahead_comes_in_its_order() -> None:
    assert list(Ahead(number for number in range(1000))) == list(range(1000))


def test_turns_are_short_only_while_something_is_made_ahead() -> None:
    usual = sys.getswitchinterval()
    seen = [sys.getswitchinterval() for _ in Ahead(number for number in range(3))]
    assert seen == pytest.approx([SWITCH_SECONDS] * 3)
    assert sys.getswitchinterval() == usual


def test_no_more_is_made_than_waits_to_be_taken() -> None:
    counted = Counted()
    ahead = Ahead(counted.numbers())
    items = iter(ahead)
    for taken in range(1, 6):
        assert next(items) == taken
        # One is taken, so many wait, and one is held by whoever made it.
        until(lambda: counted.made == taken + READY + 1)  # noqa: B023 - done at once
        time.sleep(0.02)
        assert counted.made == taken + READY + 1
    ahead.stop()


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def breaks() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise OSError("gone")

    items = iter(Ahead(breaks()))
    found = [next(items), next(items)]
    with pytest.raises(OSError, match="gone"):
        next(items)
    assert found == [1, 2]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_who_wants_no_more_stops_the_reading_and_closes_the_source(taken: int) -> None:
    counted = Counted()
    ahead = Ahead(counted.numbers())
    items = iter(ahead)
    for _ in range(taken):
        next(items)
    items.close()  # type: ignore[attr-defined]
    ahead.stop()
    assert counted.closed is (taken > 0)
    assert not readers()


def test_a_source_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "STOP_SECONDS", 0.05)
    answers = threading.Event()

    def silent() -> Generator[int, None, None]:
        yield 1
        answers.wait(SECONDS)
        yield 2

    ahead = Ahead(silent())
    assert next(iter(ahead)) == 1
    ahead.stop()
    assert readers(), "it is not waited for"
    answers.set()
    until(lambda: not readers())


def test_batches_are_of_one_shard_and_know_the_latest_change_of_all() -> None:
    rows = [row(1, month=2), row(2), row(3, month=5), row(4, month=3), row(5, month=1), row(6, month=4)]
    cut = reading(latest=datetime(2026, 1, 1, tzinfo=UTC))
    found = [
        ([one.position for one in batch.records], batch.cursor, batch.latest)
        for batch in cut.batches([*rows, row(3, month=7)])
    ]
    months = {month: datetime(2026, month, 1, tzinfo=UTC) for month in (2, 5)}
    assert found == [
        ([1, 2], "2", months[2]),
        ([4, 5], "5", months[5]),
        ([6], "6", datetime(2026, 7, 1, tzinfo=UTC)),
    ]
    assert cut.latest == datetime(2026, 7, 1, tzinfo=UTC), "also of what came after the last batch"


def test_large_records_make_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "BATCH_BYTES", 100)
    rows = [row(number, raw=b"x" * 40) for number in range(10, 17)]
    assert [len(batch.records) for batch in reading(size=50).batches(rows)] == [3, 3, 1]


def test_the_first_batch_is_small_and_the_next_ones_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "FIRST_ROWS", 4)
    rows = [row(number) for number in range(10, 60)]
    assert [len(batch.records) for batch in reading(size=10).batches(rows)] == [4, 8, 10, 10, 10, 8]
    assert [len(batch.records) for batch in reading(size=3).batches(rows[:7])] == [3, 3, 1]


def test_rows_are_judged_ahead_where_it_is_asked_for() -> None:
    rows = [row(number, full_name="Ada") for number in range(10, 16)]
    cut = reading(ahead=True)
    batches = cut.batches(rows)
    assert sorted(next(batches).judged) == [10, 11]
    cut.ahead = False
    assert next(batches).judged == {}
    cut.ahead = True
    assert sorted(next(batches).judged) == [14, 15]


def test_what_was_judged_ahead_is_decided_as_what_was_not() -> None:
    rows = []
    for position, one in enumerate(labelled(7)):
        values = msgspec.to_builtins(one.draft)
        values.pop("source")
        rows.append(row(position, **values))
    rows += [row(1000, full_name=7), row(1001, surname="Ada"), row(1002)]
    asked = {
        "generation": 2,
        "entity": TALENTS,
        "policy": Policy.NEWEST,
        "by_field": {},
        "min_quality": 60,
        "today": TODAY,
        "present": {},
    }
    now = decide_all(rows, {}, Rules(**asked))
    ahead = decide_all(rows, {}, Rules(**asked, judged={one.position: judged(one) for one in rows}))
    assert now == ahead
    assert len({decision.verdict for decision in now}) == 2


def test_memory_does_not_grow_with_the_source() -> None:
    def rows() -> Iterator[SourceRow]:
        for number in range(10, 20_010):
            yield row(number, raw=bytes(1000))

    batches = Ahead(reading(size=500).batches(rows()))
    tracemalloc.start()
    try:
        assert sum(len(batch.records) for batch in batches) == 20_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Three batches of 500 rows with a kilobyte each and as much for the row itself.
    assert most < 6_000_000
