"""Counters over reloads: never fewer than before, never more than happened, and all of it once nothing is under way."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.gateway.counting import LOOKS, Counts, Kept, Tally
from looma_engines.gateway.haproxy.readback import CLASSES, Stat

NAME = "looma_a_80"
ENDS = ("2xx", "5xx", "none", "refused", "closed")
NOBODY = ""


class World:
    """HAProxy as its counters show it: workers, each with its rows, and what really happened beside them."""

    def __init__(self) -> None:
        self.workers: dict[int, dict[str, Counter]] = {}
        self.truth = Counter()
        self.next = 1
        self.reload()

    def reload(self) -> None:
        self.current = self.next
        self.next += 1
        self.workers[self.current] = {"BACKEND": Counter(), "a": Counter(), "b": Counter()}

    def begin(self, server: str) -> tuple[int, str]:
        rows = self.workers[self.current]
        rows["BACKEND"].update(total=1, sessions=1)
        if server != NOBODY:
            rows[server].update(total=1, sessions=1)
        return self.current, server

    def end(self, under_way: tuple[int, str], how: str, repeated: int) -> None:
        worker, server = under_way
        rows = self.workers.get(worker)
        if rows is None:
            return
        whole = rows["BACKEND"]
        whole["sessions"] -= 1
        if server == NOBODY:
            whole.update({"unconnected": 1, "5xx": 1})
            self.truth["unserved"] += 1
            return
        row = rows[server]
        row["sessions"] -= 1
        row["total"] += repeated
        self.truth["retried"] += repeated
        self.truth[how] += 1
        if how in CLASSES:
            row[how] += 1
            whole[how] += 1
        elif how != "closed":
            whole["5xx"] += 1
        if how == "refused":
            row["unconnected"] += 1
            whole["unconnected"] += 1

    def look(self) -> dict[int, list[Stat]]:
        return {
            number: [
                Stat(
                    proxy=NAME,
                    name=name,
                    status="UP",
                    sessions=row["sessions"],
                    total=row["total"],
                    unconnected=row["unconnected"],
                    answered=tuple(row[kind] for kind in CLASSES),
                )
                for name, row in rows.items()
            ]
            for number, rows in self.workers.items()
        }

    def counts(self) -> Counts:
        return Counts(
            answered=tuple(self.truth[kind] for kind in CLASSES),
            unanswered=self.truth["none"] + self.truth["refused"] + self.truth["closed"],
            retried=self.truth["retried"],
            unserved=self.truth["unserved"],
        )


def each(counts: Counts) -> tuple[int, ...]:
    return (*counts.answered, counts.unanswered, counts.retried, counts.unserved)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from(["a", "b", NOBODY])),
        st.tuples(st.just("end"), st.sampled_from(ENDS), st.integers(0, 2)),
        st.tuples(st.just("look")),
        st.tuples(st.just("reload")),
    ),
    max_size=60,
)


@given(STEPS)
def test_counters_never_fall_never_exceed_and_are_exact_at_rest(steps):
    world, tally = World(), Tally()
    tally.take(world.look())
    under_way: list[tuple[int, str]] = []
    before = each(Counts())

    def look() -> None:
        nonlocal before
        tally.take(world.look())
        now = each(tally.counts.get(NAME, Counts()))
        assert all(a <= b for a, b in zip(before, now, strict=True))
        assert all(a <= b for a, b in zip(now, each(world.counts()), strict=True))
        before = now

    for step in steps:
        match step:
            case ("begin", server):
                under_way.append(world.begin(server))
            case ("end", how, repeated) if under_way:
                world.end(under_way.pop(0), how, repeated)
            case ("look",):
                look()
            case ("reload",):
                world.reload()
    for item in under_way:
        world.end(item, "2xx", 0)
    for _ in range(LOOKS):
        look()
    assert tally.counts.get(NAME, Counts()) == world.counts()
    # The old workers end, with nothing under way: nothing is lost with them.
    world.workers = {world.current: world.workers[world.current]}
    look()
    assert tally.counts.get(NAME, Counts()) == world.counts()


def test_a_retry_hides_no_failure_of_the_revision_that_was_tried():
    world, tally = World(), Tally()
    tally.take(world.look())
    for _ in range(4):
        world.end(world.begin("a"), "2xx", 1)
    for _ in range(LOOKS):
        tally.take(world.look())
    counts = tally.counts[NAME]
    assert (counts.requests, counts.failed, counts.retried) == (4, 0, 4)


def test_what_was_before_the_first_look_is_left_to_who_saw_it():
    world, tally = World(), Tally()
    world.end(world.begin("a"), "none", 2)
    for _ in range(LOOKS + 1):
        tally.take(world.look())
    assert tally.counts[NAME] == Counts()


def test_a_server_that_comes_again_begins_anew():
    world, tally = World(), Tally()
    tally.take(world.look())
    for name in ("2xx", "5xx"):
        world.end(world.begin("a"), name, 0)
        tally.take(world.look())
        rows = world.workers[world.current]
        rows["a"] = Counter()
        tally.take(world.look())
    for _ in range(LOOKS):
        tally.take(world.look())
    counts = tally.counts[NAME]
    assert (counts.answered, counts.unanswered, counts.retried) == ((0, 1, 0, 0, 1, 0), 0, 0)


@pytest.mark.parametrize(
    ("looks", "value"),
    [
        ([5, 7], 2),
        # The new worker gets the table a moment after its start.
        ([5, 0, 3, 7], 2),
        # It never gets one: what it counts itself is new.
        ([5, *[2] * Kept.PATIENCE, 4], 4),
    ],
)
def test_a_counter_of_a_table_over_a_reload(looks: list[int], value: int):
    kept = Kept(looks[0])
    for number in looks[1:]:
        kept.look(number)
    assert kept.value == value
