"""The election's decision and the fence, by their tables; time is a number that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from looma_core.kube import KubeError
from looma_operator.kube.client import ConflictError, NotFoundError, NotLeaderError
from looma_operator.leadership import (
    DURATION,
    RENEW_DEADLINE,
    RETRY_PERIOD,
    Elector,
    Leadership,
    Seen,
    Step,
    decide_step,
)


def lease(holder: str) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": holder}}


@pytest.mark.parametrize(
    ("stored", "unchanged_for", "expected"),
    [
        (None, None, Step.CREATE),
        (lease("me"), None, Step.RENEW),
        (lease("me"), 100, Step.RENEW),
        (lease(""), None, Step.TAKE),
        (lease("other"), None, Step.WAIT),
        (lease("other"), 3.9, Step.WAIT),
        (lease("other"), 4.0, Step.TAKE),
    ],
)
def test_what_to_do_about_the_lease(stored, unchanged_for, expected):
    seen = None if unchanged_for is None else Seen(holder="other", version="7", since=100 - unchanged_for)
    assert decide_step(lease=stored, seen=seen, identity="me", now=100, duration=4) is expected


def test_the_times_keep_the_promise():
    """A leader stops before another begins, and another begins within six seconds of a kill."""
    assert RENEW_DEADLINE < DURATION
    assert DURATION + 2 * RETRY_PERIOD < 6


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_fence_lets_through_until_leadership_runs_out():
    clock = Clock()
    leadership = Leadership(now=clock)
    with pytest.raises(NotLeaderError):
        leadership.check()
    leadership.hold(until=103, epoch=1)
    assert leadership.check() == 3
    clock.now = 102.9
    with pytest.raises(NotLeaderError, match="ran out"):
        leadership.check()
    leadership.drop()
    assert not leadership.leads


async def test_what_was_decided_in_an_earlier_epoch_is_not_written():
    clock = Clock()
    leadership = Leadership(now=clock)
    leadership.hold(until=103, epoch=1)
    leadership.enter()
    assert leadership.check() == 3
    leadership.hold(until=110, epoch=2)
    with pytest.raises(NotLeaderError, match="decided in epoch 1"):
        leadership.check()


class Leases:
    """The API server's Lease: one object with a version, and what to fail with."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.version = 0
        self.fail: Exception | None = None
        self.answers_take = lambda: None

    def write(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.stored = {"metadata": {"resourceVersion": str(self.version)}, "spec": body["spec"]}
        return self.stored

    async def get(self, *_: Any) -> dict[str, Any]:
        if self.fail:
            raise self.fail
        if self.stored is None:
            raise NotFoundError(404, "none")
        return self.stored

    async def request(self, *_: Any, body: dict[str, Any], **__: Any) -> dict[str, Any]:
        if self.stored is not None:
            raise ConflictError(409, "exists")
        return self.write(body)

    async def replace(self, *arguments: Any, **_: Any) -> dict[str, Any]:
        if self.fail:
            raise self.fail
        body = arguments[-1]
        assert self.stored is not None
        if body["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            raise ConflictError(409, "changed")
        self.answers_take()
        return self.write(body)


def candidate(leases: Leases, clock: Clock, identity: str) -> tuple[Elector, Leadership, list[int]]:
    leadership = Leadership(now=clock)
    begun: list[int] = []

    async def started() -> None:
        begun.append(leadership.epoch)

    elector = Elector(
        kube=leases,  # type: ignore[arg-type]
        namespace="looma",
        name="lease",
        identity=identity,
        leadership=leadership,
        on_started=started,
        now=clock,
    )
    return elector, leadership, begun


async def test_one_of_two_leads_and_the_other_follows_after_the_duration():
    leases, clock = Leases(), Clock()
    first, leads_first, begun_first = candidate(leases, clock, "a")
    second, leads_second, begun_second = candidate(leases, clock, "b")
    assert await first._once()
    assert not await second._once()
    assert leads_first.leads
    assert not leads_second.leads
    # a is killed; b saw its last renewal at 100
    clock.now = 100 + DURATION - 0.1
    assert not await second._once()
    clock.now = 100 + DURATION
    assert await second._once()
    assert leads_second.leads
    assert not leads_first.leads
    assert (begun_first, begun_second) == ([0], [1])
    # a wakes up: its own renewal is refused, and it stands by
    assert not await first._once()
    assert not leads_first.leads


async def test_a_leader_whose_time_ran_out_begins_a_new_epoch():
    leases, clock = Leases(), Clock()
    elector, leadership, begun = candidate(leases, clock, "a")
    await elector._once()
    clock.now += RENEW_DEADLINE + 0.5
    assert not leadership.leads
    await elector._once()
    assert leadership.leads
    assert begun == [0, 1], "what was left undone is looked at anew"


@pytest.mark.parametrize(
    ("answered_after", "expected"),
    [
        (0.5, [0]),
        # Fewer seconds than a write may take were left when the answer came: looks were refused their writes.
        (0.9, [0, 0]),
        # Nobody led for a moment: what woke then was not even looked at.
        (1.4, [0, 0]),
    ],
)
async def test_a_renewal_that_is_answered_late_has_everything_looked_at(answered_after, expected):
    leases, clock = Leases(), Clock()
    elector, leadership, begun = candidate(leases, clock, "a")
    await elector._once()

    def late() -> None:
        clock.now += answered_after

    leases.answers_take = late
    clock.now += RENEW_DEADLINE - 1
    assert await elector._once()
    assert leadership.leads
    assert begun == expected
    leases.answers_take = lambda: None
    await elector._once()
    assert begun == expected, "once"


async def test_a_leader_without_an_api_server_leads_until_its_deadline_only():
    leases, clock = Leases(), Clock()
    elector, leadership, _ = candidate(leases, clock, "a")
    await elector._once()
    leases.fail = KubeError(0, "refused")
    clock.now += 1
    assert not await elector._once()
    assert leadership.leads
    clock.now += RENEW_DEADLINE
    await elector._once()
    assert not leadership.leads


async def test_a_renewal_whose_answer_was_lost_is_read_again():
    leases, clock = Leases(), Clock()
    elector, leadership, begun = candidate(leases, clock, "a")
    await elector._once()
    assert leases.stored is not None
    leases.write(leases.stored)
    assert await elector._once()
    assert leadership.leads
    assert begun == [0]


async def test_a_leader_that_ends_gives_the_lease_back():
    leases, clock = Leases(), Clock()
    elector, leadership, _ = candidate(leases, clock, "a")
    await elector._once()
    await elector._release()
    assert not leadership.leads
    assert leases.stored is not None
    assert leases.stored["spec"]["holderIdentity"] == ""
    second, _, begun = candidate(leases, clock, "b")
    assert await second._once()
    assert begun == [1]
