"""Measurements beside the looks: each once at a time, kept until written down, and no trouble of one is another's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from looma_operator.analysis.measuring import AT_ONCE, Measuring
from looma_operator.plan.judging import Reading, Sample
from looma_operator.plan.metric import Order
from looma_operator.queueing import Key
from looma_operator.resources_analysis import Metric

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
KEY, OTHER = Key("AIService", "looma", "resume"), Key("AIService", "looma", "chat")


def order(name: str = "errors", number: int = 0, query: str = "up") -> Order:
    metric = Metric(name=name, built_in="errorRate", max=5)
    return Order(run="step-1", metric=metric, started_at=NOW, number=number, query=query)


class Prometheus:
    """Answers when it is told to; remembers what was asked, and how much at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.pending = False
        self.open = asyncio.Event()

    async def read(self, _: str, one: Order) -> Reading:
        self.asked.append(one.metric.name)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.open.wait()
        finally:
            self.under_way -= 1
        if one.metric.name == "broken":
            raise RuntimeError("a fault")
        return Reading(pending=True) if self.pending else Reading(samples=(Sample(value=1),))


@pytest.fixture
def source() -> Prometheus:
    return Prometheus()


@pytest.fixture
async def measuring(source):
    woken: list[Key] = []
    made = Measuring(source, wake=woken.append, clock=lambda: NOW)
    made.woken = woken
    yield made
    await made.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_order_is_carried_out_once_and_its_answer_waits(measuring, source):
    for _ in range(5):
        # The same, though its window has moved on.
        measuring.order(KEY, [order(query=f"up[{_}s]")])
        await settle()
    assert source.asked == ["errors"]
    assert measuring.answers(KEY) == ()
    source.open.set()
    await settle()
    assert measuring.woken == [KEY]
    (answer,) = measuring.answers(KEY)
    assert answer.reading.samples[0].value == 1
    # A look whose status could not be written asks for it still.
    measuring.order(KEY, [order()])
    assert measuring.answers(KEY) == (answer,)
    assert measuring.answers(OTHER) == ()
    # One that has written it down asks for the next.
    measuring.order(KEY, [order(number=1)])
    assert measuring.answers(KEY) == ()
    await settle()
    assert source.asked == ["errors", "errors"]
    # One that asks another metric of the same name begins anew.
    other = replace(order(number=1), metric=Metric(name="errors", built_in="errorRate", max=6))
    measuring.order(KEY, [other])
    assert measuring.answers(KEY) == ()
    await settle()
    assert [answer.order for answer in measuring.answers(KEY)] == [other]


async def test_a_reading_that_is_pending_is_no_answer_and_is_asked_for_by_the_next_look(measuring, source):
    source.pending = True
    source.open.set()
    for number in range(1, 4):
        measuring.order(KEY, [order()])
        await settle()
        assert len(source.asked) == number
        assert measuring.answers(KEY) == ()
    assert measuring.woken == []
    source.pending = False
    measuring.order(KEY, [order()])
    await settle()
    assert len(measuring.answers(KEY)) == 1
    assert measuring.woken == [KEY]


async def test_what_nobody_waits_for_any_more_is_forgotten(measuring, source):
    source.open.set()
    measuring.order(KEY, [order()])
    await settle()
    measuring.order(KEY, [])
    assert measuring.answers(KEY) == ()


async def test_a_fault_of_ours_is_an_error_and_no_success(measuring, source):
    source.open.set()
    measuring.order(KEY, [order("broken"), order("errors")])
    await settle()
    readings = {answer.order.metric.name: answer.reading for answer in measuring.answers(KEY)}
    assert "fault of the operator" in readings["broken"].error
    assert readings["errors"].error == ""


async def test_a_few_are_asked_at_once(measuring, source):
    for number in range(5):
        measuring.order(Key("AIService", "looma", f"s{number}"), [order(f"m{metric}") for metric in range(8)])
    await settle()
    assert source.most == AT_ONCE
    source.open.set()
    await settle()
    await settle()
    assert len(source.asked) == 40


async def test_closing_ends_what_is_under_way(measuring, source):
    measuring.order(KEY, [order()])
    await settle()
    await measuring.close()
    assert source.under_way == 0
    assert measuring.answers(KEY) == ()
