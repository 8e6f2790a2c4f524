"""Lines of letters: each receiver by itself, again after a failure, and forgotten where another replica leads."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from looma_operator.notifying import delivering as module
from looma_operator.notifying.delivering import Delivering
from looma_operator.notifying.formats import Letter, Outcome, Verdict
from looma_operator.plan.receivers import Receiver
from looma_operator.queueing import Key
from looma_operator.resources_notifications import Notification
from support.operator_world import START

KEY, OTHER = Key("AIService", "looma", "resume"), Key("AIService", "looma", "chat")
CI, ONCALL = Receiver(name="ci", type="generic"), Receiver(name="oncall", type="generic")
ROBOT = Receiver(name="robot", type="dingtalk")


def letter(identity: str = "1", *, later: float = 0) -> Letter:
    message = Notification(id=identity, reason="RolloutFailed", at=START + timedelta(seconds=later))
    return Letter(kind="AIService", namespace="looma", name="resume", message=message)


class Post:
    """Answers what the test says, by receiver and id; without a word it delivers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.answers: dict[str, list[Verdict | Exception]] = {}
        self.holds: dict[str, asyncio.Event] = {}
        self.news = asyncio.Event()

    async def send(self, receiver: Receiver, one: Letter) -> Verdict:
        self.sent.append((receiver.name, one.message.id))
        self.news.set()
        if receiver.name in self.holds:
            await self.holds[receiver.name].wait()
        answers = self.answers.get(one.message.id, [])
        answer = answers.pop(0) if answers else Verdict(outcome=Outcome.DELIVERED)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Stand:
    """What is tested, with its surroundings."""

    def __init__(self, *receivers: Receiver) -> None:
        self.post, self.woken, self.leads = Post(), [], True
        self.lines = Delivering(
            self.post,
            receivers,
            wake=self.woken.append,
            may_send=lambda: self.leads,
            clock=lambda: START + timedelta(seconds=1),
        )
        self.task: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self.lines.run())
        for _ in range(50):
            await asyncio.sleep(0)

    async def wait_sent(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.post.sent) < number:
                self.post.news.clear()
                await self.post.news.wait()
        await self.settle()


@pytest.fixture
async def stand(monkeypatch):
    monkeypatch.setattr(module, "backoff", lambda failures, *, draw: 0.01 * failures)
    made: list[Stand] = []

    def make(*receivers: Receiver) -> Stand:
        made.append(Stand(*receivers))
        return made[-1]

    yield make
    for one in made:
        if one.task is not None:
            one.task.cancel()
            await asyncio.gather(one.task, return_exceptions=True)


async def test_it_is_sent_once_and_the_object_wants_a_look(stand):
    one = stand(CI)
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    assert one.post.sent == [("ci", "1")]
    assert one.woken == [KEY]
    assert one.lines.told(KEY) == {("1", "ci")}
    # Before the look has written it down, status still has it.
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    assert one.post.sent == [("ci", "1")]
    one.lines.order(KEY, [])
    assert one.lines.told(KEY) == frozenset()


async def test_it_is_sent_again_after_a_failure(stand):
    one = stand(CI)
    one.post.answers["1"] = [Verdict(outcome=Outcome.RETRIED, why="HTTP 503"), RuntimeError("a fault")]
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    await one.wait_sent(3)
    assert one.lines.told(KEY) == {("1", "ci")}


async def test_what_is_refused_is_not_sent_again(stand):
    one = stand(CI)
    one.post.answers["1"] = [Verdict(outcome=Outcome.REFUSED, why="HTTP 404")]
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    assert one.post.sent == [("ci", "1")]
    assert one.lines.told(KEY) == {("1", "ci")}


async def test_a_receiver_that_hangs_holds_up_no_other(stand):
    one = stand(CI, ONCALL)
    one.post.holds["ci"] = asyncio.Event()
    one.lines.order(KEY, [(letter("1"), ["ci", "oncall"]), (letter("2", later=1), ["ci", "oncall"])])
    await one.settle()
    assert sorted(one.post.sent) == [("ci", "1"), ("oncall", "1"), ("oncall", "2")]


async def test_letters_go_in_the_order_in_which_things_happened(stand):
    one = stand(CI)
    one.lines.order(KEY, [(letter("late", later=9), ["ci"]), (letter("early", later=1), ["ci"])])
    one.lines.order(OTHER, [(letter("between", later=5), ["ci"])])
    await one.settle()
    assert [identity for _, identity in one.post.sent] == ["early", "between", "late"]


async def test_a_letter_that_its_receiver_cannot_take_holds_up_no_other_for_long(stand):
    one = stand(CI)
    one.post.answers["bad"] = [Verdict(outcome=Outcome.RETRIED, why="HTTP 500")] * 1000
    one.lines.order(KEY, [(letter("bad"), ["ci"]), (letter("good", later=1), ["ci"])])
    await one.settle()
    await one.wait_sent(6)
    assert [identity for _, identity in one.post.sent[:6]] == ["bad"] * 5 + ["good"]


async def test_a_receiver_that_asks_to_wait_is_waited_for(stand):
    one = stand(CI)
    one.post.answers["1"] = [Verdict(outcome=Outcome.RETRIED, why="HTTP 429", after=3600)]
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    await asyncio.sleep(0.1)
    assert one.post.sent == [("ci", "1")]


async def test_what_status_has_no_more_is_not_sent(stand):
    one = stand(CI)
    one.lines.order(KEY, [(letter("1"), ["ci"]), (letter("2"), ["ci"])])
    one.lines.order(KEY, [(letter("2"), ["ci"])])
    await one.settle()
    assert one.post.sent == [("ci", "2")]


async def test_nothing_is_sent_where_another_replica_leads(stand):
    one = stand(CI)
    one.leads = False
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    one.leads = True
    await one.settle()
    assert one.post.sent == []
    # It leads again, and finds in status what is to be told.
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    assert one.post.sent == [("ci", "1")]


async def test_a_line_has_a_bound_and_takes_the_rest_later(stand, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 20)
    one = stand(CI)
    letters = [(letter(str(number), later=number), ["ci"]) for number in range(25)]
    one.lines.order(KEY, letters)
    await one.settle()
    await one.wait_sent(20)
    assert len(one.post.sent) == 20
    one.lines.order(KEY, letters)
    await one.settle()
    assert len(one.post.sent) == 25


async def test_a_robot_gets_no_more_than_it_takes_in_a_minute(stand):
    one = stand(ROBOT, CI)
    one.lines.order(KEY, [(letter(str(number), later=number), ["robot", "ci"]) for number in range(25)])
    await one.settle()
    await one.wait_sent(45)
    assert sum(name == "robot" for name, _ in one.post.sent) == 20
    assert sum(name == "ci" for name, _ in one.post.sent) == 25


async def test_without_receivers_it_goes_on_with_nothing_to_do(stand):
    one = stand()
    one.lines.order(KEY, [(letter(), ["ci"])])
    await one.settle()
    assert not one.task.done()
